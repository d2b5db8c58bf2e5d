"""A large file cut into ranges of whole records, though nobody has read it from its beginning.

A line break may stand inside quotes, and whether it does depends on all quotes before it. So each
range, cut at a line break, is looked through twice over, as if it began outside and inside of
quotes; when all ranges have been, what each one really begins with follows from the first on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Self

from tabular.errors import TableError
from tabular.records import MAX_RECORD
from tabular.text import encoding_of

_SPACE = ord(" ")

MAX_PARTS = 30_000
"""Their numbers, as JSON has them, stay under the 256 KiB that a task may answer: 194 KiB."""


@dataclass(frozen=True)
class Range:
    """Bytes of a file, whole records, of which the first is on `line`."""

    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Scan:
    """What a range is like that begins and ends with a line.

    `ends_inside` says for a beginning outside and inside of quotes whether its end is inside.
    `record` is where the first record begins, and `record_line` how many lines before it, if it
    begins inside; None if no record does. `encoding` is what its first character says that is not
    ASCII, if there is one.
    """

    start: int
    lines: int
    ends_inside: tuple[bool, bool]
    record: int | None
    record_line: int
    encoding: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the scan as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the scan that `as_dict` was made from."""
        outside, inside = fields["ends_inside"]
        return cls(**fields | {"ends_inside": (outside, inside)})


def cut(start: int, end: int, size: int) -> list[tuple[int, int]]:
    """Return ranges of about `size` bytes, before anything is known of lines and records.

    They are larger where there would be more than `MAX_PARTS`.
    """
    count = min(max(1, round((end - start) / size)), MAX_PARTS)
    places = [start + (end - start) * number // count for number in range(count + 1)]
    return list(pairwise(places))


def bytes_to_scan(bounds: tuple[int, int], first: int, size: int) -> tuple[int, int]:
    """Return which bytes tell where the lines of a range begin and end.

    Parameters
    ----------
    first, size
        Where the first row begins, and where the file ends.
    """
    return max(bounds[0] - 1, first), min(bounds[1] + MAX_RECORD, size)


def scan(data: bytes, bounds: tuple[int, int], first: int, size: int, delimiter: str) -> Scan:
    """Look through the lines that begin in a range.

    Parameters
    ----------
    data
        What `bytes_to_scan` asks for.

    Raises
    ------
    TableError
        A line is too long.
    """
    at = bytes_to_scan(bounds, first, size)[0]
    start = bounds[0] - at if bounds[0] == first else _next_line(data, 0, at, size)
    end = len(data) if bounds[1] == size else _next_line(data, bounds[1] - 1 - at, at, size)
    lines = data[start:end]
    outside, _ = _follow_quotes(lines, delimiter, inside=False)
    inside, record = _follow_quotes(lines, delimiter, inside=True)
    return Scan(
        start=at + start,
        lines=count_lines(lines),
        ends_inside=(outside, inside),
        record=None if record is None else at + start + record,
        record_line=count_lines(lines[:record]) if record else 0,
        encoding=encoding_of(lines),
    )


def align(scans: Sequence[Scan], line: int, size: int) -> list[Range]:
    """Return ranges of whole records; one is empty if no record begins in it.

    Parameters
    ----------
    line
        Of the first row.
    """
    starts: list[int | None] = []
    lines: list[int] = []
    is_inside = False
    for each in scans:
        starts.append(each.record if is_inside else each.start)
        lines.append(line + (each.record_line if is_inside else 0))
        is_inside = each.ends_inside[is_inside]
        line += each.lines
    ranges: list[Range] = []
    end = size
    for start, of_start in zip(reversed(starts), reversed(lines), strict=True):
        begin = end if start is None else start
        ranges.append(Range(begin, end, of_start))
        end = begin
    return ranges[::-1]


def count_lines(data: bytes) -> int:
    r"""Return the line ends in data: ``\n``, ``\r\n``, and ``\r`` by itself."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def _next_line(data: bytes, place: int, at: int, size: int) -> int:
    # Two ranges that meet must find the same line: what is looked through is the same to both.
    found = _after_line_end(data, place, min(place + 1 + MAX_RECORD, len(data)))
    if found is not None:
        return found
    if at + len(data) == size:
        return len(data)
    raise TableError(
        "LineTooLong",
        f"The line at byte {at + place:,} is longer than {MAX_RECORD:,} bytes.",
        "Check that the file is a CSV with a line a row and upload it again.",
    )


def _after_line_end(data: bytes, start: int, end: int) -> int | None:
    r"""Return where the first line has ended: by ``\n``, or by ``\r`` if there is none."""
    found = data.find(b"\n", start, end)
    if found < 0:
        # The last may be half of a line end.
        found = data.find(b"\r", start, end - 1)
    return found + 1 if found >= 0 else None


def _follow_quotes(data: bytes, delimiter: str, *, inside: bool) -> tuple[bool, int | None]:
    """Return whether data ends inside of quotes, and where its first record begins.

    As the csv module does: a quote opens a field only at its beginning, spaces aside; a doubled
    one inside stands for itself.
    """
    before_field = tuple(b"\n\r" + delimiter.encode())
    record = None if inside else 0
    place = 0
    while (quote := data.find(b'"', place)) >= 0:
        if inside:
            if data[quote + 1 : quote + 2] == b'"':
                place = quote + 2
                continue
            inside = False
        else:
            if record is None:
                record = _after_line_end(data, place, quote + 1)
            before = quote - 1
            while before >= 0 and data[before] == _SPACE:
                before -= 1
            inside = before < 0 or data[before] in before_field
        place = quote + 1
    if not inside and record is None:
        record = _after_line_end(data, place, len(data))
    return inside, record
