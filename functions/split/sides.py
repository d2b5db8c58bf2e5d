"""Which rows are held out: told of each row by itself, so parts of a file can be split apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clean_blocks import CleanBlock
from lowest import Cut
from pipeline.words import mixed

_STEP = np.uint64(0x9E3779B97F4A7C15)
"""2 ** 64 over the golden ratio: the step of splitmix64, whose finalizer `mixed` is."""

_DRAWN_AT_ONCE = 1 << 16


class Sides(Protocol):
    """Tells of the rows of a part, block by block and in order, whether they are held out."""

    def held_out(self, block: CleanBlock) -> NDArray[np.bool_]:
        """Return for each row of the next block whether it is held out."""


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

    def of_texts(self, labels: NDArray[np.intp], hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return numbers that are the same for rows that are the same."""
        return mixed(self._seeds[labels] ^ hashes)

    def all_of(
        self, class_counts: Sequence[int], before: Sequence[int] | None = None
    ) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield class and numbers of so many rows of each class, after those `before` them."""
        for label, count in enumerate(class_counts):
            first = before[label] if before else 0
            for start in range(first, first + count, _DRAWN_AT_ONCE):
                places = np.arange(start, min(start + _DRAWN_AT_ONCE, first + count))
                yield label, self.numbers(label, places)


class Lowest:
    """Of rows in their order, those below the cut of their stratum.

    `equal_before` counts the rows of earlier parts that have just the key of the cut.
    """

    def __init__(self, cuts: Sequence[Cut], equal_before: Sequence[int] | None = None) -> None:
        self._keys = np.array([cut.key for cut in cuts], np.uint64)
        self._equal = [cut.equal for cut in cuts]
        self._seen = list(equal_before or [0] * len(cuts))

    def among(self, strata: NDArray[np.intp], keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return for each of the next rows whether it is below the cut."""
        cuts = self._keys[strata]
        below = keys < cuts
        for row in np.flatnonzero(keys == cuts).tolist():
            stratum = int(strata[row])
            below[row] = self._seen[stratum] < self._equal[stratum]
            self._seen[stratum] += 1
        return np.asarray(below)


class ByClass:
    """Exactly so many random rows of each class. `before` are the rows of earlier parts."""

    def __init__(self, draw: Draw, cuts: Sequence[Cut], before: Sequence[int]) -> None:
        self._draw = draw
        self._lowest = Lowest(cuts)
        self._places = np.array(before, np.intp)

    def held_out(self, block: CleanBlock) -> NDArray[np.bool_]:
        """Return for each row of the next block whether it is held out."""
        labels = block.labels
        numbers = self._draw.numbers(labels, places_in_class(labels, self._places))
        return self._lowest.among(labels, numbers)


class ByText:
    """Random rows of each class, equal ones together; as many as that allows."""

    def __init__(self, draw: Draw, cuts: Sequence[Cut]) -> None:
        self._draw = draw
        self._lowest = Lowest(cuts)

    def held_out(self, block: CleanBlock) -> NDArray[np.bool_]:
        """Return for each row of the next block whether it is held out."""
        numbers = self._draw.of_texts(block.labels, block.hashes())
        return self._lowest.among(block.labels, numbers)


class ByTime:
    """The last rows by time, of equal times the last in the file: those that are not the first."""

    def __init__(self, cut: Cut, equal_before: int) -> None:
        self._lowest = Lowest([cut], [equal_before])

    def held_out(self, block: CleanBlock) -> NDArray[np.bool_]:
        """Return for each row of the next block whether it is held out."""
        return ~self._lowest.among(np.zeros(len(block.keys), np.intp), block.keys)


class ByGroup:
    """The rows of some groups."""

    def __init__(self, groups: NDArray[np.uint64]) -> None:
        self._groups = np.sort(groups)

    def held_out(self, block: CleanBlock) -> NDArray[np.bool_]:
        """Return for each row of the next block whether it is held out."""
        return np.isin(block.keys, self._groups)


def places_in_class(labels: NDArray[np.intp], before: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return how many rows of its class go before each row, and add these to `before`."""
    counts = np.bincount(labels, minlength=len(before))
    order = np.argsort(labels.astype(np.uint16), kind="stable")
    places = np.empty(len(labels), np.intp)
    places[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    places += before[labels]
    before += counts
    return places
