"""A table's rows in blocks: the text of each, and where every field of it is.

Most blocks can be proven simple: quotes stand only around fields, and lines end in one of the two
usual ways. Then numpy finds all fields at once. Whatever else is in a block goes through the csv
module, record by record. Both ways give the same fields; only the speed differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tabular.numbers import PADDING, Bytes, Mask, Places, padded
from tabular.records import MAX_RECORD, decode, is_blank, read_records, too_long
from tabular.text import with_last
from tabular.words import words_of

BLOCK = 1 << 20
"""Bytes looked at together: so many that Python's share of the work is small, so few that they
stay in the processor's cache."""

_HEAD = 1 << 12  # bytes that show whether fields are of one length

_TAB, _NEWLINE, _RETURN, _SPACE, _QUOTE, _ZERO = (np.uint8(ord(c)) for c in '\t\n\r "0')
_ASCII = np.uint8(127)


@dataclass(frozen=True)
class Rows:
    """The fields of those of a block's records that have as many as the table has columns.

    `records` are the places of these records in the block; `starts` and `ends` are the bounds of
    their fields in `array`, (columns, rows), without quotes. Two quotes that stand for one are one
    in `array`. `is_trimmed` says that there are no spaces around any field; `hashes` keeps those of
    columns of words.
    """

    array: Bytes
    records: Places
    starts: Places
    ends: Places
    is_trimmed: bool = False
    hashes: dict[int, NDArray[np.uint64]] = field(default_factory=dict)

    def bounds(self, columns: Sequence[int]) -> tuple[Places, Places]:
        """Return where some columns' fields start and end, without the spaces around them."""
        first, end = columns[0], columns[-1] + 1
        chosen = slice(first, end) if list(columns) == list(range(first, end)) else columns
        starts, ends = self.starts[chosen], self.ends[chosen]
        if self.is_trimmed:
            return starts, ends
        starts, ends = starts.copy(), ends.copy()
        low, high = starts.reshape(-1), ends.reshape(-1)
        for side, step, before in ((low, 1, 0), (high, -1, 1)):
            more = _is_space(self.array[side - before]) & (low < high)
            if more.any():
                side += step * more
                left = np.flatnonzero(_is_space(self.array[side - before]) & (low < high))
                while len(left):
                    side[left] += step
                    more = _is_space(self.array[side[left] - before]) & (low[left] < high[left])
                    left = left[more]
        return starts, ends

    def of(self, chosen: Mask) -> Rows:
        """Return some of the rows."""
        bounds = self.starts[:, chosen], self.ends[:, chosen]
        return Rows(self.array, self.records[chosen], *bounds, self.is_trimmed)

    def text(self, column: int, row: int) -> str:
        """Return the text of one field, without white space around it."""
        text = self.array[int(self.starts[column, row]) : int(self.ends[column, row])]
        return text.tobytes().decode().strip()


@dataclass(frozen=True)
class Block:
    """Whole records, `ends` being the places of their line ends in `array`; none is blank.

    `rows` has the fields of the records that are as wide as the table, `odd` tells how many fields
    each of the others has.
    """

    array: Bytes
    ends: Places
    lines: Places
    rows: Rows
    odd: dict[int, int]

    def __len__(self) -> int:
        return len(self.ends)

    def text(self, record: int) -> str:
        """Return the text of a record as it stands in the file, without its line end."""
        return self._texts(np.array([record]))[0]

    def texts_on(self, lines: Places) -> list[str]:
        """Return the texts of the records that start on some lines, as `text` does of one."""
        return self._texts(np.searchsorted(self.lines, lines))

    def _texts(self, records: Places) -> list[str]:
        data = self.array.data
        bounds = zip(*(side.tolist() for side in self._bounds(records)), strict=True)
        return [str(data[start:end], "utf-8").removesuffix("\r") for start, end in bounds]

    def _bounds(self, records: Places) -> tuple[Places, Places]:
        starts = self.ends[records - 1] + 1
        starts[records == 0] = 0
        return starts, self.ends[records]

    def texts(self, chosen: Mask) -> bytes:
        """Return the text of the chosen records as it stands in the file, a line each."""
        whole = self.array[: self.ends[-1] + 1]
        if chosen.all():
            return whole.tobytes()
        records = np.flatnonzero(chosen)
        starts, ends = self._bounds(records)
        # Few and short ones are faster fetched than all others left out.
        if 2 * len(records) < len(chosen) and (ends - starts).max(initial=0) < PADDING:
            words = words_of(self.array, starts, ends + 1).view(np.uint8)
            texts: Bytes = words[words != 0]
            if len(texts) == (ends + 1 - starts).sum():
                return texts.tobytes()
        texts = whole[np.repeat(chosen, np.diff(self.ends, prepend=-1))]
        return texts.tobytes()

    def _without(self, records: Sequence[int]) -> Block:
        """Return the block without some records that are no rows."""
        kept = np.ones(len(self), np.bool_)
        kept[records] = False
        places = np.cumsum(kept) - 1
        ends = np.cumsum(np.diff(self.ends, prepend=-1)[kept]) - 1
        rows = replace(self.rows, records=places[self.rows.records])
        odd = {int(places[r]): fields for r, fields in self.odd.items() if kept[r]}
        return Block(padded(self.texts(kept)), ends, self.lines[kept], rows, odd)


def read_blocks(
    chunks: Iterable[bytes], *, delimiter: str, width: int, line: int = 1, prove: bool = True
) -> Iterator[Block]:
    """Yield the records of UTF-8 chunks, in order; the table has at least 2 columns.

    The first chunk begins with `line`. Unless it is to `prove` blocks simple, it reads everything
    by the csv module: slow, and the measure of what is right. A `TableError` says that the text
    isn't UTF-8, that a record is longer than `MAX_RECORD`, or that the quoting is broken.
    """
    rest = b""
    for chunk, is_last in with_last(chunks, sys.maxsize):
        # What is left over from before the chunk has negative places.
        start = -len(rest)
        for end in (*range(BLOCK, len(chunk), BLOCK), len(chunk)):
            is_end = is_last and end == len(chunk)
            if start < 0 or end + PADDING > len(chunk):
                data = (rest[start:] if start < 0 else b"") + chunk[max(start, 0) : end]
                array = padded(data + b"\n" * (is_end and data[-1:] not in b"\n"))
            else:
                array = np.frombuffer(chunk, np.uint8, end + PADDING - start, start)
            ways = (_read_even, _read_simple, _read_by_csv_module)[0 if prove else 2 :]
            tried = (way(array, delimiter, width, line, is_last=is_end) for way in ways)
            block, used, line = next(filter(None, tried))
            if len(block):
                yield block
            start += used
            if end - start > MAX_RECORD:
                raise too_long(array[used:-PADDING].tobytes(), line)
        rest = rest[start:] + chunk if start < 0 else chunk[start:]


def _read_even(
    array: Bytes, delimiter: str, width: int, line: int, *, is_last: bool
) -> tuple[Block, int, int] | None:
    """Return what `_read_simple` does, if only one column's fields are of different lengths.

    Then line ends tell where all fields are; but for them, that is only to be proven.
    """
    size = len(array) - PADDING
    found = np.flatnonzero(_is_special(array[: min(size, _HEAD)], delimiter))
    lengths = np.diff(found[: len(found) // width * width], prepend=-1).reshape(-1, width)
    differing = np.flatnonzero((lengths != lengths[:1]).any(axis=0)).tolist() or [width - 1]
    if len(lengths) == 0 or len(differing) > 1:
        return None
    newlines = _newlines(array, size)
    if not len(newlines) or (is_last and newlines[-1] < size - 1):
        return None
    count, end = len(newlines), int(newlines[-1]) + 1
    first = np.concatenate(([0], newlines[:-1] + 1))
    ends = np.empty((width, count), np.intp)
    offsets = np.cumsum(lengths[0]).tolist()
    for column, offset in enumerate(offsets):
        if column < differing[0]:
            np.add(first, offset - 1, out=ends[column])
        else:
            np.subtract(newlines, offsets[-1] - offset, out=ends[column])
    starts = _starts(ends, first)
    if (
        (starts[differing[0]] > ends[differing[0]]).any()
        or (newlines - first).max() > MAX_RECORD
        or any((array[each] != ord(delimiter)).any() for each in ends[:-1])
        or np.count_nonzero(_is_special(array[:end], delimiter)) != ends.size
    ):
        return None
    if array[:end].max() > _ASCII:
        decode(array[:end].tobytes(), line)
    rows = Rows(array, np.arange(count), starts, ends, is_trimmed=True)
    return Block(array, newlines, np.arange(line, line + count), rows, {}), end, line + count


def _newlines(array: Bytes, size: int) -> Places:
    """Return where line ends are, in fewer steps if none has another within eight bytes."""
    is_newline = array[: size + -size % 8] == _NEWLINE
    is_newline[size:] = False
    words = is_newline.view(np.uint64)
    filled = np.flatnonzero(words != 0)
    # Of a single byte that is 1, in a word, there are as many bits below as bytes before, times 8.
    below = words[filled] - np.uint64(1)
    if (words[filled] & below).any():
        return np.flatnonzero(is_newline)
    places: Places = filled * 8 + (np.bitwise_count(below) >> 3)
    return places


def _starts(ends: Places, first: Places) -> Places:
    """Return where fields start, by the ends of those before them and the starts of the first."""
    starts = np.empty_like(ends)
    starts[0] = first
    np.add(ends[:-1], 1, out=starts[1:])
    return starts


def _is_special(array: Bytes, delimiter: str) -> Mask:
    """Return where bytes aren't sure to be part of a field, or are white space."""
    mark = np.uint8(ord(delimiter))
    is_special: Mask = array <= (max(mark, _QUOTE) if mark < _ZERO else _QUOTE)
    return is_special if mark < _ZERO else is_special | (array == mark)


def _read_simple(
    array: Bytes, delimiter: str, width: int, line: int, *, is_last: bool
) -> tuple[Block, int, int] | None:
    """Return what `_read_by_csv_module` does, or None if a padded block can't be proven simple.

    All that is left is `is_last`, and its last line has ended.
    """
    size, mark = len(array) - PADDING, np.uint8(ord(delimiter))
    places = np.flatnonzero(_is_special(array[:size], delimiter))
    marks = array[places]
    ends_record = marks == _NEWLINE
    separates = ends_record | (marks == mark)
    is_quote = marks == _QUOTE
    if is_quote.any():
        # With an odd number of quotes before it, a separator is part of a field.
        outside = ~np.logical_xor.accumulate(is_quote)
        ends_record, separates = ends_record & outside, separates & outside
    whole = slice(ends_record.tobytes().rfind(1) + 1)
    places, marks, is_quote = places[whole], marks[whole], is_quote[whole]
    ends_record, separates = ends_record[whole], separates[whole]
    end = int(places[-1]) + 1 if len(places) else 0
    if not end or (is_last and end < size):
        return None
    returns = quotes = places[:0]
    is_trimmed = separates.all()
    if not is_trimmed:
        quotes, returns = places[is_quote], places[marks == _RETURN]
        # Each quote opens or closes a field, or is one of two that stand for a quote.
        opening, closing = quotes[::2], quotes[1::2]
        borders = list(delimiter.encode() + b'\n\r"')
        beside = np.concatenate((array[opening[opening > 0] - 1], array[closing + 1]))
        if (array[returns + 1] != _NEWLINE).any() or not np.isin(beside, borders).all():
            return None
        spaces = places[(marks <= _SPACE) & (marks != _RETURN) & ~separates]
        around = np.concatenate((array[spaces[spaces > 0] - 1], array[spaces + 1]))
        # The first byte is beside a border.
        is_trimmed = not (0 in spaces[:1] or np.isin(around, borders).any())
        places, ends_record = places[separates], ends_record[separates]
    if array[:end].max() > _ASCII:
        decode(array[:end].tobytes(), line)
    count = int(np.count_nonzero(ends_record))
    odd: dict[int, int] = {}
    if len(places) == count * width and ends_record[width - 1 :: width].all():
        ends, regular = np.ascontiguousarray(places.reshape(count, width).T), np.arange(count)
        record_ends = ends[-1].copy()
    else:
        last = np.flatnonzero(ends_record)
        record_ends, widths = places[last], np.diff(last, prepend=-1)
        regular = np.flatnonzero(widths == width)
        odd = {place: int(widths[place]) for place in np.flatnonzero(widths != width).tolist()}
        ends = places[last[regular] - np.arange(width - 1, -1, -1)[:, None]]
    record_starts = np.concatenate(([0], record_ends[:-1] + 1))
    starts = _starts(ends, record_starts[regular] if odd else record_starts)
    if len(returns):
        ends[-1] -= array[ends[-1] - 1] == _RETURN
    fields, lines, next_line = array, np.arange(line, line + count), line + count
    if len(quotes):
        # A record may have several lines.
        newlines = np.flatnonzero(array[:end] == _NEWLINE)
        lines, next_line = line + np.searchsorted(newlines, record_starts), line + len(newlines)
        is_quoted = array[starts] == _QUOTE
        starts += is_quoted
        ends -= is_quoted
        if len(doubled := opening[1:][opening[1:] == closing[:-1] + 1]):
            fields = np.delete(array, doubled)
            starts -= np.searchsorted(doubled, starts)
            ends -= np.searchsorted(doubled, ends)
    rows = Rows(fields, regular, starts, ends, bool(is_trimmed))
    block = Block(array, record_ends, lines, rows, odd)
    if len(long := np.flatnonzero(record_ends - record_starts > MAX_RECORD)):
        raise too_long(block.text(long[0]).encode(), int(lines[long[0]]))
    blank = [r for r, fields in odd.items() if fields == 1 and is_blank(block.text(r), delimiter)]
    return block._without(blank) if blank else block, end, next_line


def _read_by_csv_module(
    array: Bytes, delimiter: str, width: int, line: int, *, is_last: bool
) -> tuple[Block, int, int]:
    """Return the whole records of a padded block, their bytes, and the line that follows."""
    data = array[:-PADDING].tobytes()
    records, used, line = read_records(data, delimiter, line, is_last=is_last)
    texts = [f"{record.text}\n".encode() for record in records]
    record_ends = np.cumsum([len(text) for text in texts], dtype=np.intp) - 1
    lines = np.array([record.line for record in records], np.intp)
    odd = {n: len(each.fields) for n, each in enumerate(records) if len(each.fields) != width}
    # The fields of the others stand one after the other in an array of their own.
    regular = [place for place in range(len(records)) if place not in odd]
    fields = [each.encode() for place in regular for each in records[place].fields]
    lengths = np.array([len(each) for each in fields], np.intp).reshape(-1, width)
    ends = np.cumsum(lengths).reshape(lengths.shape)
    bounds = np.ascontiguousarray((ends - lengths).T), np.ascontiguousarray(ends.T)
    rows = Rows(padded(b"".join(fields)), np.array(regular, np.intp), *bounds)
    return Block(padded(b"".join(texts)), record_ends, lines, rows, odd), used, line


def _is_space(bytes_: Bytes) -> Mask:
    is_space: Mask = (bytes_ == _SPACE) | (bytes_ - _TAB <= _RETURN - _TAB)
    return is_space
