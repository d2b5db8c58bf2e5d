"""Records found many at a time are those that the csv module reads, one by one."""

import csv
import io
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.blocks import BLOCK, read_blocks
from tabular.errors import TableError
from tabular.records import MAX_RECORD
from tests.unit.tabular.tables import blocks_of, outcome, pieces, records_of, rows_of

USUAL = st.sampled_from(["a", "1.5", "", "é", "longer than a word of eight"])
QUOTED = st.sampled_from(['"b"', '"e,f"', '"g\nh"', '""', '" "', '"j\r\nk"', '"c""d"', '""""'])
ODD = st.sampled_from(
    [
        " i ",
        '  "z"',
        "\t",
        "\u00a05\u2003",
        "\x00",
        "\x0b",
        '5" pipe',
        '"x\ry"',
        '"a"b',
        'a"',
        "\ufeff",
    ]
)
BLANK = st.sampled_from(["", "  ", "\t", "\u2003"])


def records(*fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(fields), min_size=1, max_size=3).map(",".join)


# Blocks that can be proven simple, among them what can't.
TEXTS = st.builds(
    lambda records, end, is_ended: end.join(records) + (end if is_ended else ""),
    st.lists(
        records(USUAL)
        | records(USUAL, QUOTED)
        | BLANK
        | st.sampled_from(["a,b"] * 5)
        | records(USUAL, QUOTED, ODD),
        max_size=15,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.sampled_from([",", ";", "\t"]), st.sampled_from([2, 3]))
def test_both_ways_of_reading_give_the_same_records(text, delimiter, width):
    text = text.replace(",", delimiter)
    expected = outcome(text, width=width, delimiter=delimiter, prove=False)
    assert outcome(text, width=width, delimiter=delimiter) == expected


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.integers(1, 40), st.booleans())
def test_blocks_of_any_size_give_the_same_records(text, size, prove):
    expected = outcome(text, prove=False)
    found = outcome(text, size=size, prove=prove)
    # What is wrong with a file may be told by another of its faults, but it is told.
    assert found == expected or (type(found) is type(expected) is tuple)


ALIKE = ["1,23,a", "4,56,bc", "7,89,", "12,3,d", '1,"2",e', "1,23", "1,2 ,e", "1,23,é", ""]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(ALIKE), max_size=30), st.sampled_from([8, 16]), st.booleans())
def test_records_that_only_begin_alike_are_read_as_all_others(records, head, is_ended):
    text = "\n".join(["1,23,a"] * 2 + records) + "\n" * is_ended
    with patch("tabular.blocks._HEAD", head):
        assert outcome(text, width=3) == outcome(text, width=3, prove=False)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"", b"a,b\n1,2\n"]), st.integers(1, 70))
def test_no_bytes_crash_it_and_both_ways_agree_on_them(rest, beginning, size):
    found = outcome(beginning + rest, size=size)
    assert found == outcome(beginning + rest, size=size, prove=False)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.text(max_size=6), min_size=2, max_size=4), max_size=20))
def test_what_the_csv_module_writes_is_read_again(table):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    try:
        content = buffer.getvalue().encode()
    except UnicodeEncodeError:
        return
    found = [fields for _, _, fields in records_of(blocks_of(content, 3, size=50))]
    stripped = [[field.strip() for field in fields] for fields in table]
    assert found == [fields if len(fields) == 3 else len(fields) for fields in stripped]


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.data())
def test_the_texts_of_chosen_records_are_theirs_and_no_others(text, data):
    try:
        blocks = blocks_of(text, size=50)
    except TableError:
        return
    for block in blocks:
        chosen = np.array(
            data.draw(st.lists(st.booleans(), min_size=len(block), max_size=len(block)))
        )
        expected = [block.text(record) for record in np.flatnonzero(chosen).tolist()]
        texts = block.texts(chosen)
        assert texts.count(b"\n") == "".join(expected).count("\n") + len(expected)
        again = [text for _, text, _ in records_of(blocks_of(texts))]
        assert again == expected


@given(TEXTS)
def test_bounds_leave_out_the_spaces_around_fields_and_nothing_else(text):
    try:
        blocks = blocks_of(text)
    except TableError:
        return
    for rows in (block.rows for block in blocks):
        for columns in ([0, 1], [1], [1, 0]):
            starts, ends = rows.bounds(columns)
            for (place, row), start in np.ndenumerate(starts):
                field = rows.array[start : ends[place, row]].tobytes().decode()
                assert field.strip() == rows.text(columns[place], row)
                assert field == field.strip(" \t\n\v\f\r")


@pytest.mark.parametrize(
    "text", ["1,2\n3,4\n", "1,2\r\n3,4\r\n", 'a b,"c\td"\r\ne,f\r\n', '"1","2"\n', "1\x0b1,2\n"]
)
def test_rows_are_trimmed_if_no_space_is_beside_a_delimiter_a_quote_or_a_line_end(text):
    assert rows_of(text).is_trimmed
    assert rows_of(text.replace(",", "\t").replace("c\td", "c"), delimiter="\t").is_trimmed


@pytest.mark.parametrize(
    "text",
    [" 1,2\n", "1, 2\n3,4\n", "1,\t2\n", '1," 2"\n', '1,"2 "\n', "1,2\x0b\n", "1,2 \r\n3,4\r\n"],
)
def test_rows_are_not_trimmed_if_there_is_a_space_around_a_field(text):
    assert not rows_of(text).is_trimmed


@pytest.mark.parametrize("chosen", [[True, False, True], [False] * 3, [True] * 3])
def test_some_of_the_rows_keep_their_records_and_fields(chosen):
    rows = rows_of("a,1\nb,2\nc,3\n").of(np.array(chosen))
    expected = [record for record in range(3) if chosen[record]]
    assert rows.records.tolist() == expected
    fields = [rows.text(0, row) + rows.text(1, row) for row in range(len(expected))]
    assert fields == [["a1", "b2", "c3"][record] for record in expected]


@pytest.mark.parametrize("prove", [True, False])
def test_rows_with_doubled_quotes_keep_their_places_among_the_others(prove):
    (block,) = blocks_of('a,"1"\n"b""",2\nonly one\n"c",3\n"""d""",4\ne,5\n', prove=prove)
    rows = block.rows
    texts = [[rows.text(column, row) for column in (0, 1)] for row in range(5)]
    assert rows.records.tolist() == [0, 1, 3, 4, 5]
    assert texts == [["a", "1"], ['b"', "2"], ["c", "3"], ['"d"', "4"], ["e", "5"]]


@pytest.mark.parametrize("prove", [True, False])
def test_a_block_may_have_nothing_but_records_of_another_width(prove):
    (block,) = blocks_of('1\n"a,b"\n1,2,3\n', prove=prove)
    assert block.odd == {0: 1, 1: 1, 2: 3}
    assert len(block.rows.records) == 0
    assert block.texts(np.array([False, True, False])) == b'"a,b"\n'


@pytest.mark.parametrize("prove", [True, False])
@pytest.mark.parametrize("text", ["", "\n", "\r\n\r\n", " \n\t\n", "\n" * 1000])
def test_a_text_of_blank_lines_has_no_record(text, prove):
    assert blocks_of(text, size=7, prove=prove) == []


@pytest.mark.parametrize("prove", [True, False])
def test_blank_lines_are_passed_over_and_counted(prove):
    expected = [
        (2, "a,b", ["a", "b"]),
        (5, "c", 1),
        (7, '"d\n",e', ["d", "e"]),
        (10, "f,g", ["f", "g"]),
    ]
    assert outcome('\na,b\n\n \nc\n\n"d\n",e\n\nf,g', prove=prove) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
@pytest.mark.parametrize("prove", [True, False])
def test_a_file_of_one_line_is_a_record(end, prove):
    assert outcome("a,b" + end, prove=prove) == [(1, "a,b", ["a", "b"])]


@pytest.mark.parametrize("prove", [True, False])
def test_a_block_border_changes_no_record(prove):
    rows = [f"{n % 97}.{n % 10},{'ab'[n % 2]}" for n in range(300_000 if prove else 30_000)]
    rows[::1000] = ['"oops\n",a,b'] * len(rows[::1000])
    content = "\n".join(rows).encode()
    found = list(read_blocks(pieces(content, 3 * BLOCK), delimiter=",", width=2, prove=prove))
    assert len(found) > 1 or not prove
    texts = b"".join(block.texts(np.full(len(block), True)) for block in found)
    assert texts == content + b"\n"
    lines = [int(line) for block in found for line in block.lines]
    assert lines == [1 + n + -(-n // 1000) for n in range(len(rows))]
    odd = [int(block.lines[record]) for block in found for record in block.odd]
    assert odd == [1 + n + n // 1000 for n in range(0, len(rows), 1000)]


class Endless:
    """A line without end."""

    def __init__(self, byte: bytes) -> None:
        self.byte = byte
        self.served = 0

    def __iter__(self):
        return self

    def __next__(self) -> bytes:
        self.served += 65536
        assert self.served < 4 * MAX_RECORD, "it reads on and on"
        return self.byte * 65536


@pytest.mark.parametrize("byte", [b"x", b'"', b"\xc3\xa9", b"\x00"])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(byte):
    with pytest.raises(TableError) as refused:
        list(read_blocks(Endless(byte), delimiter=",", width=2))
    assert refused.value.code in ("LineTooLong", "BrokenQuoting")


@pytest.mark.parametrize("prove", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("before", ["", "a,b\n", '"a",b\n'])
def test_a_record_is_as_long_as_records_may_be_or_refused_with_its_line(before, end, prove):
    longest = "a," + "x" * (MAX_RECORD - 2 - end.count("\r"))
    assert outcome(before + longest + end, prove=prove)[-1][1] == longest
    line = 1 + before.count("\n")
    expected = ("LineTooLong", f"Line {line} is longer than 1,048,576 bytes.")
    assert outcome(before + "x" + longest + end, prove=prove) == expected


@pytest.mark.parametrize("size", [3000, 1 << 20])
@pytest.mark.parametrize("line", [1, 2, 1500])
def test_a_byte_that_is_not_utf8_is_refused_with_its_line(line, size):
    broken = ("setosa,1.0,2.0\n" * 2000).encode().split(b"\n")
    broken[line - 1] = b"s\xe9tosa,1.0,2.0"
    assert outcome(b"\n".join(broken), width=3, size=size) == (
        "NotUtf8",
        f"The text is not UTF-8: byte 0xe9 on line {line}.",
    )


def test_a_field_may_have_any_number_of_spaces_around_it():
    (block,) = blocks_of("a,b\n" * 1000 + " " * 20_000 + "c ," + " " * 20_000 + "\n")
    starts, ends = block.rows.bounds([0, 1])
    assert (ends - starts).tolist() == [[1] * 1001, [1] * 1000 + [0]]
