"""A large file cut into ranges of whole records, though nobody has read it from its beginning.

A line break may stand inside quotes, and whether it does depends on all quotes before it. So each
range, cut at a line break, is looked through twice over, as if it began outside and inside of
quotes; when all ranges have been, what each one really begins with follows from the first on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tabular.errors import TableError
from tabular.records import MAX_RECORD, count_lines
from tabular.text import encoding_of

MAX_PARTS = 30_000
"""Enough for any file, and few enough that a list of them is small: 194 KiB as JSON."""


@dataclass(frozen=True)
class Range:
    """Bytes of a file, whole records, of which the first is on `line`."""

    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Scan:
    """What a range is like that begins and ends with a line.

    Of a beginning outside and of one inside of quotes: whether the range `ends_inside`, the place
    of its first record, None if there is none, and the lines before that. `encoding` is what its
    first character says that is not ASCII, if there is one.
    """

    lines: int
    encoding: str | None
    ends_inside: Sequence[bool]
    records: Sequence[int | None]
    lines_before: Sequence[int]


def cut(start: int, end: int, size: int) -> list[tuple[int, int]]:
    """Return ranges of about `size` bytes, before anything is known of lines and records.

    They are larger where there would be more than `MAX_PARTS`.
    """
    count = min(max(1, round((end - start) / size)), MAX_PARTS)
    return list(pairwise(start + (end - start) * number // count for number in range(count + 1)))


def bytes_to_scan(bounds: tuple[int, int], first: int, size: int) -> tuple[int, int]:
    """Return which bytes tell where the lines of a range begin and end.

    `first` is where the first row begins, `size` where the file ends.
    """
    return max(bounds[0] - 1, first), min(bounds[1] + MAX_RECORD, size)


def scan(data: bytes, bounds: tuple[int, int], first: int, size: int, delimiter: str) -> Scan:
    """Look through the lines that begin in a range; `data` is what `bytes_to_scan` asks for."""
    at = bytes_to_scan(bounds, first, size)[0]
    start = 0 if bounds[0] == first else _next_line(data, 0, at, size)
    end = len(data) if bounds[1] == size else _next_line(data, bounds[1] - 1 - at, at, size)
    lines = data[start:end]
    followed = [_follow_quotes(lines, delimiter, inside=inside) for inside in (False, True)]
    return Scan(
        count_lines(lines),
        encoding_of(lines),
        [is_inside for is_inside, _ in followed],
        [None if record is None else at + start + record for _, record in followed],
        [count_lines(lines[: record or 0]) for _, record in followed],
    )


def align(scans: Sequence[Scan], line: int, size: int) -> list[Range]:
    """Return ranges of whole records, the first on `line`; where none begins, a range is empty."""
    found, inside = [], False
    for each in scans:
        found.append((each.records[inside], line + each.lines_before[inside]))
        inside = each.ends_inside[inside]
        line += each.lines
    ranges: list[Range] = []
    end = size
    for start, of_start in reversed(found):
        start = end if start is None else start
        ranges.append(Range(start, end, of_start))
        end = start
    return ranges[::-1]


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
        "Check that the file is a CSV with one row per line, and upload it again.",
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
    before_field = b"\n\r" + delimiter.encode()
    record = None if inside else 0
    place = 0
    while (quote := data.find(b'"', place)) >= 0:
        if not inside:
            if record is None:
                record = _after_line_end(data, place, quote + 1)
            before = quote - 1
            while before >= 0 and data[before] == ord(" "):
                before -= 1
            inside = before < 0 or data[before] in before_field
        elif data[quote + 1 : quote + 2] == b'"':
            quote += 1
        else:
            inside = False
        place = quote + 1
    if not inside and record is None:
        record = _after_line_end(data, place, len(data))
    return inside, record
