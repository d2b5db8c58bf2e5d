"""Which rows are held out, decided for each by itself: parts of a file can be split apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tabular.blocks import Rows
from tabular.numbers import NumberFormat
from tabular.times import read_times
from tabular.words import hashed, hashes_of, mixed

_STEP = np.uint64(0x9E3779B97F4A7C15)
"""2 ** 64 over the golden ratio: the step of splitmix64, whose finalizer `mixed` is."""

_DRAWN_AT_ONCE = 1 << 16
_PLAIN = NumberFormat()


def held_out_counts(
    class_counts: Sequence[int], test_fraction: float, max_test_rows: int
) -> list[int]:
    """Return how many rows of each class are held out.

    The total is rounded up, as scikit-learn's ``train_test_split`` does, and goes to the classes
    by largest remainder, the lower class first among equals. Each class that has rows has at least
    one on either side, if need be against the total.

    Parameters
    ----------
    class_counts
        Rows of each class; none, or at least 2.
    """
    rows = sum(class_counts)
    total = held_out_total(rows, test_fraction, max_test_rows)
    shares = [count * total / rows for count in class_counts]
    if total == math.ceil(rows * test_fraction):
        shares = [count * test_fraction for count in class_counts]
    held_out = [math.floor(share) for share in shares]
    by_remainder = sorted(
        range(len(shares)), key=lambda index: (held_out[index] - shares[index], index)
    )
    for index in by_remainder[: total - sum(held_out)]:
        held_out[index] += 1
    return [
        min(max(held, 1), count - 1) if count else 0
        for held, count in zip(held_out, class_counts, strict=True)
    ]


def held_out_total(rows: int, test_fraction: float, max_test_rows: int) -> int:
    """Return how many of some rows are held out, at least one and not all."""
    return max(min(math.ceil(rows * test_fraction), max_test_rows, rows - 1), 1)


class Draw:
    """Random numbers for the rows of each class: of a seed, the class and the row's place in it.

    Those with the lowest numbers are held out, so every choice of as many rows is equally likely,
    and a row's side does not depend on how the file is cut into blocks or parts.
    """

    def __init__(self, seed: int, classes: int) -> None:
        start = np.full(classes, seed % 2**64, np.uint64)
        self._seeds = mixed(mixed(start) + np.arange(1, classes + 1, dtype=np.uint64) * _STEP)

    def numbers(
        self, labels: NDArray[np.intp] | int, places: NDArray[np.intp]
    ) -> NDArray[np.uint64]:
        """Return the numbers of rows by their classes and places in them; none comes twice."""
        return mixed(self._seeds[labels] + places.astype(np.uint64) * _STEP)

    def cuts(self, counts: Sequence[int], wanted: Sequence[int]) -> list[int]:
        """Return for each class the number below which `wanted` of its rows are."""
        return [
            self._cut(label, count, want)
            for label, (count, want) in enumerate(zip(counts, wanted, strict=True))
        ]

    def _cut(self, label: int, count: int, wanted: int) -> int:
        if not wanted:
            return 0
        # The cut is where so many of uniform numbers are below it, give or take some deviations.
        share = wanted / count
        deviation = math.sqrt(share * (1 - share) / count) + 1 / count
        for reach in (6, 60, math.inf):
            low = int(max(share - reach * deviation, 0) * 2**64) if reach < math.inf else 0
            high = int(min(share + reach * deviation, 1) * 2**64) if reach < math.inf else 2**64
            below, inside = 0, [np.zeros(0, np.uint64)]
            for numbers in self._of_class(label, count):
                is_below = numbers < np.uint64(min(low, 2**64 - 1))
                below += int(np.count_nonzero(is_below))
                inside.append(numbers[~is_below & (numbers <= np.uint64(high - 1))])
            found = np.concatenate(inside)
            if 0 <= wanted - below < len(found):
                return int(np.partition(found, wanted - below)[wanted - below])
        raise AssertionError(f"of {count} rows {wanted} can't be found")

    def _of_class(self, label: int, count: int) -> Iterator[NDArray[np.uint64]]:
        for start in range(0, count, _DRAWN_AT_ONCE):
            yield self.numbers(label, np.arange(start, min(start + _DRAWN_AT_ONCE, count)))


def buckets(rows: Rows, columns: Sequence[int], count: int) -> NDArray[np.intp]:
    """Return which of `count` buckets each row falls into: equal texts into the same.

    Parameters
    ----------
    count
        A power of two.
    """
    words: list[NDArray[np.uint64]] = []
    for column in columns:
        starts, ends = (side[0] for side in rows.bounds([column]))
        words.append(hashes_of(rows.array, starts, ends))
    return (hashed(words) >> np.uint64(65 - count.bit_length())).astype(np.intp)


def time_keys(rows: Rows, column: int, written: NumberFormat) -> NDArray[np.uint64]:
    """Return keys that sort, as unsigned integers, as the times in a column do.

    The bits of a positive double sort as it does itself, those of a negative one the other way
    round. Source: IEEE 754-2019, 5.10, "totalOrder".
    """
    times, _ = read_times(rows, column, written)
    bits = (times + 0.0).view(np.uint64)
    sign = np.uint64(1 << 63)
    return np.asarray(np.where(bits & sign, ~bits, bits | sign))


@dataclass(frozen=True)
class Sides:
    """Tells whether rows are held out, by what the split goes by.

    Parameters
    ----------
    by
        ``class``, ``group``, ``text`` or ``time``.
    draw, cuts
        By class: a row is held out whose number is below the cut of its class.
    chosen
        By group or text: the buckets that are held out, a truth value each.
    first
        By time: the key of the first time that is held out.
    """

    by: str
    draw: Draw | None = None
    cuts: NDArray[np.uint64] | None = None
    chosen: NDArray[np.bool_] | None = None
    first: int = 0
    columns: tuple[int, ...] = ()
    written: NumberFormat = _PLAIN

    def held_out(
        self, rows: Rows, labels: NDArray[np.intp], places: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Return for each row whether it is held out.

        Parameters
        ----------
        places
            How many rows of its class go before each.
        """
        if self.draw is not None and self.cuts is not None:
            return np.asarray(self.draw.numbers(labels, places) < self.cuts[labels])
        if self.chosen is not None:
            return self.chosen[buckets(rows, self.columns, len(self.chosen))]
        return np.asarray(time_keys(rows, self.columns[0], self.written) >= np.uint64(self.first))
