"""Held-out rows that the training has seen: counted in constant memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ROWS = 1 << 20
"""Files of up to so many rows are counted exactly, larger ones by a sample of their rows."""

_COMPACT = 1 << 21


class Duplicates:
    """Counts the held-out rows that stand in the training rows too, by hashes of rows.

    Of a file of more than `MAX_ROWS` rows only those are looked at whose hash ends in so many
    zeros: a random sample of the different rows, with all that are equal to each. Source: P.
    Gibbons, "Distinct sampling for highly-accurate answers to distinct values queries" (VLDB 2001).
    """

    def __init__(self, rows: int) -> None:
        self._zeros = max((rows - 1) // MAX_ROWS, 0).bit_length()
        # Hashes, and how often each is on either side, (hashes, 2): first training, then test.
        self._counted = [(np.zeros(0, np.uint64), np.zeros((0, 2), np.int64))]

    @property
    def is_exact(self) -> bool:
        """Whether every row was looked at."""
        return self._zeros == 0

    def add(self, hashes: NDArray[np.uint64], held_out: NDArray[np.bool_]) -> None:
        """Count rows."""
        if self._zeros:
            sampled = np.flatnonzero(hashes & np.uint64((1 << self._zeros) - 1) == 0)
            hashes, held_out = hashes[sampled], held_out[sampled]
        self.take(hashes, np.stack([~held_out, held_out], axis=1).astype(np.int64))

    def in_both(self) -> int:
        """Return how many held-out rows are in the training rows too; an estimate if sampled."""
        _, counts = self._compact()
        seen = counts[counts[:, 0] > 0]
        return int(seen[:, 1].sum()) << self._zeros

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that `take` needs."""
        hashes, counts = self._compact()
        return {"hashes": hashes, "counts": counts}

    def take(self, hashes: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
        """Count what was counted in another part of the same file."""
        self._counted.append((hashes, counts))
        # After it at most about `MAX_ROWS` are left, so it is not done for each block.
        if sum(len(each) for each, _ in self._counted) > _COMPACT:
            self._compact()

    def _compact(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Add up what was counted of the same hash, and return it."""
        hashes, counts = (np.concatenate(side) for side in zip(*self._counted, strict=True))
        order = np.argsort(hashes)
        hashes, counts = hashes[order], counts.take(order, axis=0)
        first = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]) != 0)
        if len(first) < len(hashes):
            hashes, counts = hashes[first], np.add.reduceat(counts, first)
        self._counted = [(hashes, counts)]
        return hashes, counts
