"""Rows of numbers from CSV."""

import codecs
import io
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedded_aws.knn import rows
from embedded_aws.knn.errors import DataError
from embedded_aws.knn.rows import parse_csv, parse_large, parse_small, read_csv_batches


def read(text: bytes) -> tuple[list[list[float]], list[float]]:
    """Features and labels of a whole file."""
    features: list[list[float]] = []
    labels: list[float] = []
    for x, y in read_csv_batches(io.BytesIO(text), "train.csv"):
        features += x.tolist()
        labels += y.tolist()
    return features, labels


def test_the_label_is_the_first_column() -> None:
    assert read(b"0,1.5,2.5\n1,3.5,4.5\n") == ([[1.5, 2.5], [3.5, 4.5]], [0.0, 1.0])


@pytest.mark.parametrize(
    "text", [b"0,1\n1,2", b"0,1\r\n1,2\r\n", b"\n0,1\n\n1,2\n\n", b"0, 1\n1 ,2"]
)
def test_line_ends_empty_lines_and_spaces_do_not_matter(text: bytes) -> None:
    assert read(text) == ([[1.0], [2.0]], [0.0, 1.0])


def test_numbers_are_kept_in_single_precision() -> None:
    parsed = parse_csv(b"5.1,1e-3,-2")
    assert parsed.dtype == np.float32
    assert parsed.tolist() == [[np.float32(5.1), np.float32(1e-3), -2.0]]


def test_a_file_is_read_in_blocks_without_losing_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 7)
    text = b"".join(b"%d,%d\n" % (i % 3, i) for i in range(100))
    features, labels = read(text)
    assert features == [[float(i)] for i in range(100)]
    assert labels == [float(i % 3) for i in range(100)]


@pytest.mark.parametrize(
    "cell", ["setosa", "", "nan", "inf", "1e39", "0x10", "5.1abc", "1_0", "٣", "True", '"1"', "1;2"]
)
def test_what_is_not_a_finite_number_is_named_by_line_and_column(cell: str) -> None:
    with pytest.raises(DataError, match=r"train\.csv: line 3, column 2: .* is not a finite"):
        read(f"0,1\n1,2\n2,{cell}\n".encode())


def test_the_line_is_counted_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 8)
    with pytest.raises(DataError, match="line 7, column 2"):
        read(b"0,1\n" * 6 + b"1,x\n")


def test_a_row_of_another_width_is_refused_by_line() -> None:
    with pytest.raises(DataError, match="line 2 has 3 columns, but 2 before"):
        read(b"0,1\n1,2,3\n")


def test_a_label_alone_is_not_a_row() -> None:
    with pytest.raises(DataError, match="a label and at least one feature"):
        read(b"0\n1\n")


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


tables = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(floats, min_size=width, max_size=width), min_size=1)
)


@pytest.fixture(params=[0, 1 << 30], ids=["pandas", "numpy"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small texts take each of the two parsers."""
    monkeypatch.setattr(rows, "SMALL_BYTES", request.param)


@given(table=tables)
def test_both_parsers_read_the_same(table: list[list[float]]) -> None:
    text = "\n".join(",".join(map(repr, row)) for row in table).encode()
    small, large = parse_small(text), parse_large(text)
    assert small is not None
    assert large is not None
    assert small.tolist() == large.tolist() == table


@pytest.mark.usefixtures("parser")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables, mark=st.sampled_from([b"", codecs.BOM_UTF8]))
def test_what_was_written_is_read_back_exactly_with_or_without_a_byte_order_mark(
    table: list[list[float]], mark: bytes
) -> None:
    text = mark + "\n".join(",".join(map(repr, row)) for row in table).encode()
    assert parse_csv(text).tolist() == table


@pytest.mark.usefixtures("parser")
def test_a_byte_order_mark_within_a_file_is_no_part_of_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 4)
    with pytest.raises(DataError, match="line 2, column 1"):
        read(b"0,1\n" + codecs.BOM_UTF8 + b"1,2\n")


@pytest.mark.usefixtures("parser")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary(max_size=60) | st.text("0123456789.,-+eEnaif \r\n\t\"'#_", max_size=60))
def test_any_text_is_read_by_both_parsers_as_it_is_line_by_line(text: bytes | str) -> None:
    text = text if isinstance(text, bytes) else text.encode()
    try:
        expected = rows.parse_line_by_line(text, "body", 1)
    except DataError as error:
        with pytest.raises(DataError, match=re.escape(str(error))):
            parse_csv(text)
    else:
        assert parse_csv(text).tolist() == expected.tolist()


@given(st.binary(max_size=60))
def test_any_bytes_are_either_parsed_or_refused_with_a_data_error(text: bytes) -> None:
    try:
        parsed = parse_csv(text)
    except DataError:
        return
    assert np.isfinite(parsed).all()
