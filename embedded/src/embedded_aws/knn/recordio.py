"""Rows in ``application/x-recordio-protobuf``: RecordIO frames, each with a protobuf ``Record``.

Sources: developer guide, "Common Data Formats for Training" (the schema, below without what
k-NN doesn't use: unknown fields are skipped); aws/sagemaker-python-sdk, amazon/common.py (the
framing and what writers put in); dmlc-core's recordio.h (records in several parts).
"""

import itertools
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from embedded_aws.knn.errors import DataError, InfiniteValueError, MissingValueError
from embedded_aws.knn.rows import BLOCK_BYTES, Batch, Matrix, Vector

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
FIXED = {"float32_tensor": "<f4", "float64_tensor": "<f8"}
MAX_FEATURES = 1 << 20
"""What a sparse row may claim as its width where nothing else tells it."""
BATCH_RECORDS = 256


def record_class() -> Any:
    """The message class of a record, from the developer guide's schema."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="record.proto", package="aialgs.data", syntax="proto2"
    )
    packed = descriptor_pb2.FieldOptions(packed=True)
    for name, kind in (
        ("Float32Tensor", field.TYPE_FLOAT),
        ("Float64Tensor", field.TYPE_DOUBLE),
        ("Int32Tensor", field.TYPE_INT32),
    ):
        tensor = file.message_type.add(name=name)
        for number, (part, part_kind) in enumerate(
            (("values", kind), ("keys", field.TYPE_UINT64), ("shape", field.TYPE_UINT64)), start=1
        ):
            tensor.field.add(
                name=part,
                number=number,
                type=part_kind,
                label=field.LABEL_REPEATED,
                options=packed,
            )
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    for name, number, message in (
        ("float32_tensor", 2, "Float32Tensor"),
        ("float64_tensor", 3, "Float64Tensor"),
        ("int32_tensor", 7, "Int32Tensor"),
    ):
        value.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=f".aialgs.data.{message}",
            label=field.LABEL_OPTIONAL,
            oneof_index=0,
        )
    record = file.message_type.add(name="Record")
    for name, number in (("features", 1), ("label", 2)):
        entry = record.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
        entry.field.add(
            name="value",
            number=2,
            type=field.TYPE_MESSAGE,
            type_name=".aialgs.data.Value",
            label=field.LABEL_OPTIONAL,
        )
        record.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=f".aialgs.data.Record.{entry.name}",
            label=field.LABEL_REPEATED,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


Record = record_class()


def read_record_batches(
    source: BinaryIO, name: str, feature_dim: int | None = None
) -> Iterator[Batch]:
    """Yield the labelled rows of a stream, some at a time.

    Raises
    ------
        DataError: the framing or a record is broken, or a record has no label, no features,
            or others than the first's many.
    """
    first = 0
    width: int | None = None
    for block in record_blocks(source, name):
        for features, labels in parse_block(block, name, first, feature_dim):
            width = width or features.shape[1]
            if features.shape[1] != width:
                raise DataError(
                    f"{name}: {features.shape[1]} features from record {first} on, but {width} "
                    "before"
                )
            first += len(labels)
            yield features, labels


def parse_block(block: bytes, name: str, first: int, feature_dim: int | None) -> Iterator[Batch]:
    """The rows of a block of whole records, at once where they are alike."""
    batch = parse_alike(block)
    if batch is not None and np.isfinite(batch[0]).all() and np.isfinite(batch[1]).all():
        yield batch
        return
    records = split_records(block, name, first)
    while some := list(itertools.islice(records, BATCH_RECORDS)):
        features = parse_features(some, name, first, feature_dim)
        labels = [
            parse_label(record, f"{name}: record {number}")
            for number, record in enumerate(some, start=first)
        ]
        yield features, np.array(labels, np.float32)
        first += len(some)


def parse_unlabelled(body: bytes, feature_dim: int) -> Matrix:
    """The features of a request's records, ``(n, d) float32``.

    One record may come without its frame: so batch transform sends it (developer guide, "Use Batch
    Transform", SplitType RecordIO). What the original does with that is not documented.

    Raises
    ------
        DataError: as ``read_record_batches``; labels are passed over.
    """
    if body and not body.startswith(MAGIC_BYTES):
        try:
            return parse_features([Record.FromString(body)], "body", 0, feature_dim)
        except DecodeError as error:
            raise DataError("body is not RecordIO, nor a Record message") from error
    return parse_features(split_records(body, "body"), "body", 0, feature_dim)


def write_records(labels: Iterable[Mapping[str, Sequence[float]]]) -> bytes:
    """A record for each mapping from a label's name to its values."""
    parts: list[bytes] = []
    for label in labels:
        record = Record()
        for name, values in label.items():
            record.label[name].float32_tensor.values.extend(values)
        body: bytes = record.SerializeToString()
        parts += [struct.pack("<II", MAGIC, len(body)), body, bytes(-len(body) % 4)]
    return b"".join(parts)


def record_blocks(source: BinaryIO, name: str) -> Iterator[bytes]:
    """Cut a stream into blocks of whole records."""
    rest = b""
    while block := source.read(BLOCK_BYTES):
        rest += block
        end = 0
        for start, stop in frames(rest, name, whole=False):
            # The parts of one record stay together.
            if rest[start - 1] >> 5 in (0, 3):
                end = stop
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def frames(block: bytes, name: str, whole: bool = True) -> Iterator[tuple[int, int]]:
    """Where each frame's data begins, and where the frame ends with its padding.

    Raises
    ------
        DataError: there is no frame where one should begin or, if ``whole``, the last one is
            cut short.
    """
    at = 0
    while at < len(block):
        if not block.startswith(MAGIC_BYTES[: len(block) - at], at):
            raise DataError(f"{name} is not RecordIO: no record begins at byte {at}")
        if at + 8 > len(block):
            break
        size = struct.unpack_from("<I", block, at + 4)[0]
        # The upper three bits tell which part of a record this is.
        end = at + 8 + (((size & 0x1FFFFFFF) + 3) & ~3)
        if end > len(block):
            break
        yield at + 8, end
        at = end
    if whole and at < len(block):
        raise DataError(f"{name} ends within a record")


def split_records(block: bytes, name: str, first: int = 0) -> Iterator[Any]:
    """Parse each record of a block.

    Raises
    ------
        DataError: the framing or a record is broken.
    """
    parts: list[bytes] = []
    number = first
    for start, _ in frames(block, name):
        header = struct.unpack_from("<I", block, start - 4)[0]
        parts.append(block[start : start + (header & 0x1FFFFFFF)])
        if header >> 29 in (1, 2):
            continue
        record = Record()
        try:
            # A writer cuts a record wherever it holds the magic number, and leaves that out.
            record.ParseFromString(MAGIC_BYTES.join(parts))
        except DecodeError as error:
            raise DataError(f"{name}: record {number} is not a Record message") from error
        yield record
        parts.clear()
        number += 1
    if parts:
        raise DataError(f"{name} ends within a record")


def parse_alike(block: bytes) -> Batch | None:
    """Read records that differ in their numbers only, all at once; None where they don't.

    This is what the SDK writes of a dense matrix. Where the numbers are in the first record is
    found out by putting others in their place and parsing them.
    """
    size = 8 + ((struct.unpack_from("<I", block, 4)[0] + 3) & ~3) if len(block) >= 8 else 0
    if size <= 8 or len(block) % size or size > len(block):
        return None
    table = np.frombuffer(block, np.uint8).reshape(-1, size)
    try:
        first = next(split_records(block[:size], ""))
    except DataError:
        return None
    found = [fixed_numbers(field) for field in (first.features, first.label)]
    if found[0] is None or found[1] is None or len(found[1]) != 1:
        return None
    columns = locate(block[:size], found[0], found[1])
    if columns is None:
        return None
    same = np.ones(size, bool)
    for column in columns:
        same[column] = False
    if (table[:, same] != table[0, same]).any():
        return None
    with np.errstate(over="ignore"):
        x, y = (
            np.ascontiguousarray(table[:, column]).view(numbers.dtype).astype(np.float32)
            for column, numbers in zip(columns, (found[0], found[1]), strict=True)
        )
    return x, y[:, 0]


def fixed_numbers(field: Any) -> npt.NDArray[Any] | None:
    """The values of a dense tensor whose numbers all take the same room; None of any other."""
    if list(field) != ["values"]:
        return None
    kind = field["values"].WhichOneof("value")
    if kind not in FIXED:
        return None
    tensor = getattr(field["values"], kind)
    if tensor.keys or tensor.shape or not tensor.values:
        return None
    return np.array(tensor.values, FIXED[kind])


def locate(
    record: bytes, features: npt.NDArray[Any], label: npt.NDArray[Any]
) -> tuple[slice, slice] | None:
    """Where the features and the label are among the bytes of a framed record."""
    others = [np.arange(len(features), dtype=features.dtype) + 1, np.full(1, -1, label.dtype)]
    for x in places(record, features.tobytes(), 0, len(record)):
        after = places(record, label.tobytes(), x.stop, len(record))
        for y in itertools.chain(after, places(record, label.tobytes(), 0, x.start)):
            probe = bytearray(record)
            probe[x], probe[y] = others[0].tobytes(), others[1].tobytes()
            try:
                found = next(split_records(bytes(probe), ""))
            except DataError:
                continue
            numbers = [fixed_numbers(field) for field in (found.features, found.label)]
            if all(
                n is not None and n.dtype == other.dtype and n.tolist() == other.tolist()
                for n, other in zip(numbers, others, strict=True)
            ):
                return x, y
    return None


def places(text: bytes, part: bytes, start: int, stop: int) -> Iterator[slice]:
    """The first few places at which ``part`` stands between two positions of ``text``."""
    for _ in range(8):
        at = text.find(part, start, stop)
        if at < 0:
            return
        yield slice(at, at + len(part))
        start = at + 1


def parse_features(
    records: Iterable[Any], name: str, first: int, feature_dim: int | None
) -> Matrix:
    """The features of records, each dense or sparse, as ``(n, d) float32``.

    Raises
    ------
        DataError: a record has none, has other than the first's many, or a value isn't a
            finite 32-bit float.
    """
    rows: list[Vector] = []
    for number, record in enumerate(records, start=first):
        where = f"{name}: record {number}"
        if "values" not in record.features:
            raise DataError(f"{where} has no feature 'values'")
        row = dense(record.features["values"], where, feature_dim)
        if len(row) == 0:
            raise DataError(f"{where} has no features")
        if rows and len(row) != len(rows[0]):
            raise DataError(f"{where} has {len(row)} features, but {len(rows[0])} before")
        rows.append(row)
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def parse_label(record: Any, where: str) -> float:
    """The one label of a record.

    Raises
    ------
        DataError: it has none, or several.
    """
    if "values" not in record.label:
        raise DataError(f"{where} has no label 'values'")
    values = dense(record.label["values"], f"{where}, label", None)
    if len(values) != 1:
        raise DataError(f"{where} has {len(values)} labels, but k-NN learns from one")
    return float(values[0])


def dense(value: Any, where: str, width: int | None) -> Vector:
    """A tensor as a vector of finite 32-bit floats.

    A sparse one says which of its places have values, and in its shape how many places there
    are; without a shape it has ``width``.

    Raises
    ------
        DataError: it is no tensor of numbers, its parts don't fit, or a value isn't finite.
    """
    kind = value.WhichOneof("value")
    if kind is None:
        raise DataError(f"{where} has no tensor of numbers")
    tensor = getattr(value, kind)
    with np.errstate(over="ignore"):
        values = np.array(tensor.values, np.float64).astype(np.float32)
    if not np.isfinite(values).all():
        place = int(np.argmin(np.isfinite(values)))
        if np.isnan(values[place]):
            raise MissingValueError(f"{where}: place {place} is NaN")
        raise InfiniteValueError(f"{where}: place {place} is not a finite 32-bit float")
    sparse = len(tensor.keys) > 0 or (len(values) == 0 and len(tensor.shape) > 0)
    if not sparse:
        return values
    size = 1
    for extent in tensor.shape:
        size *= extent
    if not tensor.shape:
        if width is None:
            raise DataError(f"{where} is sparse and has no shape")
        size = width
    if size != width if width is not None else not 0 < size <= MAX_FEATURES:
        raise DataError(f"{where} has a shape of {size} places instead of {width or 'some'}")
    if len(tensor.keys) != len(values):
        raise DataError(f"{where} has {len(tensor.keys)} keys for {len(values)} values")
    row = np.zeros(size, np.float32)
    if len(tensor.keys):
        if max(tensor.keys) >= size:
            raise DataError(f"{where} has key {max(tensor.keys)}, but {size} places")
        row[np.array(tensor.keys, np.int64)] = values
    return row
