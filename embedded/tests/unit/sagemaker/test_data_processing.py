"""Filters and joins of batch transform."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_aws.sagemaker.transform.data_processing import (
    CSV,
    JSON,
    JSON_LINES,
    DataProcessing,
    ProcessingError,
    decode,
    encode,
    parse_data_processing,
)


def processing(content_type: str = CSV, accept: str = CSV, **given: str) -> DataProcessing:
    """A job's data processing."""
    return parse_data_processing(given, content_type, accept)


def test_by_default_nothing_is_filtered_or_joined() -> None:
    default = processing()
    assert not default.filters_input
    assert not default.changes_output


def test_an_id_column_is_left_out_of_what_the_model_gets() -> None:
    assert processing(InputFilter="$[1:]").to_send(b"row-1,5.1,3.5") == b"5.1,3.5"


def test_an_answer_in_csv_follows_its_row() -> None:
    joined = processing(JoinSource="Input")
    assert joined.to_write([b"1,2,3", b"4,5,6"], b"1\n0\n") == [b"1,2,3,1", b"4,5,6,0"]


def test_an_answer_in_json_becomes_a_member_of_its_record() -> None:
    joined = processing(JSON_LINES, JSON_LINES, JoinSource="Input")
    (line,) = joined.to_write([b'{"key": 1}'], b'{"label": 1}')
    assert json.loads(line) == {"key": 1, "SageMakerOutput": {"label": 1}}


def test_a_record_that_is_no_object_is_joined_under_a_name_of_its_own() -> None:
    joined = processing(JSON, JSON, JoinSource="Input")
    (document,) = joined.to_write([b"[1, 2]"], b'{"label": 1}')
    assert json.loads(document) == {"SageMakerInput": [1, 2], "SageMakerOutput": {"label": 1}}


def test_a_row_of_csv_joined_with_json_is_an_array_of_its_cells() -> None:
    joined = processing(CSV, "application/jsonlines; verbose=true", JoinSource="Input")
    (line,) = joined.to_write([b"row-1,5.1,2"], b'{"predicted_label": 0.0}')
    assert json.loads(line) == {
        "SageMakerInput": ["row-1", 5.1, 2],
        "SageMakerOutput": {"predicted_label": 0.0},
    }


def test_the_output_filter_selects_of_what_was_joined() -> None:
    columns = processing(JoinSource="Input", OutputFilter="$[0,-1]")
    assert columns.to_write([b"row-1,5.1,3.5"], b"0") == [b"row-1,0"]
    members = processing(
        JSON_LINES, JSON_LINES, JoinSource="Input", OutputFilter="$['id','SageMakerOutput']"
    )
    (line,) = members.to_write([b'{"id": 7, "features": [1]}'], b'{"label": 1}')
    assert json.loads(line) == {"id": 7, "SageMakerOutput": {"label": 1}}


def test_without_a_join_the_output_filter_selects_of_the_answer() -> None:
    only_label = processing(JSON_LINES, JSON_LINES, OutputFilter="$.predicted_label")
    assert only_label.to_write([b"{}"], b'{"predicted_label": 2.0}') == [b"2.0"]


def test_an_answer_that_does_not_match_its_records_is_refused_with_what_to_do() -> None:
    joined = processing(JSON_LINES, JSON, JoinSource="Input")
    with pytest.raises(ProcessingError, match=r"1 answers .* for 2 records: set BatchStrategy"):
        joined.to_write([b"{}", b"{}"], b'{"predictions": [{}, {}]}')


@pytest.mark.parametrize(
    ("record", "kind", "message"),
    [
        (b'"1,2', CSV, "Failed to parse input as CSV"),
        (b"{", JSON_LINES, "Failed to parse input as JSON"),
        (b"\xff", CSV, "Failed to parse input as CSV"),
    ],
)
def test_a_record_that_can_not_be_read_is_refused(record: bytes, kind: str, message: str) -> None:
    with pytest.raises(ProcessingError, match=message):
        processing(kind, kind, InputFilter="$[0]").to_send(record)


def test_a_filter_that_points_nowhere_is_refused_by_name() -> None:
    with pytest.raises(ProcessingError, match=r"\$\[9\] can't be applied"):
        processing(InputFilter="$[9]").to_send(b"1,2")


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))))
def test_cells_of_csv_survive_whatever_is_in_them(cells: list[str]) -> None:
    cells = cells or ["x"]
    row = encode(cells, CSV)
    assert decode(row, CSV, "input") == cells
    assert list(csv.reader(io.StringIO(row.decode()))) == [cells]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values), values)
def test_joining_loses_nothing_of_a_json_record(record: dict[str, Any], output: Any) -> None:
    joined = processing(JSON_LINES, JSON_LINES, JoinSource="Input")
    (line,) = joined.to_write([encode(record, JSON)], encode(output, JSON))
    assert json.loads(line) == {**record, "SageMakerOutput": output}
