"""Objects cut into records, and records put into mini-batches."""

import io
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_aws.sagemaker.transform import records as transform_records
from embedded_aws.sagemaker.transform.records import (
    Record,
    RecordError,
    assembled,
    batches,
    body,
    split,
)

LIMIT = 1000


def payloads(content: bytes, split_type: str, limit: int = LIMIT) -> list[bytes]:
    """The payloads of an object's records."""
    return [record.payload for record in split(io.BytesIO(content), split_type, limit)]


def recordio(payload: bytes) -> bytes:
    """A RecordIO record."""
    return struct.pack("<II", 0xCED7230A, len(payload)) + payload + bytes(-len(payload) % 4)


def tfrecord(payload: bytes) -> bytes:
    """A TFRecord, with checksums that nobody checks."""
    return struct.pack("<QI", len(payload), 1) + payload + struct.pack("<I", 2)


def test_without_splitting_the_object_is_one_record() -> None:
    assert payloads(b"1,2\n3,4\n", "None") == [b"1,2\n3,4\n"]
    assert payloads(b"", "None") == []


def test_lines_are_records_and_empty_ones_are_not() -> None:
    assert payloads(b"1,2\r\n\n3,4\n  \n5,6", "Line") == [b"1,2", b"3,4", b"5,6"]


@given(st.lists(st.binary(min_size=1, max_size=50).filter(lambda b: b"\n" not in b and b.strip())))
def test_lines_come_out_as_they_went_in_wherever_the_stream_is_cut(lines: list[bytes]) -> None:
    lines = [line.removesuffix(b"\r") or b"x" for line in lines]
    lines = [line for line in lines if line.strip()]
    original = transform_records.BLOCK_BYTES
    transform_records.BLOCK_BYTES = 7
    try:
        assert payloads(b"\n".join(lines), "Line") == lines
    finally:
        transform_records.BLOCK_BYTES = original


@given(st.lists(st.binary(max_size=60)))
def test_recordio_and_tfrecord_come_out_as_they_went_in(records: list[bytes]) -> None:
    assert payloads(b"".join(map(recordio, records)), "RecordIO") == records
    assert payloads(b"".join(map(tfrecord, records)), "TFRecord") == records


@pytest.mark.parametrize(
    ("content", "split_type"),
    [
        (b"not recordio at all", "RecordIO"),
        (recordio(b"abcdef")[:-3], "RecordIO"),
        (tfrecord(b"abcdef")[:-1], "TFRecord"),
        (b"short", "TFRecord"),
    ],
)
def test_an_object_in_another_format_is_refused(content: bytes, split_type: str) -> None:
    with pytest.raises(RecordError):
        payloads(content, split_type)


@pytest.mark.parametrize(
    ("content", "split_type"),
    [
        (b"x" * 1001, "None"),
        (b"1\n" + b"x" * 1002 + b"\n", "Line"),
        (b"x" * 1_000_000, "Line"),
        (recordio(b"x" * 1000), "RecordIO"),
        (tfrecord(b"x" * 1000), "TFRecord"),
    ],
)
def test_a_record_above_the_payload_limit_is_refused(content: bytes, split_type: str) -> None:
    with pytest.raises(RecordError, match="larger than MaxPayloadInMB"):
        payloads(content, split_type)


def record(payload: bytes) -> Record:
    """A line."""
    return Record(payload + b"\n", payload, payload)


@given(st.lists(st.binary(min_size=1, max_size=30)), st.integers(40, 200))
def test_mini_batches_keep_all_records_in_order_and_fit_into_the_limit(
    lines: list[bytes], limit: int
) -> None:
    found = list(batches(map(record, lines), "MultiRecord", limit))
    assert [item.payload for batch in found for item in batch] == lines
    assert all(len(body(batch, "MultiRecord")) <= limit for batch in found)
    # As many as fit: the next one's first record wouldn't have.
    for batch, following in itertools.pairwise(found):
        assert len(body(batch, "MultiRecord")) + len(following[0].framed) > limit


def test_single_records_go_one_by_one_without_their_framing() -> None:
    records = split(io.BytesIO(recordio(b"abc") + recordio(b"d")), "RecordIO", LIMIT)
    found = list(batches(records, "SingleRecord", LIMIT))
    assert [body(batch, "SingleRecord") for batch in found] == [b"abc", b"d"]


def test_several_records_keep_their_framing() -> None:
    content = recordio(b"abc") + recordio(b"d")
    (batch,) = batches(split(io.BytesIO(content), "RecordIO", LIMIT), "MultiRecord", LIMIT)
    assert body(batch, "MultiRecord") == content


def test_lines_are_assembled_with_a_newline_each() -> None:
    assert assembled(b"{}", "Line") == assembled(b"{}\n", "Line") == b"{}\n"
    assert assembled(b"{}", "None") == b"{}"
