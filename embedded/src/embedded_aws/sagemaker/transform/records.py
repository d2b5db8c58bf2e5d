"""Input objects of a transform job cut into records, and records put into mini-batches.

Source: API reference, "TransformInput" (SplitType) and "CreateTransformJob" (BatchStrategy,
MaxPayloadInMB); developer guide, "Use Batch Transform".
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from embedded_aws.sagemaker.input_data import RECORDIO_MAGIC

BLOCK_BYTES = 256 * 1024
MEGABYTE = 1024 * 1024

RECORDIO_LENGTH = 0x1FFFFFFF


class RecordError(Exception):
    """An input object can't be cut into records that fit into requests."""


@dataclass(frozen=True)
class Record:
    """A record as it is sent, among others and alone, and as it stood in its object."""

    framed: bytes
    payload: bytes
    original: bytes


def split(source: BinaryIO, split_type: str, limit: int) -> Iterator[Record]:
    """Cut a stream into records of up to ``limit`` bytes; memory is bounded by that.

    Raises RecordError: a record is larger, or the stream isn't in the format.
    """
    if split_type == "Line":
        return split_lines(source, limit)
    if split_type == "RecordIO":
        return split_recordio(source, limit)
    if split_type == "TFRecord":
        return split_tfrecord(source, limit)
    return whole(source, limit)


def whole(source: BinaryIO, limit: int) -> Iterator[Record]:
    """The stream as one record; an empty one has none."""
    content = source.read(limit + 1)
    require_fit(len(content), limit)
    if content:
        yield Record(content, content, content)


def split_lines(source: BinaryIO, limit: int) -> Iterator[Record]:
    """Lines, but for empty ones."""
    rest = b""
    while block := source.read(BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        yield from line_records(lines, limit)
        require_fit(len(rest), limit)
    yield from line_records([rest], limit)


def line_records(lines: list[bytes], limit: int) -> Iterator[Record]:
    """Records of lines, but for empty ones."""
    for line in lines:
        payload = line.removesuffix(b"\r")
        if payload.strip():
            require_fit(len(line) + 1, limit + 1)
            yield Record(line + b"\n", payload, payload)


def split_recordio(source: BinaryIO, limit: int) -> Iterator[Record]:
    """RecordIO: magic number, length, payload, padding to four bytes."""
    while header := source.read(8):
        if len(header) < 8 or header[:4] != struct.pack("<I", RECORDIO_MAGIC):
            raise RecordError("The object is not in RecordIO format")
        length = struct.unpack_from("<I", header, 4)[0] & RECORDIO_LENGTH
        padded = length + (-length % 4)
        require_fit(8 + padded, limit)
        content = read_exactly(source, padded)
        yield Record(header + content, content[:length], content[:length])


def split_tfrecord(source: BinaryIO, limit: int) -> Iterator[Record]:
    """TFRecord: length, its checksum, payload, its checksum.

    Source: TensorFlow guide, "TFRecord and tf.train.Example", format details.
    """
    while header := source.read(12):
        if len(header) < 12:
            raise RecordError("The object is not in TFRecord format")
        length = struct.unpack_from("<Q", header)[0]
        require_fit(16 + length, limit)
        content = read_exactly(source, length + 4)
        yield Record(header + content, content[:length], content[:length])


def read_exactly(source: BinaryIO, size: int) -> bytes:
    """That many bytes of a stream, which gives fewer at a time if it likes."""
    content = b""
    while len(content) < size:
        block = source.read(size - len(content))
        if not block:
            raise RecordError("The object ends within a record")
        content += block
    return content


def require_fit(size: int, limit: int) -> None:
    """Refuse what is too large for a request."""
    if size > limit:
        raise RecordError(
            f"A record is larger than MaxPayloadInMB ({limit / MEGABYTE:g} MB) allows: raise "
            "MaxPayloadInMB, or set SplitType to cut the object into records"
        )


def batches(records: Iterable[Record], strategy: str, limit: int) -> Iterator[list[Record]]:
    """Records one by one, or as many together as fit into ``limit`` bytes."""
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and (strategy == "SingleRecord" or size + len(record.framed) > limit):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.framed)
    if batch:
        yield batch


def body(batch: list[Record], strategy: str) -> bytes:
    """The request of a mini-batch: a single record goes without its framing."""
    if strategy == "SingleRecord":
        return batch[0].payload
    return b"".join(record.framed for record in batch)


def assembled(answer: bytes, assemble_with: str) -> bytes:
    """What is written for an answer: with ``Line``, it ends with a newline."""
    if assemble_with == "Line" and not answer.endswith(b"\n"):
        return answer + b"\n"
    return answer
