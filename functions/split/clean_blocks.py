"""The clean rows of a part, in blocks of whole rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.decimals import padded
from pipeline.words import hashed, words_of, words_of_table

BLOCK = 1 << 20
"""Bytes that are split together; they stay in the processor's cache."""

_NEWLINE, _COMMA, _ZERO = (np.uint8(ord(c)) for c in "\n,0")


@dataclass(frozen=True)
class CleanBlock:
    """Rows of ``clean/data.csv``: the class's integer, then the features.

    `keys` are those of the rows' groups or times, empty if the schema asks for neither.
    """

    data: bytes
    keys: NDArray[np.uint64]

    @cached_property
    def array(self) -> NDArray[np.uint8]:
        """The padded bytes."""
        return padded(self.data)

    @cached_property
    def table(self) -> NDArray[np.uint8] | None:
        """The rows' bytes one under the other, (rows, bytes), if all rows are of one length."""
        length = self.data.index(b"\n") + 1
        if len(self.data) % length:
            return None
        is_newline = self.array[: len(self.data)] == _NEWLINE
        table = is_newline.reshape(-1, length)
        if not table[:, -1].all() or np.count_nonzero(is_newline) > len(table):
            return None
        return self.array[: len(self.data)].reshape(-1, length)

    @cached_property
    def ends(self) -> NDArray[np.intp]:
        """Where the line end of each row stands."""
        if self.table is not None:
            return np.arange(self.table.shape[1] - 1, len(self.data), self.table.shape[1])
        return np.flatnonzero(self.array[: len(self.data)] == _NEWLINE)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Where each row begins."""
        return np.concatenate(([0], self.ends[:-1] + 1))

    @cached_property
    def labels(self) -> NDArray[np.intp]:
        """The class of each row."""
        if self.table is not None and (self.table[:, 1] == _COMMA).all():
            return (self.table[:, 0] - _ZERO).astype(np.intp)
        at = self.starts + 1
        labels = (self.array[self.starts] - _ZERO).astype(np.intp)
        while len(more := np.flatnonzero(self.array[at] != _COMMA)):
            labels[more] = labels[more] * 10 + (self.array[at[more]] - _ZERO)
            at[more] += 1
        return labels

    def hashes(self) -> NDArray[np.uint64]:
        """Return a hash of each row, label and features as they are written."""
        if self.table is not None:
            rows, length = self.table.shape
            return hashed(list(words_of_table(self.array, rows, length)))
        return hashed(list(words_of(self.array, self.starts, self.ends)))

    def features(self, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the bounds of the features, (features, rows)."""
        marks = self.array[: len(self.data)]
        ends = np.flatnonzero((marks == _COMMA) | (marks == _NEWLINE)).reshape(-1, count + 1).T
        return np.ascontiguousarray(ends[:-1] + 1), np.ascontiguousarray(ends[1:])

    def apart(self, chosen: NDArray[np.bool_]) -> tuple[bytes, bytes]:
        """Return the text of the rows that are not chosen, and of those that are."""
        if self.table is not None:
            # Twice as fast as to index with the mask.
            left, taken = np.flatnonzero(~chosen), np.flatnonzero(chosen)
            return self.table.take(left, axis=0).tobytes(), self.table.take(taken, axis=0).tobytes()
        bytes_ = self.array[: len(self.data)]
        mask = np.repeat(chosen, np.diff(self.ends, prepend=-1))
        return bytes_[~mask].tobytes(), bytes_[mask].tobytes()


def read_clean_blocks(
    chunks: Iterable[bytes], key_chunks: Iterable[bytes] | None = None
) -> Iterator[CleanBlock]:
    """Yield the rows of chunks of clean data, with the keys from the file beside it, if any."""
    keys = None if key_chunks is None else _Keys(key_chunks)
    rest = b""
    for chunk in chunks:
        for start in range(0, len(chunk), BLOCK):
            data = rest + chunk[start : start + BLOCK]
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if end:
                rows = data[:end]
                of_rows = keys.take(rows.count(b"\n")) if keys else np.zeros(0, np.uint64)
                yield CleanBlock(rows, of_rows)
    if rest:
        raise ValueError("the clean data does not end with a line end")


class _Keys:
    """Keys of eight bytes, as many as are asked for at a time."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def take(self, count: int) -> NDArray[np.uint64]:
        while len(self._rest) < 8 * count:
            self._rest += next(self._chunks)
        taken, self._rest = self._rest[: 8 * count], self._rest[8 * count :]
        return np.frombuffer(taken, "<u8")
