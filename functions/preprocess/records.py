"""The records of a CSV, one by one, as the csv module reads them: what is right by definition."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import Refusal

MAX_RECORD = 1 << 20
"""Bytes of a record; a longer one is no row of a table."""

csv.field_size_limit(MAX_RECORD)


@dataclass(frozen=True)
class Record:
    """A record of the file: the line it starts on (1 is the first), its text and its fields."""

    line: int
    text: str
    fields: list[str]


def read_records(
    data: bytes, delimiter: str, line: int, *, is_last: bool, limit: int | None = None
) -> tuple[list[Record], int, int]:
    """Return the whole records of UTF-8 data, the bytes they take, and the line that follows.

    With a `limit` these are the first records, at most so many.

    Lines with nothing on them are passed over. Spaces after a delimiter don't count, so that a
    quote after them still opens a field.

    Raises
    ------
    Refusal
        The quoting is broken, so that where records begin and end can't be known; a record is too
        long; the text isn't UTF-8.
    """
    end = len(data) if is_last else _end_of_lines(data)
    check_utf8(data[:end], line)
    text = data[:end].decode()
    records: list[Record] = []
    used = 0
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    while len(records) != limit:
        start = line + reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            return records, end, start
        except csv.Error as error:
            if lines.exhausted and not is_last:
                return records, len(text[:used].encode()), start
            raise broken_quoting(start, str(error)) from error
        record = text[used : lines.read]
        used = lines.read
        if len(record) > MAX_RECORD // 4 and len(record.rstrip("\r\n").encode()) > MAX_RECORD:
            raise too_long(record.encode(), start)
        if not is_blank(record, delimiter):
            records.append(Record(start, record.rstrip("\r\n"), fields))
    return records, len(text[:used].encode()), line + reader.line_num


def read_record(text: str, delimiter: str, line: int) -> Record | None:
    """Return the record that a text is known to be, or None if there is nothing on its line."""
    if is_blank(text, delimiter):
        return None
    if '"' not in text:
        return Record(line, text, text.split(delimiter))
    lines = io.StringIO(text, newline="")
    (fields,) = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    return Record(line, text, fields)


def is_blank(text: str, delimiter: str) -> bool:
    """Whether there is nothing on a line, not even a delimiter, which a tab is and space too."""
    return not text.strip() and delimiter not in text


class _Lines(Iterator[str]):
    r"""The lines of a text, ended by ``\n``, ``\r`` or ``\r\n``; it knows how far it has got."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.read = 0
        self.exhausted = False

    def __next__(self) -> str:
        line = self._lines.readline()
        if not line:
            self.exhausted = True
            raise StopIteration
        self.read += len(line)
        return line


def _end_of_lines(data: bytes) -> int:
    """Return where the last whole line has ended; a last carriage return may be half a line end."""
    return (data.rfind(b"\n") + 1) or (data.rfind(b"\r", 0, max(len(data) - 1, 0)) + 1)


def check_utf8(data: bytes, line: int) -> None:
    """Raise a `Refusal` that names the line of the first byte that is not UTF-8."""
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        bad_line = line + before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")
        raise Refusal(
            "NotUtf8",
            f"The text is not UTF-8: byte {data[error.start]:#04x} on line {bad_line}.",
            'Save the file as "CSV UTF-8" and drop it again, or name its encoding in schema.json.',
        ) from error


def too_long(data: bytes, line: int) -> Refusal:
    """Return why a record can't be read that is longer than `MAX_RECORD`."""
    if data.count(b'"') % 2:
        return broken_quoting(line, f"a quote in it is not closed within {MAX_RECORD:,} bytes")
    return Refusal(
        "LineTooLong",
        f"Line {line} is longer than {MAX_RECORD:,} bytes.",
        "Check that the file is a CSV with a line a row and drop it again.",
    )


def broken_quoting(line: int, what: str) -> Refusal:
    """Return the refusal of a file whose quotes can't be understood from a line on."""
    return Refusal(
        "BrokenQuoting",
        f"The row that starts on line {line} can't be read: {what}.",
        "Check its quotes: a field that holds the delimiter, a quote or a line break stands in "
        'quotes, and a quote inside it is doubled ("").',
    )
