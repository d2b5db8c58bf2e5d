"""Which rows are held out, decided for each by itself: parts of a file can be split apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tabular.blocks import Rows
from tabular.numbers import NumberFormat
from tabular.times import read_times
from tabular.words import hashed, hashes_of, mixed

_STEP = np.uint64(0x9E3779B97F4A7C15)
"""2 ** 64 over the golden ratio: the step of splitmix64, whose finalizer `mixed` is."""

_DRAWN_AT_ONCE = 1 << 14
"""Random numbers that are drawn together: so few that they stay in the processor's cache."""


def held_out_counts(
    class_counts: Sequence[int], test_fraction: float, max_test_rows: int
) -> list[int]:
    """Return how many rows of each class are held out.

    The total is rounded up, as scikit-learn's ``train_test_split`` does, and goes to the classes
    by largest remainder, the lower class first among equals. Each class that has rows has at least
    one on either side, if need be against the total; one row alone could not be put on both.
    """
    rows = sum(class_counts)
    total = held_out_total(rows, test_fraction, max_test_rows)
    shares = [count * total / rows for count in class_counts]
    if total == math.ceil(rows * test_fraction):
        shares = [count * test_fraction for count in class_counts]
    held_out = [math.floor(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda index: held_out[index] - shares[index])
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
        return mixed(self._seeds[labels] + places.view(np.uint64) * _STEP)

    def cut(self, label: int, count: int, wanted: int) -> int:
        """Return the number below which `wanted` of a class's `count` rows are, but not all."""
        if not wanted:
            return 0
        share = wanted / count
        deviation = math.sqrt(share * (1 - share) / count) + 1 / count
        drawn = np.arange(min(count, _DRAWN_AT_ONCE), dtype=np.uint64) * _STEP
        # Numbers that are evenly spread have it near their share of all; else anywhere.
        for reach in (8 * deviation, 1):
            low = int(max(share - reach, 0) * 2**64)
            width = np.uint64(min(int(2 * reach * 2**64), 2**64 - 1 - low))
            below, near = 0, []
            for start in range(0, count, _DRAWN_AT_ONCE):
                first = np.array([start], np.uint64) * _STEP + self._seeds[label]
                numbers = mixed(drawn[: count - start] + first)
                below += int(np.count_nonzero(numbers < low))
                near.append(numbers[numbers - np.uint64(low) <= width])
            found = np.concatenate(near)
            if 0 <= wanted - below < len(found):
                break
        return int(np.partition(found, wanted - below)[wanted - below])


def buckets(rows: Rows, columns: Sequence[int], count: int) -> NDArray[np.intp]:
    """Return which of `count` buckets (a power of two) each row is in; equal texts share one."""
    bounds = [[side[0] for side in rows.bounds([column])] for column in columns]
    words = [hashes_of(rows.array, starts, ends) for starts, ends in bounds]
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
