"""A table's rows in blocks: the text of each, and where every field of it is.

Most blocks can be proven simple: quotes stand only around fields, and lines end in one of the two
usual ways. Then numpy finds all fields at once. Whatever else is in a block goes through the csv
module, record by record. Both ways give the same fields; only the speed differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tabular.numbers import PADDING, padded
from tabular.records import MAX_RECORD, Record, check_utf8, is_blank, read_records, too_long
from tabular.text import with_last

BLOCK = 1 << 20
"""Bytes looked at together: so many that Python's share of the work is small, so few that they
stay in the processor's cache."""

_TAB, _NEWLINE, _RETURN, _QUOTE, _SPACE = (np.uint8(ord(c)) for c in '\t\n\r" ')


@dataclass(frozen=True)
class Rows:
    """The fields of those of a block's records that have as many as the table has columns.

    `records` are the places of these records in the block; `starts` and `ends` are the bounds of
    their fields in `array`, (columns, rows), without quotes. `is_bare` says that a record's fields
    stand in `array` as in the file, one delimiter apart, and nothing else.
    """

    array: NDArray[np.uint8]
    records: NDArray[np.intp]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    is_bare: bool = False

    def bounds(self, columns: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return where some columns' fields start and end, without the spaces around them."""
        first, last = columns[0], columns[-1]
        if list(columns) == list(range(first, last + 1)):
            starts, ends = self.starts[first : last + 1], self.ends[first : last + 1]
        else:
            starts, ends = self.starts[columns], self.ends[columns]
        if self.is_bare:
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

    def of(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        bounds = self.starts[:, chosen], self.ends[:, chosen]
        return Rows(self.array, self.records[chosen], *bounds, self.is_bare)

    @classmethod
    def joined(cls, several: Sequence[Rows]) -> Rows:
        """Return rows of one block together, in the order of their records."""
        shifts = np.cumsum([0, *(len(rows.array) for rows in several[:-1])])
        pairs = list(zip(several, shifts, strict=True))
        records = np.concatenate([rows.records for rows in several])
        order = np.argsort(records)
        starts = np.concatenate([rows.starts + shift for rows, shift in pairs], axis=1)[:, order]
        ends = np.concatenate([rows.ends + shift for rows, shift in pairs], axis=1)[:, order]
        return cls(np.concatenate([r.array for r in several]), records[order], starts, ends)

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
    ends: NDArray[np.intp]
    lines: NDArray[np.intp]
    rows: tuple[Rows, ...]
    odd: dict[int, int]

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """The places where records begin."""
        return np.concatenate(([0], self.ends[:-1] + 1))

    def text(self, record: int) -> str:
        """Return the text of a record as it stands in the file, without its line end."""
        text = self.data[int(self.starts[record]) : int(self.ends[record])].decode()
        return text.removesuffix("\r")

    def texts(self, chosen: NDArray[np.bool_]) -> bytes:
        """Return the text of the chosen records as it stands in the file, a line each."""
        if chosen.all():
            return self.data
        array = np.frombuffer(self.data, np.uint8)
        return array[np.repeat(chosen, np.diff(self.ends, prepend=-1))].tobytes()


def read_blocks(
    chunks: Iterable[bytes], *, delimiter: str, width: int, line: int = 1, prove: bool = True
) -> Iterator[Block]:
    """Yield the records of UTF-8 chunks, in order; the table has at least 2 columns.

    The first chunk begins with `line`. Unless it is to `prove` blocks simple, it reads everything
    by the csv module: slow, and the measure of what is right.

    Raises
    ------
    TableError
        The text isn't UTF-8, a record is longer than `MAX_RECORD`, or the quoting is broken.
    """
    rest = b""
    for chunk, is_last in with_last(chunks, BLOCK):
        data = rest + chunk
        if is_last and data and not data.endswith(b"\n"):
            data += b"\n"
        proven = _proven(data, delimiter, width, line, is_last=is_last) if prove else None
        if proven:
            block, used, lines = proven
            line += lines
        else:
            records, used, line = read_records(data, delimiter, line, is_last=is_last)
            texts = [f"{record.text}\n".encode() for record in records]
            ends = np.cumsum([len(text) for text in texts], dtype=np.intp) - 1
            places = np.array([record.line for record in records], np.intp)
            rows, odd = _by_width(range(len(records)), records, width)
            block = Block(b"".join(texts), ends, places, (rows,), odd)
        if len(block):
            yield block
        rest = data[used:]
        if len(rest) > MAX_RECORD:
            raise too_long(rest, line)


def _proven(
    data: bytes, delimiter: str, width: int, line: int, *, is_last: bool
) -> tuple[Block, int, int] | None:
    """Return the whole records of `data`, their bytes and lines; None if they aren't simple.

    All that is left is `is_last`, and its last line has ended.
    """
    end = data.rfind(b"\n") + 1
    array = padded(data)
    is_newline = ends_record = array == _NEWLINE
    found = array == np.uint8(ord(delimiter))
    quotes = np.zeros(0, np.intp)
    if b'"' in data:
        is_quote = array == _QUOTE
        # With an odd number of quotes before it, a separator is part of a field.
        outside = ~np.logical_xor.accumulate(is_quote)
        found &= outside
        ends_record = is_newline & outside
        end = int(np.flatnonzero(ends_record)[-1]) + 1 if ends_record.any() else 0
        quotes = np.flatnonzero(is_quote[:end])
    if not end or (is_last and end < len(array) - PADDING):
        return None
    data = data[:end]
    if b"\r" in data and ((array[:end] == _RETURN) & ~is_newline[1 : end + 1]).any():
        return None
    # Each quote opens or closes a field, or is one of two that stand for a quote.
    opening, closing = quotes[::2], quotes[1::2]
    beside = np.concatenate((array[opening[opening > 0] - 1], array[closing + 1]))
    if not np.isin(beside, list(delimiter.encode() + b'\n\r"')).all():
        return None
    check_utf8(data, line)
    found |= ends_record
    separators = np.flatnonzero(found[:end])
    block = _located(data, delimiter, width, line, array, separators, ends_record, quotes)
    lines = int(np.count_nonzero(is_newline[:end]))
    is_odd = np.ones(len(block), np.bool_)
    is_odd[block.rows[0].records] = False
    if is_odd.any():
        places = np.flatnonzero(is_odd).tolist()
        records, _, _ = read_records(block.texts(is_odd), delimiter, line, is_last=True)
        if len(records) < len(places):
            kept = np.ones(len(block), np.bool_)
            kept[[place for place in places if is_blank(block.text(place), delimiter)]] = False
            moved = np.cumsum(kept) - 1
            rows = replace(block.rows[0], records=moved[block.rows[0].records])
            ends = np.cumsum(np.diff(block.ends, prepend=-1)[kept]) - 1
            block = Block(block.texts(kept), ends, block.lines[kept], (rows,), {})
            places = moved[is_odd & kept].tolist()
        rows, odd = _by_width(places, records, width)
        block = replace(block, rows=(*block.rows, rows), odd=odd)
    return block, end, lines


def _located(
    data: bytes,
    delimiter: str,
    width: int,
    line: int,
    array: NDArray[np.uint8],
    separators: NDArray[np.intp],
    ends_record: NDArray[np.bool_],
    quotes: NDArray[np.intp],
) -> Block:
    """Return the block with the fields of those records that have `width` and no doubled quote."""
    count = int(np.count_nonzero(ends_record[: len(data)]))
    if len(separators) == count * width and ends_record[separators[width - 1 :: width]].all():
        ends = np.ascontiguousarray(separators.reshape(count, width).T)
        record_ends = ends[-1].copy()
        regular = np.arange(count)
    else:
        places = np.flatnonzero(ends_record[separators])
        record_ends = separators[places]
        regular = np.flatnonzero(np.diff(places, prepend=-1) == width)
        ends = separators[places[regular] - np.arange(width - 1, -1, -1)[:, None]]
    record_starts = np.concatenate(([0], record_ends[:-1] + 1))
    starts = np.empty_like(ends)
    np.add(ends[:-1], 1, out=starts[1:])
    starts[0] = record_starts[regular]
    returns = np.count_nonzero(array[: len(data)] == _RETURN) if b"\r" in data else 0
    if returns:
        ends[-1] -= array[ends[-1] - 1] == _RETURN
    lines = np.arange(line, line + count)
    # Bytes up to a space are then line ends and delimiters only.
    small = np.count_nonzero(array[: len(data)] <= _SPACE) - returns
    is_bare = not len(quotes) and small == (len(separators) if delimiter < " " else count)
    if len(quotes):
        line_ends = np.flatnonzero(array[: len(data)] == _NEWLINE)
        lines = line + np.searchsorted(line_ends, record_starts)
        opening = quotes[::2]
        # A doubled quote stands for one: such a field is not what its bytes are.
        if len(doubled := opening[array[opening - 1] == _QUOTE]):
            simple = ~np.isin(regular, np.searchsorted(record_ends, doubled))
            regular, starts, ends = regular[simple], starts[:, simple], ends[:, simple]
        is_quoted = array[starts] == _QUOTE
        starts += is_quoted
        ends -= is_quoted
    if len(long := np.flatnonzero(record_ends - record_starts > MAX_RECORD)):
        text = data[int(record_starts[long[0]]) : int(record_ends[long[0]])]
        raise too_long(text, int(lines[long[0]]))
    return Block(data, record_ends, lines, (Rows(array, regular, starts, ends, is_bare),), {})


def _by_width(
    places: Sequence[int], records: Sequence[Record], width: int
) -> tuple[Rows, dict[int, int]]:
    """Return the fields of the records with `width` of them, and how many each other one has.

    They stand one after the other in an array of their own.
    """
    fields = {place: record.fields for place, record in zip(places, records, strict=True)}
    wide = {place: each for place, each in fields.items() if len(each) == width}
    texts = [field.encode() for each in wide.values() for field in each]
    lengths = np.array([len(text) for text in texts], np.intp).reshape(-1, width)
    ends = np.cumsum(lengths).reshape(lengths.shape)
    bounds = np.ascontiguousarray((ends - lengths).T), np.ascontiguousarray(ends.T)
    rows = Rows(padded(b"".join(texts)), np.array(list(wide), np.intp), *bounds)
    return rows, {place: len(each) for place, each in fields.items() if place not in wide}


def _is_space(bytes_: NDArray[np.uint8]) -> NDArray[np.bool_]:
    is_space: NDArray[np.bool_] = (bytes_ == _SPACE) | (bytes_ - _TAB <= _RETURN - _TAB)
    return is_space
