import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.errors import TableError
from tabular.text import CHUNK, Text, decoded, encoding_by_first, is_gzip
from tests.unit.tabular.tables import pieces

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"))


def read(data: bytes, *, chunk: int = 1 << 20, gz: bool = False, encoding=None) -> tuple[str, str]:
    text = Text(pieces(data, chunk), named_gzip=gz, encoding=encoding)
    return b"".join(text).decode(), text.encoding


def refused(data: bytes, **how) -> TableError:
    with pytest.raises(TableError) as caught:
        read(data, **how)
    return caught.value


@given(TEXTS, st.sampled_from(["utf-8", "utf-8-sig"]), st.integers(1, 9))
def test_utf8_comes_out_as_it_went_in(text, encoding, chunk):
    assert read(text.encode(encoding), chunk=chunk)[0] == text


@given(TEXTS, st.integers(1, 9))
def test_utf16_is_known_by_its_mark(text, chunk):
    assert read(text.encode("utf-16"), chunk=chunk) == (text, "utf-16")


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_known_by_its_zeros(order):
    assert read("a,b\n1,é\n".encode(order)) == ("a,b\n1,é\n", "utf-16")
    assert encoding_by_first("a,b\n".encode(order)) == "utf-16"


@pytest.mark.parametrize("chunk", [1, 2, 3, 10, 11, 1000])
@pytest.mark.parametrize("first", ["é", "花", "𝛼"])
def test_the_first_character_that_is_not_ascii_tells_utf8_from_windows_1252(first, chunk):
    text = "x" * 9 + first + "é"
    assert read(text.encode(), chunk=chunk) == (text, "utf-8")
    latin = ("x" * 9 + "é ß €").encode("windows-1252")
    assert read(latin, chunk=chunk) == ("x" * 9 + "é ß €", "windows-1252")
    assert read(b"plain", chunk=chunk) == ("plain", "ascii")


def test_a_declared_encoding_is_taken_at_its_word():
    assert read("é".encode(), encoding="latin-1")[0] == "Ã©"
    assert read("é".encode("utf-16-le"), encoding="utf-16")[0] == "é"


def test_a_byte_that_is_none_of_its_encoding_is_refused_with_its_line():
    error = refused(b"a,b\n1,\xe9\n2,\x81\n", encoding="windows-1252")
    assert (error.code, error.message) == (
        "BadEncoding",
        "Byte 0x81 on line 3 is not windows-1252.",
    )
    with pytest.raises(TableError) as caught:
        list(decoded([b"a\n", b"b\n\x81"], "windows-1252", line=10))
    assert "line 12" in caught.value.message


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])), st.integers(1, 999))
def test_gzip_is_unpacked_in_chunks_of_any_size(text, chunk):
    packed = gzip.compress(text.encode() * 100)
    assert read(packed, chunk=chunk, gz=True)[0] == text * 100


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("between", [b"", b"\0" * 9])
def test_gzip_may_have_several_members_and_zeros_after_each(chunk, between):
    packed = between.join(
        [gzip.compress(b"a,b\n"), gzip.compress(b""), gzip.compress(b"1,2\n"), b""]
    )
    assert read(packed, chunk=chunk)[0] == "a,b\n1,2\n"
    assert is_gzip(packed[:2])


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_gzip_of_any_length_comes_to_its_end(size):
    # So much in so few bytes that unpacking goes on when all of them have been read.
    text = b"0" * size
    chunks = list(Text([gzip.compress(text)], named_gzip=True, encoding=None))
    assert b"".join(chunks) == text
    assert max(map(len, chunks)) <= CHUNK + 64


def test_a_gzip_file_of_no_bytes_is_an_empty_text():
    assert read(b"", gz=True) == ("", "ascii")


# Without the time, which would tell the workers of one session different names of tests.
WHOLE = gzip.compress(b"a,b\n" * 1000, mtime=0)


@pytest.mark.parametrize(
    "content",
    [WHOLE[:-9], WHOLE[:5], b"a,b\n1,2\n", WHOLE + b"a,b\n", WHOLE[:-8] + bytes(8), b"\x1f\x8b"],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_broken_gzip_is_refused(content, chunk):
    assert refused(content, gz=True, chunk=chunk).code == "BrokenGzip"


def test_a_gzip_bomb_is_refused_long_before_it_is_unpacked():
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(CHUNK)) for _ in range(400)) + packer.flush()
    error = refused(bomb, encoding="utf-8")
    assert error.code == "GzipBomb"
    unpacked = int(error.message.partition("more than ")[2].partition(" bytes")[0].replace(",", ""))
    assert 100 * CHUNK < unpacked < 110 * CHUNK


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\x00", "Excel workbook"),
        (b"%PDF-1.7\n\x00", "PDF"),
        (b"PAR1\x15\x00", "Parquet"),
    ],
)
def test_a_file_that_is_no_text_is_named(content, what):
    for data in (content, gzip.compress(content)):
        error = refused(data)
        assert error.code == "NotText"
        assert what in error.message


def test_a_table_may_begin_as_other_files_do():
    assert read(b"PAR1,%PDF\n1,2\n")[0] == "PAR1,%PDF\n1,2\n"


@pytest.mark.parametrize(
    ("encoding", "declared"), [("utf-8", None), ("utf-8-sig", None), ("latin-1", "latin-1")]
)
def test_the_place_of_the_first_row_is_told_in_bytes_of_the_file(encoding, declared):
    data = "é,b\n1,2\n".encode(encoding)
    text = Text([data], named_gzip=False, encoding=declared)
    head = next(iter(text))[: len("é,b\n".encode())]
    assert data[text.bytes_of(head) :] == b"1,2\n"
