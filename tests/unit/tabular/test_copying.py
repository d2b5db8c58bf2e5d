import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.copying import copy_columns
from tests.unit.tabular.tables import rows_of

FIELDS = st.text(st.sampled_from("0123456789.-e"), max_size=20)
WIDTH = 5
RUNS = st.lists(st.integers(0, WIDTH - 1), min_size=1, max_size=4).flatmap(
    lambda firsts: st.tuples(
        *(
            st.integers(first, WIDTH - 1).map(lambda last, first=first: (first, last))
            for first in firsts
        )
    )
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(FIELDS, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=30),
    RUNS,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.data(),
)
def test_lines_are_a_number_and_the_fields_joined_by_commas(table, runs, delimiter, end, data):
    rows = rows_of("".join(delimiter.join(fields) + end for fields in table), WIDTH, delimiter)
    which = data.draw(st.lists(st.integers(0, len(table) - 1)))
    numbers = data.draw(st.lists(st.integers(0, 2000), min_size=len(which), max_size=len(which)))
    copied = copy_columns(
        rows, np.array(which, np.intp), np.array(numbers, np.intp), runs, delimiter
    )
    expected = [
        ",".join([str(number), *(field for a, b in runs for field in table[row][a : b + 1])])
        for row, number in zip(which, numbers, strict=True)
    ]
    assert copied.decode().splitlines() == expected


@pytest.mark.parametrize("width", [2, 9, 5000])
@pytest.mark.parametrize("count", [1, 3, 2000])
def test_few_rows_of_many_columns_are_copied_as_many_rows_of_few(width, count):
    count = min(count, 100_000 // width)
    table = [[f"{(row * column) % 997}.5" for column in range(width)] for row in range(count)]
    rows = rows_of("".join(",".join(fields) + "\n" for fields in table), width)
    copied = copy_columns(rows, np.arange(count), np.arange(count) % 12, [(1, width - 1)], ",")
    expected = [",".join([str(row % 12), *fields[1:]]) for row, fields in enumerate(table)]
    assert copied.decode().splitlines() == expected
