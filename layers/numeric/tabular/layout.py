"""How a table is laid out: its delimiter, the names of its columns, and where rows begin."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tabular.errors import TableError
from tabular.numbers import plain_number
from tabular.records import MAX_RECORD, Record, count_lines, read_records, too_long

DELIMITERS = (",", ";", "\t", "|")

MAX_COLUMNS = 20_000
"""Each takes memory: a word of every row in hand, and some statistics."""

MAX_NAME = 256
"""Characters of a column's name; a longer one is a text, or a quote that was not closed."""

HEAD = 2 * MAX_RECORD
"""Bytes of text that a layout is told from: any header, and a row at least."""

_LOOKED_AT = 20  # records among which the header must be

# Excel writes and reads this line; it is no part of the table. It may have delimiters at its end.
_SEPARATOR_LINE = re.compile(
    rb'\s*"?sep=(?P<mark>[!#-/:-@\[-`{-~\t])"?(?:(?P=mark)|[ \t])*(?:\r\n|\n|\r)', re.IGNORECASE
)


@dataclass(frozen=True)
class Layout:
    """`names` has an empty text for a column without a name; `line` is that of the first row."""

    delimiter: str
    names: tuple[str, ...]
    line: int

    @property
    def width(self) -> int:
        """Fields of a row."""
        return len(self.names)


@dataclass(frozen=True)
class _Reading:
    """The first records by one delimiter, and the place of the one that names columns, if any does.

    `fit` is 2 if there is a name for each field, and `share` says how many rows are of one width.
    """

    delimiter: str
    records: list[Record]
    header: int | None
    names: tuple[str, ...]
    fit: int
    share: float


def read_head(chunks: Iterator[bytes]) -> bytes:
    """Return the first chunks of a text: more than `HEAD` bytes if there are more, else all."""
    head = b""
    while len(head) <= HEAD and (chunk := next(chunks, b"")):
        head += chunk
    return head


def read_layout(
    head: bytes,
    *,
    is_whole: bool,
    delimiter: str | None = None,
    decimal: str | None = None,
    header_words: Collection[str] = (),
) -> tuple[Layout, int]:
    """Return the layout that a table's first bytes show, and how many bytes go before its rows.

    The delimiter is the one by which there is a header as wide as the rows, most of the rows are of
    one width, and this is the widest. In the header no name is a number, unless one of
    `header_words` is among the names. There may be delimiters at the end of the header or of the
    rows, and rows may have a field more than the header in front, as R writes their names.

    `is_whole` says that `head` is the whole table; `header_words` are names in lower case that
    occur in headers only.
    """
    start, line = 0, 1
    if told := _SEPARATOR_LINE.match(head):
        start = told.end()
        line += count_lines(told[0])
        delimiter = delimiter or told["mark"].decode()
    readings, broken = [], None
    for each in [delimiter] if delimiter else [d for d in DELIMITERS if d != decimal]:
        try:
            readings.append(_read(head[start:], each, line, is_whole, header_words))
        except TableError as error:
            broken = broken or error
    # Any text has one column by some delimiter; that says nothing against the others.
    if broken and not any(len(reading.names) > 1 for reading in readings):
        raise broken
    best = max(readings, key=lambda r: (len(r.names) > 1, r.fit, r.share, len(r.names)))
    if not best.records and head[start:].strip():
        raise too_long(head[start:], line)
    _check(best)
    _, used, line = read_records(head[start:], best.delimiter, line, is_last=is_whole, limit=1)
    return Layout(best.delimiter, best.names, line), start + used


_CONTROLS = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029]+")


def _read(
    head: bytes, delimiter: str, line: int, is_whole: bool, header_words: Collection[str]
) -> _Reading:
    # A row is about as long as the header, so there is one at least.
    first = re.match(rb"\s*[^\r\n]*", head)
    sample = head[: max(65536, 2 * len(first[0] if first else b""))]
    is_last = is_whole and len(sample) == len(head)
    records, _, _ = read_records(sample, delimiter, line, is_last=is_last)
    if not records:
        return _Reading(delimiter, records, None, (), 0, 0.0)
    widths = Counter(len(record.fields) for record in records[1:] or records)
    of_first = len(records[0].fields)
    width, count = max(widths.items(), key=lambda each: (each[1], each[0] == of_first, each[0]))
    share = round(count / max(len(records) - 1, 1), 1)
    for place, record in enumerate(records[:_LOOKED_AT]):
        # A name on two lines, as spreadsheets wrap it, would break lines of messages as well.
        fields = [_CONTROLS.sub(" ", field).strip() for field in record.fields]
        rows = [each.fields for each in records[place + 1 :] if len(each.fields) == width]
        if names := _names_of(fields, rows, width, header_words):
            fit = 1 if names[1:] == tuple(fields) else 2
            return _Reading(delimiter, records, place, names, fit, share)
    names = tuple(field.strip() for field in records[0].fields)
    return _Reading(delimiter, records, None, names, 0, share)


def _names_of(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int, header_words: Collection[str]
) -> tuple[str, ...] | None:
    """Return the names that a header gives the columns of rows; None if it is none of theirs."""
    names = header[:width]
    if 2 * sum(map(bool, names)) < len(names):
        return None
    is_known = any(name.lower() in header_words for name in names)
    if not is_known and any(plain_number(name) is not None for name in names):
        return None
    more = width - len(header)
    if more <= 0:
        return None if any(header[width:]) else tuple(names)
    if not any(field.strip() for row in rows for field in row[len(header) :]):
        return (*header, *[""] * more)
    return ("", *header) if more == 1 < len(header) else None


def _check(reading: _Reading) -> None:
    """Raise a `TableError` if there is no header, or one that names no columns."""
    if not any(field.strip() for record in reading.records for field in record.fields):
        raise TableError(
            "EmptyFile",
            "The file is empty.",
            "Upload a CSV with a header line and one line per row.",
        )
    first = reading.records[0]
    if len(reading.names) < 2:
        raise TableError(
            "OneColumn",
            f'Only one column was found in line {first.line}, "{shown(first.fields[0])}".',
            "Separate the columns by commas, semicolons, tabs or vertical bars.",
        )
    if reading.header:
        found = reading.records[reading.header]
        lines = f"line {first.line}"
        if found.line - 1 > first.line:
            lines = f"lines {first.line} to {found.line - 1}"
        raise TableError(
            "TitleAboveHeader",
            f"Line {first.line} looks like a title, not like a header: "
            f'"{shown(first.text)}". The header seems to be on line {found.line}.',
            f"Delete {lines}, so that the file begins with its header, and upload it again.",
        )
    number = next((f for f in first.fields if plain_number(f.strip()) is not None), None)
    if reading.header is None and number is not None:
        raise TableError(
            "NoHeader",
            f"Line {first.line} should name the columns, but holds the number "
            f'"{shown(number.strip())}".',
            "Put a line with the column names first, for example length,width,kind. If these are "
            "the names, for example years, put a letter before each number.",
        )
    names, line = reading.names, first.line
    if len(names) > MAX_COLUMNS:
        raise TableError(
            "TooManyColumns",
            f"Line {line} names {len(names):,} columns. The limit is {MAX_COLUMNS:,}.",
            "Remove columns that say little about the rows, and upload the file again.",
        )
    for place, name in enumerate(names, start=1):
        if len(name) > MAX_NAME:
            raise TableError(
                "LongColumnName",
                f"The name of column {place} in line {line} has {len(name):,} characters. "
                f'The limit is {MAX_NAME}. It begins with "{shown(name)}".',
                "Shorten the column names in the first line.",
            )
    twice = [name for name, count in Counter(filter(None, names)).items() if count > 1]
    if twice:
        raise TableError(
            "DuplicateColumn",
            f'Line {line} names the column "{shown(twice[0])}" more than once.',
            "Give each column a different name.",
        )


def shown(text: str) -> str:
    """Return what a message shows of a text from a file."""
    return text if len(text) <= 80 else f"{text[:79]}…"
