"""A table's rows in blocks: the text of each, and where every field of it is.

Most blocks can be proven simple: quotes stand only around fields, and lines end in one of the two
usual ways. Then numpy finds all fields at once. Whatever else is in a block goes through the csv
module, record by record. Both ways give the same fields; only the speed differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tabular.numbers import PADDING, Bytes, Mask, Places, padded
from tabular.records import MAX_RECORD, decode, is_blank, read_records, too_long
from tabular.text import with_last
from tabular.words import words_of

BLOCK = 1 << 20
"""Bytes looked at together: so many that Python's share of the work is small, so few that they
stay in the processor's cache."""

_TAB, _NEWLINE, _RETURN, _SPACE, _QUOTE, _ZERO = (np.uint8(ord(c)) for c in '\t\n\r "0')


@dataclass(frozen=True)
class Rows:
    """The fields of those of a block's records that have as many as the table has columns.

    `records` are the places of these records in the block; `starts` and `ends` are the bounds of
    their fields in `array`, (columns, rows), without quotes. Two quotes that stand for one are one
    in `array`. `is_trimmed` says that there are no spaces around any field.
    """

    array: Bytes
    records: Places
    starts: Places
    ends: Places
    is_trimmed: bool = False

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
        field = self.array[int(self.starts[column, row]) : int(self.ends[column, row])]
        return field.tobytes().decode().strip()


@dataclass(frozen=True)
class Block:
    """Whole records, `ends` being the places of their line ends in `data`; none is blank.

    `rows` has the fields of the records that are as wide as the table, `odd` tells how many fields
    each of the others has.
    """

    data: bytes
    ends: Places
    lines: Places
    rows: Rows
    odd: dict[int, int]

    def __len__(self) -> int:
        return len(self.ends)

    def text(self, record: int) -> str:
        """Return the text of a record as it stands in the file, without its line end."""
        start = int(self.ends[record - 1]) + 1 if record else 0
        return self.data[start : int(self.ends[record])].decode().removesuffix("\r")

    def texts_on(self, lines: Places) -> list[str]:
        """Return the texts of the records that start on some lines, as `text` does of one."""
        records = np.searchsorted(self.lines, lines)
        starts = np.where(records > 0, self.ends[records - 1] + 1, 0)
        bounds = zip(starts.tolist(), self.ends[records].tolist(), strict=True)
        return [self.data[start:end].decode().removesuffix("\r") for start, end in bounds]

    def texts(self, chosen: Mask) -> bytes:
        """Return the text of the chosen records as it stands in the file, a line each."""
        if chosen.all():
            return self.data
        lengths = np.diff(self.ends, prepend=-1)
        records = np.flatnonzero(chosen)
        is_short = lengths[records].max(initial=0) <= PADDING and b"\0" not in self.data
        if is_short and 2 * len(records) < len(chosen):
            ends = self.ends[records] + 1
            words = words_of(padded(self.data), ends - lengths[records], ends).view(np.uint8)
            return words[words != 0].tobytes()
        is_chosen = np.repeat(chosen, lengths)
        return np.frombuffer(self.data, np.uint8)[is_chosen].tobytes()

    def _without(self, records: Sequence[int]) -> Block:
        """Return the block without some records that are no rows."""
        kept = np.ones(len(self), np.bool_)
        kept[records] = False
        places = np.cumsum(kept) - 1
        ends = np.cumsum(np.diff(self.ends, prepend=-1)[kept]) - 1
        rows = replace(self.rows, records=places[self.rows.records])
        odd = {int(places[r]): fields for r, fields in self.odd.items() if kept[r]}
        return Block(self.texts(kept), ends, self.lines[kept], rows, odd)


def read_blocks(
    chunks: Iterable[bytes], *, delimiter: str, width: int, line: int = 1, prove: bool = True
) -> Iterator[Block]:
    """Yield the records of UTF-8 chunks, in order; the table has at least 2 columns.

    The first chunk begins with `line`. Unless it is to `prove` blocks simple, it reads everything
    by the csv module: slow, and the measure of what is right. A `TableError` says that the text
    isn't UTF-8, that a record is longer than `MAX_RECORD`, or that the quoting is broken.
    """
    rest = b""
    for chunk, is_last in with_last(chunks, BLOCK):
        data = rest + chunk
        if is_last and data and not data.endswith(b"\n"):
            data += b"\n"
        table = delimiter, width, line
        proven = _read_simple(data, *table, is_last=is_last) if prove else None
        block, used, line = proven or _read_by_csv_module(data, *table, is_last=is_last)
        if len(block):
            yield block
        rest = data[used:]
        if len(rest) > MAX_RECORD:
            raise too_long(rest, line)


def _read_simple(
    data: bytes, delimiter: str, width: int, line: int, *, is_last: bool
) -> tuple[Block, int, int] | None:
    """Return what `_read_by_csv_module` does, or None if `data` can't be proven simple.

    All that is left is `is_last`, and its last line has ended.
    """
    array, mark = padded(data), np.uint8(ord(delimiter))
    # What isn't among these is part of a field, and no white space.
    is_special = array <= max(mark, _QUOTE) if mark < _ZERO else (array <= _QUOTE) | (array == mark)
    places = np.flatnonzero(is_special[: data.rfind(b"\n") + 1])
    marks = array[places]
    is_newline = ends_record = marks == _NEWLINE
    separates = is_newline | (marks == mark)
    returns = quotes = spaces = np.zeros(0, np.intp)
    if not separates.all():
        if (is_quote := marks == _QUOTE).any():
            # With an odd number of quotes before it, a separator is part of a field.
            outside = ~np.logical_xor.accumulate(is_quote)
            ends_record = is_newline & outside
            used = np.arange(len(marks)) <= np.flatnonzero(ends_record).max(initial=-1)
            quotes = places[is_quote & used]
            places, marks, is_newline = places[used], marks[used], is_newline[used]
            ends_record, separates = ends_record[used], (separates & outside)[used]
        returns = np.flatnonzero(marks == _RETURN)
        spaces = places[(marks <= _SPACE) & (marks != _RETURN) & ~separates]
    end = int(places[-1]) + 1 if len(places) else 0
    if not end or (is_last and end < len(data)):
        return None
    if (array[places[returns] + 1] != _NEWLINE).any():
        return None
    # Each quote opens or closes a field, or is one of two that stand for a quote.
    opening, closing = quotes[::2], quotes[1::2]
    beside = np.concatenate((array[opening[opening > 0] - 1], array[closing + 1]))
    if not np.isin(beside, list(delimiter.encode() + b'\n\r"')).all():
        return None
    if not data.isascii():
        decode(data[:end], line)
    separators = places if separates.all() else places[separates]
    count = np.count_nonzero(ends_record)
    is_last_of_record = array[separators] == _NEWLINE
    if len(separators) == count * width and is_last_of_record[width - 1 :: width].all():
        ends = np.ascontiguousarray(separators.reshape(count, width).T)
        record_ends, regular, odd = ends[-1].copy(), np.arange(count), {}
    else:
        last = np.flatnonzero(is_last_of_record)
        record_ends, widths = separators[last], np.diff(last, prepend=-1)
        regular = np.flatnonzero(widths == width)
        odd = {place: int(widths[place]) for place in np.flatnonzero(widths != width).tolist()}
        ends = separators[last[regular] - np.arange(width - 1, -1, -1)[:, None]]
    record_starts = np.concatenate(([0], record_ends[:-1] + 1))
    starts = np.empty_like(ends)
    np.add(ends[:-1], 1, out=starts[1:])
    starts[0] = record_starts if not odd else record_starts[regular]
    if len(returns):
        ends[-1] -= array[ends[-1] - 1] == _RETURN
    # Before the first byte is the last of the padding, a zero.
    around = np.concatenate((array[spaces - 1], array[spaces + 1]))
    is_trimmed = not np.isin(around, list(delimiter.encode() + b'\0\n\r"')).any()
    lines, next_line = np.arange(line, line + count), line + count
    if len(quotes):
        # A record may have several lines.
        newlines = places[is_newline]
        lines, next_line = line + np.searchsorted(newlines, record_starts), line + len(newlines)
        is_quoted = array[starts] == _QUOTE
        starts += is_quoted
        ends -= is_quoted
        if len(doubled := opening[array[opening - 1] == _QUOTE]):
            array = np.delete(array, doubled)
            starts -= np.searchsorted(doubled, starts)
            ends -= np.searchsorted(doubled, ends)
    rows = Rows(array, regular, starts, ends, is_trimmed)
    block = Block(data[:end], record_ends, lines, rows, odd)
    if len(long := np.flatnonzero(record_ends - record_starts > MAX_RECORD)):
        raise too_long(block.text(long[0]).encode(), int(lines[long[0]]))
    blank = [r for r, fields in odd.items() if fields == 1 and is_blank(block.text(r), delimiter)]
    return block._without(blank) if blank else block, end, next_line


def _read_by_csv_module(
    data: bytes, delimiter: str, width: int, line: int, *, is_last: bool
) -> tuple[Block, int, int]:
    """Return the whole records of `data`, their bytes, and the line that follows."""
    records, used, line = read_records(data, delimiter, line, is_last=is_last)
    texts = [f"{record.text}\n".encode() for record in records]
    record_ends = np.cumsum([len(text) for text in texts], dtype=np.intp) - 1
    lines = np.array([record.line for record in records], np.intp)
    odd = {n: len(each.fields) for n, each in enumerate(records) if len(each.fields) != width}
    # The fields of the others stand one after the other in an array of their own.
    regular = [place for place in range(len(records)) if place not in odd]
    fields = [field.encode() for place in regular for field in records[place].fields]
    lengths = np.array([len(field) for field in fields], np.intp).reshape(-1, width)
    ends = np.cumsum(lengths).reshape(lengths.shape)
    bounds = np.ascontiguousarray((ends - lengths).T), np.ascontiguousarray(ends.T)
    rows = Rows(padded(b"".join(fields)), np.array(regular, np.intp), *bounds)
    return Block(b"".join(texts), record_ends, lines, rows, odd), used, line


def _is_space(bytes_: Bytes) -> Mask:
    is_space: Mask = (bytes_ == _SPACE) | (bytes_ - _TAB <= _RETURN - _TAB)
    return is_space
