"""The rows with the lowest keys: found exactly, in a few passes and constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_BUCKETS = 1 << 22
"""Counters in memory at once, of all strata together."""


@dataclass(frozen=True)
class Cut:
    """Where the lowest rows of a stratum end: below `key`, and the first `equal` ones with it."""

    key: int
    equal: int = 0


class Search:
    """Looks for the cut below which `wanted` rows of each stratum are, by (key, position).

    Each pass over all keys counts them in buckets and goes on with the bucket that the cut is in,
    until it holds one key only or, unless the key itself is asked for (`exact`), the cut is at its
    edge.

    Parameters
    ----------
    of
        How many rows each stratum has, if their keys are random numbers. Then it is known about
        where the cuts are, and mostly one pass is enough.
    """

    def __init__(
        self, wanted: Sequence[int], *, of: Sequence[int] | None = None, exact: bool = False
    ) -> None:
        strata = len(wanted)
        self._exact = exact
        self._bits = min(20, max(1, (_BUCKETS // max(strata, 1)).bit_length() - 1))
        self._wanted = list(wanted)
        self._left = list(wanted)
        self._low = [0] * strata
        self._width = 64
        self._edge: list[Cut | None] = [None] * strata
        # Of the bucket that the last pass has chosen: which it was, and how many keys it has.
        self._bucket = [0] * strata
        self._in_bucket = [0] * strata
        self._is_guess = False
        if of is not None:
            self._guess(of)

    def _guess(self, rows: Sequence[int]) -> None:
        """Look only around where random cuts are: within six deviations of the order statistic."""
        places, spans = [], []
        for wanted, count in zip(self._wanted, rows, strict=True):
            share = wanted / max(count, 1)
            deviation = math.sqrt(share * (1 - share) / max(count, 1)) + 1 / max(count, 1)
            places.append(int((share - 6 * deviation) * 2**64))
            spans.append(int(12 * deviation * 2**64))
        self._width = min(max(spans, default=1).bit_length(), 64)
        if self._width < 64:
            self._is_guess = True
            self._low = [min(max(low, 0), 2**64 - 2**self._width) for low in places]

    @property
    def bits(self) -> int:
        """Binary digits of a key that one pass decides; few keys are where a guess looks."""
        return min(self._bits if self._is_guess else min(self._bits, 16), self._width)

    def counts(
        self, blocks: Iterable[tuple[NDArray[np.intp] | int, NDArray[np.uint64]]]
    ) -> NDArray[np.int64]:
        """Return how many keys each bucket has, (strata, buckets), of blocks of (strata, keys).

        The last bucket is for keys below all others. The strata of a block may be one for all.
        """
        low = np.array(self._low, np.uint64)
        row = (1 << self.bits) + 1
        total = np.zeros((len(low), row), np.int64)
        shift = np.uint64(self._width - self.bits)
        last = np.uint64((1 << self._width) - 1)
        for strata, keys in blocks:
            # What is below wraps around, and so is far above.
            above = keys - low[strata]
            inside = np.flatnonzero(above <= last)
            place = (above[inside] >> shift).astype(np.intp)
            place += (strata if isinstance(strata, int) else strata[inside]) * row
            if len(place) < total.size // 8:
                np.add.at(total.reshape(-1), place, 1)
            else:
                total += np.bincount(place, minlength=total.size).reshape(total.shape)
            below = keys < low[strata]
            if isinstance(strata, int):
                total[strata, -1] += np.count_nonzero(below)
            else:
                total[:, -1] += np.bincount(strata[below], minlength=len(low))
        return total

    def narrow(self, counts: NDArray[np.int64]) -> bool:
        """Take the counts of all rows; whether the cuts are found."""
        inside, below = counts[:, :-1], counts[:, -1].tolist()
        # Those of the pass that has counted, before the next one's are known.
        bits = self.bits
        if self._is_guess:
            self._is_guess = False
            reached = inside.sum(axis=1).tolist()
            if any(
                not before <= wanted <= before + more
                for wanted, before, more in zip(self._wanted, below, reached, strict=True)
            ):
                self._low, self._width = [0] * len(self._low), 64
                return False
            self._left = [
                wanted - before for wanted, before in zip(self._wanted, below, strict=True)
            ]
        self._width -= bits
        for stratum, of_stratum in enumerate(inside):
            until = np.cumsum(of_stratum)
            bucket = int(np.searchsorted(until, self._left[stratum], side="right"))
            before = int(until[bucket - 1]) if bucket else 0
            self._bucket[stratum] = min(bucket, len(of_stratum) - 1)
            if self._edge[stratum] is None:
                edge = self._low[stratum] + (bucket << self._width)
                if bucket == len(of_stratum):
                    self._edge[stratum] = Cut(min(edge, 2**64 - 1), equal=int(until[-1]))
                elif before == self._left[stratum] and not self._exact:
                    self._edge[stratum] = Cut(edge)
                else:
                    self._low[stratum] = edge
                    self._left[stratum] -= before
                    self._in_bucket[stratum] = int(of_stratum[bucket])
        return self._width == 0 or all(self._edge)

    def last_bucket(self, stratum: int) -> int:
        """Return the bucket of the last pass that the cut was in; in the end it is one key's."""
        return self._bucket[stratum]

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON holds it."""
        return {
            "exact": self._exact,
            "wanted": self._wanted,
            "bits": self._bits,
            "left": self._left,
            "low": self._low,
            "width": self._width,
            "edge": [edge and asdict(edge) for edge in self._edge],
            "bucket": self._bucket,
            "in_bucket": self._in_bucket,
            "is_guess": self._is_guess,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the search that `as_dict` was made of."""
        search = cls(fields["wanted"], exact=fields["exact"])
        search._left = list(fields["left"])
        search._bits = fields["bits"]
        search._low = list(fields["low"])
        search._width = fields["width"]
        search._edge = [edge and Cut(**edge) for edge in fields["edge"]]
        search._bucket = list(fields["bucket"])
        search._in_bucket = list(fields["in_bucket"])
        search._is_guess = fields["is_guess"]
        return search

    def cuts(self) -> list[Cut]:
        """Return the cuts."""
        return [
            edge or Cut(low, left)
            for edge, low, left in zip(self._edge, self._low, self._left, strict=True)
        ]

    def cuts_between_keys(self, of: Sequence[int]) -> list[Cut]:
        """Return the cuts nearest to those that have no rows of one key on both sides.

        The last key is never below one. Where nothing would be, the first key is, if at least as
        many rows are above it.

        Parameters
        ----------
        of
            How many rows each stratum has.
        """
        found = []
        for stratum, cut in enumerate(self.cuts()):
            if self._edge[stratum] is None:
                below, equal = self._wanted[stratum] - cut.equal, self._in_bucket[stratum]
                above = of[stratum] - below - equal
                is_nearer = 2 * cut.equal >= equal or (not below and equal <= above)
                cut = Cut(cut.key, equal if is_nearer and above else 0)
            found.append(cut)
        return found
