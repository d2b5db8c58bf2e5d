"""Rows as SageMaker's algorithms train on them: ``application/x-recordio-protobuf``.

A record is a frame around a protobuf message, with a tensor of 32-bit floats for the features and
one for the label, as the SDK's `write_numpy_to_dense_tensor` writes it. Of rows of one width all
bytes but those of the floats are the same.

Sources: SageMaker developer guide, "Common Data Formats for Training"; aws/sagemaker-python-sdk,
serializer_utils.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

CONTENT_TYPE = "application/x-recordio-protobuf"

_MAGIC = 0xCED7230A
_READ_AT_ONCE = 1 << 16  # bytes, about


def frame(width: int) -> tuple[bytes, bytes, bytes]:
    """Return the bytes of a record before its features, between them and the label, and after."""
    features, label = _tensor(1, 4 * width), _tensor(2, 4)
    size = len(features) + 4 * width + len(label) + 4
    return struct.pack("<II", _MAGIC, size) + features, label, bytes(-size % 4)


def read_records(file: BinaryIO, width: int) -> Iterator[tuple[float, ...]]:
    """Yield the features of each record, and last its label; all have as many features."""
    before, between, after = frame(width)
    record = struct.Struct(f"<{len(before)}x{width}f{len(between)}xf{len(after)}x")
    while data := file.read(record.size * max(_READ_AT_ONCE // record.size, 1)):
        if not data.startswith(before) or len(data) % record.size:
            raise ValueError(f"these are no records of {width} features and a label")
        yield from record.iter_unpack(data)


def _tensor(field: int, size: int) -> bytes:
    """Return what goes before the floats of a map's entry "values", of so many bytes."""
    before = b""
    # From the inside out: the packed values, a tensor of them, the entry with its key, the field.
    for key in (b"\x0a", b"\x12", b"\x0a\x06values\x12", bytes([field << 3 | 2])):
        before = key + _varint(len(before) + size) + before
    return before


def _varint(number: int) -> bytes:
    """Return a number as protobuf writes it: seven bits a byte, the lowest first."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
