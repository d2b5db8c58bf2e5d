import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.errors import TableError
from tabular.records import Record, read_records

ROOT = Path(__file__).parents[3]


def records_of(text: str, delimiter: str = ",") -> list[Record]:
    return read_records(text.encode(), delimiter, 1, is_last=True)[0]


def test_a_quoted_line_break_belongs_to_its_row_and_lines_are_counted_right():
    records = records_of('a,b\n1,"x\ny"\n2,z\n')
    assert [(record.line, record.fields) for record in records] == [
        (1, ["a", "b"]),
        (2, ["1", "x\ny"]),
        (4, ["2", "z"]),
    ]


def test_lines_with_nothing_on_them_are_passed_over_but_counted():
    assert [record.line for record in records_of("a,b\n\n1,2\n   \n3,4\n")] == [1, 3, 5]
    assert [record.line for record in records_of("a\tb\n\t\n1\t2\n", "\t")] == [1, 2, 3]


def test_a_quote_that_is_never_closed_is_refused_with_the_line_where_its_row_begins():
    with pytest.raises(TableError) as refused:
        records_of('a,b\n1,2\n3,"x\n4,y\n')
    assert refused.value.code == "BrokenQuoting"
    assert "line 3" in refused.value.message


@given(st.text())
def test_any_text_is_read_or_refused_and_no_character_of_a_row_is_lost(text):
    try:
        records = records_of(text)
    except (TableError, UnicodeEncodeError):
        return
    kept = "".join(record.text for record in records)
    assert "".join(kept.split()) == "".join(text.split())


PIECES = st.text(st.sampled_from('a,"\n\r é'), max_size=40)


@given(PIECES, st.integers(1, 40))
def test_what_is_not_whole_yet_is_left_for_later(text, cut):
    """Read in two parts, a text gives the records that it gives in one."""
    try:
        whole = read_records(text.encode(), ",", 1, is_last=True)
    except TableError:
        return
    data = text.encode()
    first, used, line = read_records(data[:cut], ",", 1, is_last=False)
    rest, more, last = read_records(data[used:], ",", line, is_last=True)
    assert (first + rest, used + more, last) == whole


@given(PIECES, st.integers(0, 4))
def test_of_some_records_it_is_told_where_the_next_begins(text, limit):
    data = text.encode()
    try:
        whole, size, _ = read_records(data, ",", 1, is_last=True)
    except TableError:
        return
    first, used, line = read_records(data, ",", 1, is_last=True, limit=limit)
    rest, _, _ = read_records(data[used:], ",", line, is_last=True)
    assert len(first) == min(limit, len(whole))
    assert (first + rest, size) == (whole, len(data))


def test_every_module_lets_the_whole_process_read_fields_of_the_same_length():
    limits = {
        limit
        for folder in ("cli", "functions", "layers")
        for path in (ROOT / folder).rglob("*.py")
        for limit in re.findall(r"field_size_limit\((.+?)\)", path.read_text())
    }
    assert limits == {"1 << 30"}
