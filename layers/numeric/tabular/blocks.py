"""A table's rows in blocks: the text of each, and where every field of it is.

Most blocks can be proven simple: quotes stand only around fields, and lines end in one of the two
usual ways. Then numpy finds all fields at once. Whatever else is in a block goes through the csv
module, record by record. Both ways give the same fields; only the speed differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tabular.numbers import padded
from tabular.records import MAX_RECORD, Record, check_utf8, read_record, read_records, too_long

BLOCK = 1 << 20
"""Bytes looked at together: so many that Python's share of the work is small, so few that they
stay in the processor's cache."""

_NEWLINE, _RETURN, _QUOTE, _SPACE = (np.uint8(ord(c)) for c in '\n\r" ')


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
        if not self.is_bare:
            starts, ends = starts.copy(), ends.copy()
            while (more := (starts < ends) & (self.array[starts] == _SPACE)).any():
                starts += more
            while (more := (starts < ends) & (self.array[ends - 1] == _SPACE)).any():
                ends -= more
        return starts, ends

    def of(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        bounds = self.starts[:, chosen], self.ends[:, chosen]
        return Rows(self.array, self.records[chosen], *bounds, self.is_bare)

    @classmethod
    def joined(cls, several: Sequence[Rows]) -> Rows:
        """Return rows of one block together, in the order of their records."""
        order = np.argsort(np.concatenate([rows.records for rows in several]))
        shifts = np.cumsum([0, *(len(rows.array) for rows in several)])
        starts, ends = (
            np.concatenate(
                [getattr(r, side) + shift for r, shift in zip(several, shifts, strict=False)],
                axis=1,
            )[:, order]
            for side in ("starts", "ends")
        )
        records = np.concatenate([rows.records for rows in several])[order]
        return cls(np.concatenate([rows.array for rows in several]), records, starts, ends)

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
    """Yield the records of UTF-8 chunks, in order.

    Parameters
    ----------
    width
        Columns of the table, at least 2.
    line
        Number of the line that the first chunk begins with.
    prove
        False reads everything by the csv module: slow, and the measure of what is right.

    Raises
    ------
    TableError
        The text isn't UTF-8, a record is longer than `MAX_RECORD`, or the quoting is broken.
    """
    rest = b""
    for chunk, is_last in _with_last(chunks):
        data = rest + chunk
        block = _prove(data, delimiter, width, line, is_last=is_last) if prove else None
        if block:
            used = int(block.used)
            if len(block.block):
                yield block.block
            line += data.count(b"\n", 0, used)
        else:
            records, used, line = read_records(data, delimiter, line, is_last=is_last)
            if records:
                yield _of_records(records, width)
        rest = data[used:]
        if len(rest) > MAX_RECORD:
            raise too_long(rest, line)


def _with_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield chunks of at most `BLOCK` bytes, each with whether it is the last; one at least."""
    before = b""
    for chunk in chunks:
        for start in range(0, len(chunk), BLOCK):
            if before:
                yield before, False
            before = chunk[start : start + BLOCK]
    yield before, True


@dataclass(frozen=True)
class _Proven:
    block: Block
    used: int


def _prove(data: bytes, delimiter: str, width: int, line: int, *, is_last: bool) -> _Proven | None:
    """Return the whole records of `data`, or None if they can't be proven simple."""
    used = len(data)
    if is_last and data and not data.endswith(b"\n"):
        data += b"\n"
    end = data.rfind(b"\n") + 1
    if not end:
        return None
    array = padded(data)
    is_newline = array == _NEWLINE
    found = array == np.uint8(ord(delimiter))
    found |= is_newline
    quotes = None
    if b'"' in data:
        is_quote = array == _QUOTE
        # With an odd number of quotes before it, a separator is part of a field.
        outside = ~np.logical_xor.accumulate(is_quote)
        found &= outside
        is_newline &= outside
        newlines = np.flatnonzero(is_newline)
        if not len(newlines) or (is_last and int(newlines[-1]) + 1 < len(data)):
            return None
        end = int(newlines[-1]) + 1
        quotes = np.flatnonzero(is_quote[:end])
        if not _are_around_fields(array, quotes, delimiter):
            return None
    data = data[:end]
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return None
    check_utf8(data, line)
    separators = np.flatnonzero(found[:end])
    block = _locate(data, line, array, separators, is_newline[:end], width, quotes)
    odd = np.ones(len(block), np.bool_)
    odd[block.rows[0].records] = False
    if odd.any():
        block = _with_odd(block, np.flatnonzero(odd), delimiter, width)
    return _Proven(block, min(end, used))


def _locate(
    data: bytes,
    line: int,
    array: NDArray[np.uint8],
    separators: NDArray[np.intp],
    is_newline: NDArray[np.bool_],
    width: int,
    quotes: NDArray[np.intp] | None,
) -> Block:
    """Return the block with the fields of the records that have `width` of them."""
    count = int(np.count_nonzero(is_newline))
    rows = separators.reshape(count, -1) if len(separators) == count * width else None
    if rows is not None and is_newline[rows[:, -1]].all():
        ends = np.ascontiguousarray(rows.T)
        record_ends = ends[-1].copy()
        regular = np.arange(count)
    else:
        places = np.flatnonzero(is_newline[separators])
        record_ends = separators[places]
        regular = np.flatnonzero(np.diff(places, prepend=-1) == width)
        ends = separators[places[regular] - np.arange(width - 1, -1, -1)[:, None]]
    starts = np.empty_like(ends)
    np.add(ends[:-1], 1, out=starts[1:])
    starts[0] = np.concatenate(([0], record_ends[:-1] + 1))[regular]
    if b"\r" in data:
        ends[-1] -= array[ends[-1] - 1] == _RETURN
    if quotes is None:
        lines = np.arange(line, line + count)
        found = Rows(array, regular, starts, ends, is_bare=b" " not in data)
    else:
        line_ends = np.flatnonzero(array[: len(data)] == _NEWLINE)
        lines = line + np.searchsorted(line_ends, np.concatenate(([0], record_ends[:-1] + 1)))
        found = _unquoted(array, quotes, record_ends, regular, starts, ends)
    lengths = np.diff(record_ends, prepend=-1)
    if lengths.max() > MAX_RECORD:
        place = int(lengths.argmax())
        longest = data[int(record_ends[place] - lengths[place]) + 1 : int(record_ends[place])]
        if len(longest.removesuffix(b"\r")) > MAX_RECORD:
            raise too_long(longest, int(lines[place]))
    return Block(data, record_ends, lines, (found,), {})


def _unquoted(
    array: NDArray[np.uint8],
    quotes: NDArray[np.intp],
    record_ends: NDArray[np.intp],
    regular: NDArray[np.intp],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
) -> Rows:
    """Return the fields without their quotes, but for records that have doubled ones."""
    opening = quotes[::2]
    # A doubled quote stands for one: such a field is not what its bytes are.
    doubled = opening[array[opening - 1] == _QUOTE]
    simple = ~np.isin(regular, np.searchsorted(record_ends, doubled))
    starts, ends = starts[:, simple], ends[:, simple]
    quoted = array[starts] == _QUOTE
    return Rows(array, regular[simple], starts + quoted, ends - quoted)


def _are_around_fields(array: NDArray[np.uint8], quotes: NDArray[np.intp], delimiter: str) -> bool:
    """Whether each quote opens or closes a field, or is one of two that stand for a quote."""
    opening, closing = quotes[::2], quotes[1::2]
    mark = np.uint8(ord(delimiter))
    before = array[opening - 1]
    before[opening == 0] = _NEWLINE
    after = array[closing + 1]
    ends_line = (after == _RETURN) & (array[np.minimum(closing + 2, len(array) - 1)] == _NEWLINE)
    return bool(
        ((before == mark) | (before == _NEWLINE) | (before == _QUOTE)).all()
        and ((after == mark) | (after == _NEWLINE) | (after == _QUOTE) | ends_line).all()
    )


def _with_odd(block: Block, odd: NDArray[np.intp], delimiter: str, width: int) -> Block:
    """Return a block with what the csv module finds in some of its records; blank ones go."""
    records = {
        place: read_record(block.text(place), delimiter, int(block.lines[place]))
        for place in odd.tolist()
    }
    blank = [place for place, record in records.items() if record is None]
    found = {place: record for place, record in records.items() if record is not None}
    if blank:
        kept = np.ones(len(block), np.bool_)
        kept[blank] = False
        moved = np.cumsum(kept) - 1
        (simple,) = block.rows
        data = block.texts(kept)
        lengths = np.diff(block.ends, prepend=-1)[kept]
        simple = Rows(
            simple.array, moved[simple.records], simple.starts, simple.ends, simple.is_bare
        )
        block = Block(data, np.cumsum(lengths) - 1, block.lines[kept], (simple,), {})
        found = {int(moved[place]): record for place, record in found.items()}
    wide = {place: record for place, record in found.items() if len(record.fields) == width}
    return Block(
        block.data,
        block.ends,
        block.lines,
        (*block.rows, _fields_of(wide, width)),
        {place: len(each.fields) for place, each in found.items() if place not in wide},
    )


def _of_records(records: Sequence[Record], width: int) -> Block:
    """Return the block of records that the csv module has read."""
    texts = [f"{record.text}\n".encode() for record in records]
    wide = {place: each for place, each in enumerate(records) if len(each.fields) == width}
    return Block(
        b"".join(texts),
        np.cumsum([len(text) for text in texts]) - 1,
        np.array([record.line for record in records]),
        (_fields_of(wide, width),),
        {p: len(each.fields) for p, each in enumerate(records) if p not in wide},
    )


def _fields_of(records: dict[int, Record], width: int) -> Rows:
    """Return the fields of records as they are, one after the other in an array of their own."""
    fields = [field.encode() for record in records.values() for field in record.fields]
    lengths = np.array([len(field) for field in fields], np.intp).reshape(-1, width)
    ends = np.cumsum(lengths).reshape(lengths.shape)
    return Rows(
        padded(b"".join(fields)),
        np.array(list(records), np.intp),
        np.ascontiguousarray((ends - lengths).T),
        np.ascontiguousarray(ends.T),
    )
