import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Refusal
from text_stream import TextStream

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"))


def read(data: bytes, *, chunk: int = 1 << 20, gz: bool = False, encoding=None) -> tuple[str, str]:
    pieces = (data[start : start + chunk] for start in range(0, len(data), chunk))
    stream = TextStream(pieces, named_gzip=gz, encoding=encoding)
    return b"".join(stream).decode(), stream.encoding


@given(TEXTS, st.sampled_from(["utf-8", "utf-8-sig"]), st.integers(1, 9))
def test_utf8_comes_out_as_it_went_in(text, encoding, chunk):
    assert read(text.encode(encoding), chunk=chunk)[0] == text


@given(TEXTS, st.integers(1, 9))
def test_utf16_is_known_by_its_mark(text, chunk):
    assert read(text.encode("utf-16"), chunk=chunk) == (text, "utf-16")


@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
def test_the_first_character_that_is_not_ascii_tells_utf8_from_windows_1252(chunk):
    assert read(("x" * 9 + "é花").encode(), chunk=chunk) == ("x" * 9 + "é花", "utf-8")
    latin = ("x" * 9 + "é ß €").encode("windows-1252")
    assert read(latin, chunk=chunk) == ("x" * 9 + "é ß €", "windows-1252")
    assert read(b"plain", chunk=chunk) == ("plain", "ascii")


def test_a_declared_encoding_is_taken_at_its_word():
    assert read("é".encode(), encoding="latin-1")[0] == "Ã©"
    assert read("é".encode("utf-16-le"), encoding="utf-16")[0] == "é"


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])), st.integers(1, 999))
def test_gzip_is_unpacked_in_chunks_of_any_size(text, chunk):
    packed = gzip.compress(text.encode() * 100)
    assert read(packed, chunk=chunk, gz=True)[0] == text * 100


@pytest.mark.parametrize(
    "content", [gzip.compress(b"a,b\n" * 1000)[:-9], b"a,b\n1,2\n", gzip.compress(b"a")[:5]]
)
def test_broken_gzip_is_refused(content):
    with pytest.raises(Refusal) as refused:
        read(content, gz=True)
    assert refused.value.code == "BrokenGzip"


def test_the_place_of_the_first_row_is_told_in_bytes_of_the_file():
    for encoding, name in (("utf-8", None), ("utf-8-sig", None), ("latin-1", "latin-1")):
        data = "é,b\n1,2\n".encode(encoding)
        stream = TextStream([data], named_gzip=False, encoding=name)
        head = next(iter(stream))[: len("é,b\n".encode())]
        assert data[stream.bytes_of(head) :] == b"1,2\n"
