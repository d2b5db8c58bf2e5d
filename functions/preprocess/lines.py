"""The lines of a dropped file, one at a time: whatever its size, memory stays flat."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.errors import Refusal

MAX_LINE = 1 << 20
"""Characters in a line; a longer one is no row of a table."""


def read_lines(stream: BinaryIO, *, gzipped: bool) -> Iterator[str]:
    """Yield the lines of a UTF-8 text with their line ends; a byte order mark is passed over.

    Raises
    ------
    Refusal
        The text isn't UTF-8, a line is longer than `MAX_LINE`, or the gzip data is broken.
    """
    number = 0
    try:
        raw: BinaryIO = gzip.GzipFile(fileobj=stream) if gzipped else stream  # type: ignore[assignment]
        # newline="" keeps \r\n and line breaks in quotes as they are: the csv module knows them.
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        while line := text.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
                raise Refusal(
                    "LineTooLong",
                    f"Line {number} is longer than {MAX_LINE:,} characters.",
                    "Check that the file is a CSV with a line a row and drop it again.",
                )
            yield line
    except UnicodeDecodeError as error:
        # Decoding runs ahead of reading, but only when all it had decoded has been read.
        bad_line = number + 1 + error.object[: error.start].count(b"\n")
        raise Refusal(
            "NotUtf8",
            f"The text is not UTF-8: byte {error.object[error.start]:#04x} on line {bad_line}.",
            'Save the file as "CSV UTF-8" and drop it again.',
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refusal(
            "BrokenGzip",
            f"The gzip data can't be read beyond line {number}: {error}.",
            "Compress the file again, check it with 'gzip -t', and drop it again.",
        ) from error
