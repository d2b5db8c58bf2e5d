"""The records of a CSV, as Python's csv module reads them: what is right by definition."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

from tabular.errors import TableError

MAX_RECORD = 1 << 20
"""Bytes of a record; a longer one is no row of a table."""

# More than is ever read together: records are measured, not fields.
csv.field_size_limit(1 << 30)


class Record(NamedTuple):
    """A record: the line it starts on (1 is the first), its text and its fields."""

    line: int
    text: str
    fields: list[str]


def read_records(
    data: bytes, delimiter: str, line: int, *, is_last: bool, limit: int | None = None
) -> tuple[list[Record], int, int]:
    """Return the whole records of UTF-8 data, the bytes they take, and the line that follows.

    Lines with nothing on them are skipped. Spaces after a delimiter don't count, so a quote after
    them opens a field. At most the first `limit` records are read.
    """
    if not is_last:
        # A last carriage return may be half a line end.
        data = data[: (data.rfind(b"\n") + 1) or (data.rfind(b"\r", 0, -1) + 1)]
    text = decode(data, line)
    records: list[Record] = []
    used, start = 0, line
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    while len(records) != limit:
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if lines.tell() == len(text) and not is_last:
                break
            raise _broken_quoting(start, str(error)) from error
        end = lines.tell()
        record = text[used:end]
        if len(record) > MAX_RECORD // 4 and len(record.removesuffix("\n").encode()) > MAX_RECORD:
            raise too_long(record.encode(), start)
        # Two fields have a delimiter between them.
        if len(fields) > 1 or not is_blank(record, delimiter):
            records.append(Record(start, record.rstrip("\r\n"), fields))
        used, start = end, line + reader.line_num
    return records, len(text[:used].encode()), start


def is_blank(text: str, delimiter: str) -> bool:
    """Whether there is nothing on a line, not even a delimiter (a tab is one, and space too)."""
    return not text.strip() and delimiter not in text


def count_lines(data: bytes) -> int:
    r"""Return the line ends in data: ``\n``, ``\r\n``, and ``\r`` by itself."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def decode(data: bytes, line: int) -> str:
    """Return UTF-8 data as text, or raise a `TableError` that names the line of the bad byte."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        bad, bad_line = data[error.start], line + count_lines(data[: error.start])
        raise TableError(
            "NotUtf8",
            f"The text is not UTF-8: byte {bad:#04x} on line {bad_line}.",
            'Save the file as "CSV UTF-8" and upload it again. Or name its encoding with the '
            "setting encoding.",
        ) from error


def too_long(data: bytes, line: int) -> TableError:
    """Return the error for a record that is longer than `MAX_RECORD`."""
    if data.count(b'"') % 2:
        return _broken_quoting(line, f"a quote in it is not closed within {MAX_RECORD:,} bytes")
    return TableError(
        "LineTooLong",
        f"Line {line} is longer than {MAX_RECORD:,} bytes.",
        "Check that the file is a CSV with one row per line, and upload it again.",
    )


def _broken_quoting(line: int, what: str) -> TableError:
    """Return the error for a file whose quotes can't be understood from `line` on."""
    return TableError(
        "BrokenQuoting",
        f"We can't read the row that starts on line {line}: {what}.",
        "Check its quotes. Quote a field if it contains the delimiter, a quote or a line break, "
        'and double each quote inside it ("").',
    )
