import base64
import io
from unittest.mock import patch

import pytest
from datasketches import tdigest_double
from hypothesis import given
from hypothesis import strategies as st

import prepare
from blocks import read_blocks
from pipeline.errors import Refusal
from records import MAX_RECORD, Record, read_records
from tests.unit.functions.preprocessing import prepared


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


def test_a_quote_that_is_never_closed_is_refused_with_the_line_where_it_opens():
    with pytest.raises(Refusal) as refused:
        records_of('a,b\n1,2\n3,"x\n4,y\n')
    assert refused.value.code == "BrokenQuoting"
    assert "line 3" in refused.value.message


@given(st.text())
def test_any_text_is_read_or_refused_and_no_character_of_a_row_is_lost(text):
    try:
        records = records_of(text)
    except (Refusal, UnicodeEncodeError):
        return
    kept = "".join(record.text for record in records)
    assert "".join(kept.split()) == "".join(text.split())


@given(st.text(st.sampled_from('a,"\n\r'), max_size=40), st.integers(1, 40))
def test_what_is_not_whole_yet_is_left_for_later(text, cut):
    """Read in two parts, a text gives the records that it gives in one."""
    try:
        whole = read_records(text.encode(), ",", 1, is_last=True)[0]
    except Refusal:
        return
    first, used, line = read_records(text.encode()[:cut], ",", 1, is_last=False)
    rest, _, _ = read_records(text.encode()[used:], ",", line, is_last=True)
    assert first + rest == whole


class Endless(io.RawIOBase):
    """Lines without end."""

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
    with pytest.raises(Refusal) as refused:
        list(read_blocks(Endless(byte), delimiter=",", width=2))
    assert refused.value.code in ("LineTooLong", "BrokenQuoting")


@pytest.mark.parametrize("line", [1, 2, 1500])
def test_a_byte_that_is_not_utf8_is_refused_with_its_line(line):
    broken = ("setosa,1.0,2.0\n" * 2000).encode().split(b"\n")
    broken[line - 1] = b"s\xe9tosa,1.0,2.0"
    with pytest.raises(Refusal) as refused:
        list(read_blocks([b"\n".join(broken)], delimiter=",", width=3))
    assert refused.value.message == f"The text is not UTF-8: byte 0xe9 on line {line}."


@pytest.mark.parametrize("prove", [True, False])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_row_of_empty_fields_is_set_aside_whatever_is_between_them(delimiter, prove):
    text = "x;y;label\n1;2;a\n;;\n3;4;b\n1;2;a\n3;4;b\n".replace(";", delimiter)
    result = prepared(text, prove=prove)
    assert [reject.line for reject in result.rejects] == [3]


@pytest.mark.parametrize("rows", [1000, 20_000])
def test_quantiles_are_of_every_nth_row_in_blocks_of_any_size(rows):
    text = "x,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(rows))
    with patch.object(prepare, "_QUANTILE_BYTES", 100):
        profile = prepared(text, block=1 << 12).profile
    counted = profile.state()["digests"]
    digest = tdigest_double.deserialize(base64.b64decode(counted[0]))
    assert digest.get_total_weight() == -(-rows // profile.stride)
