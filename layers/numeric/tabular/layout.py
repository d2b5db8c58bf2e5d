"""How a table is laid out: its delimiter, the names of its columns, and where rows begin."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tabular.errors import TableError
from tabular.numbers import plain_number
from tabular.records import Record, read_records

DELIMITERS = (",", ";", "\t", "|")

MAX_COLUMNS = 20_000
"""Each takes memory: a word of every row in hand, and some statistics."""

MAX_NAME = 256
"""Characters of a column's name; a longer one is a text, or a quote that was not closed."""

_LOOKED_AT = 20
"""Records among which the header must be."""

# Excel writes and reads this line; it is no part of the table.
_SEPARATOR_LINE = re.compile(rb'\s*"?sep=(.)"?[ \t]*(\r\n|\n|\r)', re.IGNORECASE)


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
    """The first records by one delimiter; `header` is the place of the one that names columns."""

    delimiter: str
    records: list[Record]
    width: int
    header: int | None
    score: tuple[bool, int, float, int]


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
    `header_words` is among the names. Rows may have one field more than the header: the names of
    R's rows in front, or the empty field that a delimiter at the end of each row makes.

    Parameters
    ----------
    is_whole
        Whether `head` is the whole table, rather than its beginning.
    delimiter, decimal
        The delimiter and the decimal mark, if they are known.
    header_words
        Names in lower case that occur in headers only.

    Raises
    ------
    TableError
        There is no header, or it names too few, too many or equal columns.
    """
    start, line = 0, 1
    if told := _SEPARATOR_LINE.match(head):
        start = told.end()
        line += 1 + told[0][: told.start(1)].count(b"\n")
        delimiter = delimiter or told[1].decode("latin-1")
    readings, broken = [], None
    for each in [delimiter] if delimiter else [d for d in DELIMITERS if d != decimal]:
        try:
            readings.append(_read(head[start:], each, line, is_whole, header_words))
        except TableError as error:
            broken = broken or error
    if not readings:
        raise broken or ValueError("there is no delimiter to try")
    best = max(readings, key=lambda reading: reading.score)
    if not best.records:
        raise TableError(
            "EmptyFile",
            "The file is empty.",
            "Upload a CSV with a header line and one line per row.",
        )
    if best.width < 2:
        if broken:
            raise broken
        first = best.records[0]
        raise TableError(
            "OneColumn",
            f'Only one column was found in line {first.line}, "{_shown(first.fields[0])}".',
            "Separate the columns by commas, semicolons, tabs or bars; a label and at least one "
            "feature are needed.",
        )
    header = _header(best)
    names = _names(header, best.records[(best.header or 0) + 1 :])
    _check(names, header.line)
    _, used, line = read_records(
        head[start:], best.delimiter, line, is_last=is_whole, limit=(best.header or 0) + 1
    )
    return Layout(best.delimiter, names, line), start + used


def _read(
    head: bytes, delimiter: str, line: int, is_whole: bool, header_words: Collection[str]
) -> _Reading:
    # A row is about as long as the header, so there is one at least.
    first = re.match(rb"\s*[^\r\n]*", head)
    sample = head[: max(65536, 2 * len(first[0] if first else b""))]
    is_last = is_whole and len(sample) == len(head)
    records, _, _ = read_records(sample, delimiter, line, is_last=is_last)
    widths = Counter(len(record.fields) for record in records[1:] or records)
    width, count = max(widths.items(), key=lambda each: (each[1], each[0]), default=(0, 0))
    share = count / max(len(records) - 1, 1)
    for place, record in enumerate(records[:_LOOKED_AT]):
        difference = len(record.fields) - width
        if abs(difference) > 1 or not _is_header(record.fields, header_words):
            continue
        if difference != 1 or not record.fields[-1].strip():
            score = (width > 1, 1 if difference else 2, round(share, 1), width)
            return _Reading(delimiter, records, max(width, len(record.fields)), place, score)
    return _Reading(delimiter, records, width, None, (width > 1, 0, round(share, 1), width))


def _is_header(fields: Sequence[str], header_words: Collection[str]) -> bool:
    names = [field.strip() for field in fields]
    if 2 * sum(map(bool, names)) < len(names):
        return False
    if any(name.lower() in header_words for name in names):
        return True
    return not any(plain_number(name) is not None for name in names)


def _header(reading: _Reading) -> Record:
    first = reading.records[0]
    if reading.header:
        found = reading.records[reading.header]
        lines = f"line {first.line}"
        if found.line - 1 > first.line:
            lines = f"lines {first.line} to {found.line - 1}"
        raise TableError(
            "TitleAboveHeader",
            f"Line {first.line} looks like a title, not like a header: "
            f'"{_shown(first.text)}". The header seems to be on line {found.line}.',
            f"Delete {lines}, so that the file begins with its header, and upload it again.",
        )
    number = next((f for f in first.fields if plain_number(f.strip()) is not None), None)
    if reading.header is None and number is not None:
        raise TableError(
            "NoHeader",
            f"Line {first.line} should name the columns, but holds the number "
            f'"{_shown(number.strip())}".',
            "Put a line with the columns' names first, such as "
            "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width,Species. If the names are numbers, "
            "years for instance, say which column is the label.",
        )
    return first


def _names(header: Record, rows: Sequence[Record]) -> tuple[str, ...]:
    names = tuple(field.strip() for field in header.fields)
    if not rows:
        return names
    widths = Counter(len(row.fields) for row in rows)
    width = max(widths, key=lambda each: (widths[each], each == len(names)))
    if width == len(names) - 1 and not names[-1]:
        return names[:-1]
    if width == len(names) + 1:
        last = (row.fields[-1].strip() for row in rows if len(row.fields) == width)
        return ("", *names) if any(last) else (*names, "")
    return names


def _check(names: Sequence[str], line: int) -> None:
    if len(names) > MAX_COLUMNS:
        raise TableError(
            "TooManyColumns",
            f"Line {line} names {len(names):,} columns, more than {MAX_COLUMNS:,}.",
            "Leave out columns that don't help to tell the classes apart, or combine them by a "
            "principal component analysis; then upload the file again.",
        )
    for place, name in enumerate(names, start=1):
        if len(name) > MAX_NAME:
            raise TableError(
                "LongColumnName",
                f"The name of column {place} in line {line} has {len(name):,} characters, "
                f'more than {MAX_NAME}: it begins with "{_shown(name)}".',
                "Put a line with short names of the columns first.",
            )
    twice = [name for name, count in Counter(filter(None, names)).items() if count > 1]
    if twice:
        raise TableError(
            "DuplicateColumn",
            f'Line {line} names the column "{_shown(twice[0])}" more than once.',
            "Give each column a name of its own.",
        )


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
