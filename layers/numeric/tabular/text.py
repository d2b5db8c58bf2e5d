"""A file's bytes as UTF-8 text, whatever they come as; memory stays flat."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from tabular.errors import TableError

CHUNK = 1 << 20

_MAX_RATIO = 200
"""Bytes that a byte of gzip data may become. Tables of numbers reach 5 to 20, repetitive ones 100;
the format's limit, which bombs go for, is 1032."""

_FREE_BYTES = 100 * CHUNK  # what any gzip data may become: it is no burden

ENOUGH = 64
"""Bytes that a file is known by."""

_GZIP = b"\x1f\x8b"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# Source: the formats' own documents, each one's signature.
_NO_TEXT = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
}


class Text:
    """UTF-8 chunks of a file; `encoding` is known when it has been read.

    Without an encoding declared: a byte order mark decides, then zero bytes in every other place
    (UTF-16), then the first character that is not ASCII: of UTF-8, or else windows-1252.
    """

    def __init__(self, raw: Iterable[bytes], *, named_gzip: bool, encoding: str | None) -> None:
        self._raw = iter(raw)
        # windows-1252 is a superset of what calls itself Latin-1. Source: WHATWG, "Encoding".
        self._declared = "windows-1252" if encoding == "latin-1" else encoding
        self.encoding = self._declared or "ascii"
        self.is_gzip = named_gzip
        self._mark = b""

    def __iter__(self) -> Iterator[bytes]:
        first, rest = _begun(self._raw)
        self.is_gzip |= is_gzip(first)
        if self.is_gzip:
            first, rest = _begun(_gunzip(chain([first], rest)))
        for signature, what in _NO_TEXT.items():
            if first.startswith(signature) and re.search(rb"[\x00-\x08\x0e-\x1f]", first[:1024]):
                raise TableError(
                    "NotText",
                    f"The file is {what}, whatever its name says.",
                    "Export the table as CSV and upload that.",
                )
        self.encoding = self._declared or encoding_by_first(first) or self.encoding
        if self.encoding == "utf-16":
            return decoded(chain([first], rest), _utf_16_codec(first) or "utf-16-le")
        if self.encoding == "windows-1252":
            return decoded(chain([first], rest), self.encoding)
        if first.startswith(codecs.BOM_UTF8):
            self._mark = codecs.BOM_UTF8
        chunks = chain([first.removeprefix(self._mark)], rest)
        return chunks if self.encoding == "utf-8" else self._detected(chunks)

    def bytes_of(self, text: bytes) -> int:
        """Return the bytes of the file that its first text has been, unless it is UTF-16."""
        if self.encoding == "windows-1252":
            return len(text.decode())
        return len(self._mark) + len(text)

    def _detected(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass ASCII on, until the first bytes that are not decide what everything is."""
        for chunk in chunks:
            if chunk.isascii():
                yield chunk
                continue
            # Of a character at its end, three bytes may be missing.
            begin, rest = _begun(chain([chunk], chunks), len(chunk) + 3)
            self.encoding = encoding_of(begin) or "utf-8"
            rest = chain([begin], rest)
            yield from rest if self.encoding == "utf-8" else decoded(rest, self.encoding)


def is_gzip(first: bytes) -> bool:
    """Whether a file that begins so is compressed."""
    return first.startswith(_GZIP)


def encoding_by_first(first: bytes) -> str | None:
    """Return the encoding that a text's first bytes say, None if they don't."""
    if first.startswith(codecs.BOM_UTF8):
        return "utf-8"
    return "utf-16" if _utf_16_codec(first) else None


def _utf_16_codec(first: bytes) -> str | None:
    """Return the codec of UTF-16; without a mark, ASCII has zeros in every other place."""
    if first.startswith(_UTF_16_MARKS):
        return "utf-16"
    even, odd = first[:ENOUGH:2], first[1:ENOUGH:2]
    if len(first) > 3 and all(even) and not any(odd):
        return "utf-16-le"
    if len(first) > 3 and all(odd) and not any(even):
        return "utf-16-be"
    return None


def encoding_of(data: bytes) -> str | None:
    """Return the encoding that the first character shows that is not ASCII; None if all are."""
    found = re.search(rb"[\x80-\xff]", data)
    if found is None:
        return None
    try:
        data[found.start() : found.start() + 4].decode()
    except UnicodeDecodeError as error:
        return "utf-8" if error.start else "windows-1252"
    return "utf-8"


def decoded(chunks: Iterable[bytes], encoding: str, line: int = 1) -> Iterator[bytes]:
    """Yield chunks of an encoding as UTF-8; the first begins with `line`."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for chunk, is_last in with_last(chunks):
        try:
            text = decoder.decode(chunk, is_last)
        except UnicodeDecodeError as error:
            bad = error.object[error.start]
            good = error.object[: error.start].decode(encoding, "ignore")
            raise TableError(
                "BadEncoding",
                f"Byte {bad:#04x} on line {line + good.count(chr(10))} is not {encoding}.",
                'Save the file as "CSV UTF-8" and upload it again, or tell its encoding with the '
                "setting encoding.",
            ) from error
        line += text.count("\n")
        yield text.encode()


def with_last(chunks: Iterable[bytes], size: int = CHUNK) -> Iterator[tuple[bytes, bool]]:
    """Yield chunks of at most `size` bytes, each with whether it is the last; one at least."""
    before = b""
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            if before:
                yield before, False
            before = chunk[start : start + size]
    yield before, True


def _begun(chunks: Iterator[bytes], size: int = ENOUGH) -> tuple[bytes, Iterator[bytes]]:
    """Return so many bytes of a file's beginning, or a few more, and the chunks after them."""
    first = b""
    while len(first) < size and (chunk := next(chunks, None)) is not None:
        first += chunk
    return first, chunks


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip data holds, all of its members."""
    packed = unpacked = 0
    member = None
    try:
        for chunk in chunks:
            packed += len(chunk)
            rest, is_full = chunk if member else chunk.lstrip(b"\0"), False
            while rest or is_full:
                member = member or zlib.decompressobj(16 + zlib.MAX_WBITS)
                text = member.decompress(rest, CHUNK)
                rest, is_full = member.unconsumed_tail, len(text) == CHUNK
                if member.eof:
                    # Zeros may fill up the last block that gzip data is stored in.
                    rest, is_full, member = member.unused_data.lstrip(b"\0"), False, None
                unpacked += len(text)
                read = packed - len(rest)
                if unpacked > _FREE_BYTES and unpacked > _MAX_RATIO * read:
                    raise TableError(
                        "GzipBomb",
                        f"{read:,} bytes of gzip data unpack to more than {unpacked:,} bytes, "
                        f"over {_MAX_RATIO} times as many.",
                        "No table compresses that well. Check the file. If it is right, upload it "
                        "uncompressed.",
                    )
                yield text
        if member:
            raise zlib.error("its end is missing")
    except zlib.error as error:
        raise TableError(
            "BrokenGzip",
            f"The gzip data is damaged after {unpacked:,} unpacked bytes: {error}.",
            "Compress the file again, check it with 'gzip -t', and upload it again.",
        ) from error
