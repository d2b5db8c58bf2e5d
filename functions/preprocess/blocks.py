"""A file's bytes in blocks of whole records, with the place of every field.

Most blocks can be proven to be simple: quotes stand only around fields, every line end is one of
the two usual ones. Then all fields of a block are found at once. Any other block is read by the
csv module, record by record. Both ways give the same records; only the speed differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.decimals import padded
from records import MAX_RECORD, Record, check_utf8, read_records, too_long

BLOCK = 1 << 20
"""Bytes looked at together: so many that Python's share of the work is small, so few that they
stay in the processor's cache."""

_NEWLINE, _RETURN, _QUOTE, _SPACE = (np.uint8(ord(c)) for c in '\n\r" ')


@dataclass(frozen=True)
class Block:
    """Records that are proven simple.

    `starts` and `ends` are the bounds of the fields of the records in `regular`, those that have
    just as many fields as the header: (columns, records), without quotes. `record_ends` are the
    places of the line ends of all records.
    """

    data: bytes
    line: int
    array: NDArray[np.uint8]
    record_ends: NDArray[np.intp]
    regular: NDArray[np.intp]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]

    def records(self, indexes: NDArray[np.intp]) -> Iterator[tuple[int, str]]:
        """Yield the numbers of the lines that records begin on, and their texts."""
        starts = np.where(indexes > 0, self.record_ends[indexes - 1] + 1, 0)
        lines = self.line + np.searchsorted(self._line_ends, starts)
        ends = self.record_ends[indexes]
        for line, start, end in zip(lines.tolist(), starts.tolist(), ends.tolist(), strict=True):
            yield line, self.data[start:end].decode().removesuffix("\r")

    def record(self, index: int) -> tuple[int, str]:
        """Return the number of the line that a record begins on, and its text."""
        return next(self.records(np.array([index])))

    def fields(self, columns: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the bounds of some columns' fields, without the spaces around them."""
        first, last = columns[0], columns[-1]
        if list(columns) == list(range(first, last + 1)):
            starts, ends = self.starts[first : last + 1], self.ends[first : last + 1]
        else:
            starts, ends = self.starts[columns], self.ends[columns]
        if b" " in self.data:
            starts, ends = starts.copy(), ends.copy()
            while (more := (starts < ends) & (self.array[starts] == _SPACE)).any():
                starts += more
            while (more := (starts < ends) & (self.array[ends - 1] == _SPACE)).any():
                ends -= more
        return starts, ends

    @cached_property
    def is_bare(self) -> bool:
        """Whether fields have neither quotes nor spaces around them."""
        return b'"' not in self.data and b" " not in self.data

    @cached_property
    def _line_ends(self) -> NDArray[np.intp]:
        if b'"' not in self.data:
            return self.record_ends
        return np.flatnonzero(self.array[: len(self.data)] == _NEWLINE)


def read_blocks(
    chunks: Iterable[bytes], *, delimiter: str, width: int, line: int = 1, prove: bool = True
) -> Iterator[Block | list[Record]]:
    """Yield the records of UTF-8 chunks, in order: proven blocks, and lists of records.

    Parameters
    ----------
    width
        Fields that a regular record has, at least 2.
    line
        Number of the line that the first chunk begins with.
    prove
        False reads everything by the csv module: slow, and the measure of what is right.

    Raises
    ------
    Refusal
        The text isn't UTF-8, a record is longer than `MAX_RECORD`, or the quoting is broken.
    """
    rest = b""
    for chunk, is_last in _with_last(chunks):
        data = rest + chunk
        block = _prove(data, delimiter, width, line, is_last=is_last) if prove else None
        if block:
            yield block
            used = len(block.data)
            line += int(np.count_nonzero(block.array[:used] == _NEWLINE))
        else:
            records, used, line = read_records(data, delimiter, line, is_last=is_last)
            if records:
                yield records
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


def _prove(data: bytes, delimiter: str, width: int, line: int, *, is_last: bool) -> Block | None:
    """Return the whole records of `data`, or None if they can't be proven simple."""
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
    block = _locate(data, line, array, separators, is_newline[:end], width)
    return block if quotes is None else _unquote(block, quotes)


def _locate(
    data: bytes,
    line: int,
    array: NDArray[np.uint8],
    separators: NDArray[np.intp],
    is_newline: NDArray[np.bool_],
    width: int,
) -> Block:
    """Return the block with the fields of the records that have `width` of them."""
    records = int(np.count_nonzero(is_newline))
    rows = separators.reshape(records, -1) if len(separators) == records * width else None
    if rows is not None and is_newline[rows[:, -1]].all():
        ends = np.ascontiguousarray(rows.T)
        record_ends = ends[-1].copy()
        regular = np.arange(records)
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
    block = Block(data, line, array, record_ends, regular, starts, ends)
    lengths = np.diff(record_ends, prepend=-1)
    if lengths.max() > MAX_RECORD:
        number, text = block.record(int(lengths.argmax()))
        if len(longest := text.encode()) > MAX_RECORD:
            raise too_long(longest, number)
    return block


def _unquote(block: Block, quotes: NDArray[np.intp]) -> Block:
    """Return the block with its fields' quotes left out."""
    opening = quotes[::2]
    # A doubled quote stands for one: such a field is not what its bytes are.
    doubled = opening[block.array[opening - 1] == _QUOTE]
    simple = ~np.isin(block.regular, np.searchsorted(block.record_ends, doubled))
    starts, ends = block.starts[:, simple], block.ends[:, simple]
    quoted = block.array[starts] == _QUOTE
    return replace(block, regular=block.regular[simple], starts=starts + quoted, ends=ends - quoted)


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
