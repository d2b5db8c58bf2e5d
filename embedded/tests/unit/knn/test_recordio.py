"""Rows in RecordIO-protobuf, against what the SageMaker SDK writes."""

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from embedded_aws.knn import recordio
from embedded_aws.knn.errors import DataError, InfiniteValueError, MissingValueError
from embedded_aws.knn.recordio import (
    MAGIC,
    MAGIC_BYTES,
    Record,
    parse_alike,
    parse_unlabelled,
    read_record_batches,
    write_records,
)

Array = npt.NDArray[Any]
TENSORS = {"float32": "float32_tensor", "float64": "float64_tensor", "int64": "int32_tensor"}


def framed(body: bytes, part: int = 0) -> bytes:
    """A RecordIO frame as sagemaker.amazon.common._write_recordio writes it."""
    return struct.pack("<II", MAGIC, len(body) | part << 29) + body + bytes(-len(body) % 4)


def dense_records(features: Array, labels: Array | None) -> bytes:
    """What sagemaker.amazon.common.write_numpy_to_dense_tensor writes."""
    parts = []
    for number, row in enumerate(features):
        record = Record()
        getattr(record.features["values"], TENSORS[str(features.dtype)]).values.extend(row)
        if labels is not None:
            tensor = getattr(record.label["values"], TENSORS[str(labels.dtype)])
            tensor.values.extend([labels[number]])
        parts.append(framed(record.SerializeToString()))
    return b"".join(parts)


def sparse_records(features: Array, labels: Array) -> bytes:
    """What sagemaker.amazon.common.write_spmatrix_to_sparse_tensor writes."""
    parts = []
    for row, label in zip(features, labels, strict=True):
        record = Record()
        tensor = getattr(record.features["values"], TENSORS[str(features.dtype)])
        keys = np.flatnonzero(row)
        tensor.values.extend(row[keys])
        tensor.keys.extend(keys)
        getattr(record.label["values"], TENSORS[str(labels.dtype)]).values.extend([label])
        tensor.shape.extend([len(row)])
        parts.append(framed(record.SerializeToString()))
    return b"".join(parts)


def read(data: bytes, feature_dim: int | None = None) -> tuple[list[list[float]], list[float]]:
    """Features and labels of a whole stream."""
    batches = list(read_record_batches(io.BytesIO(data), "train.pbr", feature_dim))
    return (
        [row for x, _ in batches for row in x.tolist()],
        [label for _, y in batches for label in y.tolist()],
    )


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**23), 2**23)


def tables(dtype: str) -> st.SearchStrategy[Array]:
    """Matrices, label first, of numbers that a 32-bit float holds exactly."""
    shape = st.tuples(st.integers(1, 5), st.integers(2, 6))
    elements = whole if dtype == "int64" else finite
    return shape.flatmap(lambda s: arrays.arrays(dtype, s, elements=elements))


@pytest.mark.parametrize("write", [dense_records, sparse_records])
@given(
    table=st.sampled_from(sorted(TENSORS)).flatmap(tables),
    label_dtype=st.sampled_from(sorted(TENSORS)),
)
def test_what_the_sdk_writes_is_read_back(write: Any, table: Array, label_dtype: str) -> None:
    features, labels = table[:, 1:], np.trunc(table[:, 0] % 100).astype(label_dtype)
    got_features, got_labels = read(write(features, labels))
    assert got_features == features.tolist()
    assert got_labels == labels.tolist()


fixed = st.sampled_from(["float32", "float64"])


@given(table=fixed.flatmap(tables), label_dtype=fixed)
def test_records_that_are_alike_are_read_at_once_with_the_same_result(
    table: Array, label_dtype: str
) -> None:
    batch = parse_alike(dense_records(table[:, 1:], table[:, 0].astype(label_dtype)))
    if batch is not None:
        assert batch[0].tolist() == table[:, 1:].tolist()
        assert batch[1].tolist() == table[:, 0].tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dense_matrix_is_read_at_once(dtype: str) -> None:
    table = np.random.default_rng(0).integers(0, 3, (1000, 7)).astype(dtype)
    batch = parse_alike(dense_records(table[:, 1:], table[:, 0]))
    assert batch is not None
    assert batch[0].tolist() == table[:, 1:].tolist()
    assert batch[1].tolist() == table[:, 0].tolist()


def test_a_label_that_comes_first_is_told_from_features_of_the_same_bytes() -> None:
    record = Record()
    record.label["values"].float32_tensor.values.extend([7.0])
    label = record.SerializeToString()
    record = Record()
    record.features["values"].float32_tensor.values.extend([7.0])
    body = framed(label + record.SerializeToString())
    assert read(body * 3) == ([[7.0]] * 3, [7.0] * 3)


def test_blocks_do_not_lose_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordio, "BLOCK_BYTES", 100)
    table = np.arange(300, dtype=np.float32).reshape(100, 3)
    features, labels = read(dense_records(table[:, 1:], table[:, 0]))
    assert features == table[:, 1:].tolist()
    assert labels == table[:, 0].tolist()


def test_a_record_in_parts_is_put_together_around_the_magic_number() -> None:
    # As dmlc-core writes a record that holds the magic number: cut, and the number left out.
    magic = struct.pack("<I", MAGIC)
    value = struct.unpack("<f", magic)[0]
    body = next(iter([dense_records(np.array([[1, value]], "f4"), np.array([2], "f4"))]))[8:]
    before, _, after = body.partition(magic)
    parts = framed(before.ljust(len(before)), 1) + framed(after, 3)
    assert read(parts) == ([[1.0, value]], [2.0])


def record_bytes(
    values: Sequence[float] = (1, 2), label: Sequence[float] | None = (0,), **tensor: Sequence[int]
) -> bytes:
    """One framed record."""
    record = Record()
    features = record.features["values"].float32_tensor
    features.values.extend(values)
    for name, numbers in tensor.items():
        getattr(features, name).extend(numbers)
    if label is not None:
        record.label["values"].float32_tensor.values.extend(label)
    return framed(record.SerializeToString())


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"0,1,2\n3,4,5\n", DataError, "is not RecordIO: no record begins at byte 0"),
        (record_bytes()[:-4], DataError, "ends within a record"),
        (record_bytes() + b"\r", DataError, "no record begins at byte"),
        (record_bytes() + MAGIC_BYTES, DataError, "ends within a record"),
        (record_bytes() + b"garbage!", DataError, "no record begins at byte"),
        (framed(b"\xff" * 8), DataError, "record 0 is not a Record message"),
        (framed(b"", 1), DataError, "ends within a record"),
        (record_bytes(label=None), DataError, "record 0 has no label 'values'"),
        (record_bytes(label=(1, 2)), DataError, "record 0 has 2 labels"),
        (framed(b""), DataError, "record 0 has no feature 'values'"),
        (record_bytes((1, float("nan"))), MissingValueError, "record 0: place 1 is NaN"),
        (record_bytes((float("inf"),)), InfiniteValueError, "record 0: place 0 is not a finite"),
        (record_bytes() + record_bytes((1,)), DataError, "record 1 has 1 features, but 2 before"),
        (record_bytes(()), DataError, "record 0 has no features"),
        (record_bytes(keys=(0, 1)), DataError, "record 0 is sparse and has no shape"),
        (record_bytes(keys=(0, 5), shape=(4,)), DataError, "has key 5, but 4 places"),
        (record_bytes(keys=(0,), shape=(4,)), DataError, "1 keys for 2 values"),
        (record_bytes(keys=(0, 1), shape=(2**60, 2**60)), DataError, "has a shape of"),
        (record_bytes((), shape=(0,)), DataError, "has a shape of 0 places"),
    ],
)
def test_what_is_broken_is_refused_by_record(
    data: bytes, error: type[DataError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(data)


def test_a_sparse_row_without_shape_takes_the_width_that_is_known() -> None:
    assert read(record_bytes((5,), keys=(2,)), feature_dim=4) == ([[0, 0, 5, 0]], [0])


def test_a_request_needs_no_labels() -> None:
    data = record_bytes((1, 2), None) + record_bytes((5,), (1,), keys=(1,), shape=(2,))
    assert parse_unlabelled(data, 2).tolist() == [[1, 2], [0, 5]]


def test_a_request_may_be_one_record_without_its_frame() -> None:
    record = Record()
    record.features["values"].float32_tensor.values.extend([1, 2])
    assert parse_unlabelled(record.SerializeToString(), 2).tolist() == [[1, 2]]


@given(st.lists(st.lists(finite, max_size=3), max_size=3))
def test_records_that_are_written_are_framed_messages(values: list[list[float]]) -> None:
    data = write_records({"distances": row, "predicted_label": [1.0]} for row in values)
    records = list(recordio.split_records(data, "answer"))
    assert [list(r.label["distances"].float32_tensor.values) for r in records] == values
    assert all(list(r.label["predicted_label"].float32_tensor.values) == [1] for r in records)


@given(
    data=st.binary(max_size=80),
    at=st.integers(0, 60),
    whole_record=st.sampled_from([record_bytes(), record_bytes((1,), keys=(1,), shape=(2,))]),
)
def test_any_bytes_are_either_read_or_refused_with_a_data_error(
    data: bytes, at: int, whole_record: bytes
) -> None:
    for text in (data, framed(data), whole_record[:at] + data + whole_record[at + len(data) :]):
        try:
            features, labels = read(text, 2)
        except DataError:
            continue
        assert np.isfinite(np.array(features)).all()
        assert len(features) == len(labels)
