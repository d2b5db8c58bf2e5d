import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.copying import beside, copy_texts, joined
from tests.unit.tabular.tables import rows_of

FIELDS = st.text(st.sampled_from("0123456789.-e"), max_size=20)
WIDTH = 5
COLUMNS = st.integers(0, WIDTH - 1)


def copied(text: str, width: int, first: int, last: int, delimiter: str = ",") -> list[str]:
    """Lines of a row's place, modulo 12, and the fields from the first column to the last."""
    rows = rows_of(text, width, delimiter)
    numbers = np.array([f"{row % 12},".encode() for row in range(len(rows.records))])
    fields, _ = copy_texts(rows.array, rows.starts[first], rows.ends[last])
    lines = beside([numbers, fields, np.array([b"\n"])])
    return joined(lines, delimiter).decode().splitlines()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(FIELDS, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=30),
    st.tuples(COLUMNS, COLUMNS).map(sorted),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_lines_are_a_number_and_the_fields_joined_by_commas(table, columns, delimiter, end):
    first, last = columns
    text = "".join(delimiter.join(fields) + end for fields in table)
    assert copied(text, WIDTH, first, last, delimiter) == [
        ",".join([str(row % 12), *fields[first : last + 1]]) for row, fields in enumerate(table)
    ]


@pytest.mark.parametrize("width", [2, 9, 5000])
@pytest.mark.parametrize("count", [1, 3, 2000])
def test_few_rows_of_many_columns_are_copied_as_many_rows_of_few(width, count):
    count = min(count, 100_000 // width)
    table = [[f"{(row * column) % 997}.5" for column in range(width)] for row in range(count)]
    text = "".join(",".join(fields) + "\n" for fields in table)
    expected = [",".join([str(row % 12), *fields[1:]]) for row, fields in enumerate(table)]
    assert copied(text, width, 1, width - 1) == expected
