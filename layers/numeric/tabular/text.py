"""A file's bytes as UTF-8 text, whatever they come as; memory stays flat."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import cast

from tabular.errors import TableError

CHUNK = 1 << 20

MAX_RATIO = 200
"""Bytes that a byte of gzip data may become. Tables of numbers reach 5 to 20, repetitive ones 100;
the format's limit, which bombs go for, is 1032."""

_FREE_BYTES = 100 * CHUNK
"""What any gzip data may become, whatever the ratio: it is no burden."""

ENOUGH = 64
"""Bytes that a file is known by."""

_GZIP = b"\x1f\x8b"

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

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")

_ALIASES = {"latin-1": "windows-1252"}
"""What calls itself Latin-1 is read as windows-1252, its superset. Source: WHATWG, "Encoding"."""


class Text:
    """UTF-8 chunks of a file; `encoding` is known when it has been read.

    Without an encoding declared: a byte order mark decides, then zero bytes in every other place
    (UTF-16), then the first character that is not ASCII: of UTF-8, or else windows-1252.

    Raises
    ------
    TableError
        While iterating: the gzip data is broken or a bomb, the file is no text, or bytes are not
        of its encoding.
    """

    def __init__(self, raw: Iterable[bytes], *, named_gzip: bool, encoding: str | None) -> None:
        self._raw = iter(raw)
        self._declared = _ALIASES.get(encoding or "", encoding)
        self.encoding = self._declared or "ascii"
        self.is_gzip = named_gzip
        self._mark = b""

    def __iter__(self) -> Iterator[bytes]:
        first, raw = _begun(self._raw)
        self.is_gzip |= is_gzip(first)
        if self.is_gzip:
            first, raw = _begun(_gunzip(raw))
        for signature, what in _NO_TEXT.items():
            if first.startswith(signature) and _CONTROL.search(first[:1024]):
                raise TableError(
                    "NotText",
                    f"The file is {what}, whatever its name says.",
                    "Export the table as CSV and upload that.",
                )
        kind = self._declared or encoding_by_first(first)
        if kind == "utf-16":
            self.encoding = "utf-16"
            marked = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            return decoded(raw, "utf-16" if marked else _utf_16_order(first) or "utf-16-le")
        if kind == "windows-1252":
            return decoded(raw, kind)
        if first.startswith(codecs.BOM_UTF8):
            self._mark = codecs.BOM_UTF8
        chunks = chain([first.removeprefix(self._mark)], _after_first(raw))
        if kind == "utf-8":
            self.encoding = "utf-8"
            return chunks
        return self._detected(chunks)

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
            after = next(chunks, b"")
            self.encoding = encoding_of(chunk + after[:4]) or "utf-8"
            rest = chain([chunk, after], chunks)
            yield from rest if self.encoding == "utf-8" else decoded(rest, self.encoding)


def encoding_of(data: bytes) -> str | None:
    """Return what the first character of a text says that is not ASCII; None if all are.

    UTF-8 if it is one of it, else windows-1252.
    """
    found = None if data.isascii() else _NOT_ASCII.search(data)
    if found is None:
        return None
    start = found.start()
    length = 2 if data[start] < 0xE0 else 3 if data[start] < 0xF0 else 4
    try:
        data[start : start + length].decode()
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8"


def decoded(chunks: Iterable[bytes], encoding: str, line: int = 1) -> Iterator[bytes]:
    """Yield chunks of an encoding as UTF-8; the first begins with `line`.

    Raises
    ------
    TableError
        Bytes are not of the encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    for chunk, is_last in _with_last(chunks):
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


def _begun(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return enough of a file's beginning to know it by, and all chunks from there on."""
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= ENOUGH:
            break
    return first, chain([first], chunks)


def _after_first(chunks: Iterator[bytes]) -> Iterator[bytes]:
    next(chunks, None)
    yield from chunks


def _with_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    before = b""
    for chunk in chunks:
        if before:
            yield before, False
        before = chunk
    yield before, True


def is_gzip(first: bytes) -> bool:
    """Whether a file that begins so is compressed."""
    return first.startswith(_GZIP)


def encoding_by_first(first: bytes) -> str | None:
    """Return the encoding that a text's first bytes say, None if they don't."""
    if first.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _utf_16_order(first):
        return "utf-16"
    return None


def _utf_16_order(first: bytes) -> str:
    """Return the byte order of UTF-16 without a mark: its ASCII has zeros in every other place."""
    sample = first[:ENOUGH]
    for order, zeros, others in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        if len(sample) > 3 and not any(sample[zeros::2]) and all(sample[others::2]):
            return order
    return ""


class _Reader(io.RawIOBase):
    """Chunks as a stream, which counts what was read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self.read_bytes += count
        return count


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packed = _Reader(chunks)
    unpacked = 0
    with gzip.GzipFile(fileobj=cast("io.BufferedIOBase", io.BufferedReader(packed))) as stream:
        while True:
            try:
                chunk = stream.read(CHUNK)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise TableError(
                    "BrokenGzip",
                    f"The gzip data can't be read beyond {unpacked:,} unpacked bytes: {error}.",
                    "Compress the file again, check it with 'gzip -t', and upload it again.",
                ) from error
            if not chunk:
                return
            unpacked += len(chunk)
            if unpacked > _FREE_BYTES and unpacked > MAX_RATIO * packed.read_bytes:
                raise TableError(
                    "GzipBomb",
                    f"{packed.read_bytes:,} bytes of gzip data have become more than "
                    f"{unpacked:,} bytes, over {MAX_RATIO} times as many.",
                    "No table shrinks that far: check the file, and upload it without compression "
                    "if it is right.",
                )
            yield chunk
