"""Texts of a block, many at a time: hashed, and looked up in a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tabular.blocks import Rows
from tabular.numbers import PADDING

_MASKS = np.array([(1 << (8 * bytes_)) - 1 for bytes_ in range(9)], np.uint64)
_SPREAD = np.uint64(0xC6A4A7935BD1E995)
_DOWN = np.uint64(47)
_STEP = np.uint64(0x9E3779B97F4A7C15)

_MAX_BYTES = 64
"""Texts up to this long are looked up many at a time."""

_MAX_REMEMBERED = 1 << 16


def words_of(
    block: NDArray[np.uint8], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> Iterator[NDArray[np.uint64]]:
    """Yield the lengths of texts in a padded block, then their bytes, eight at a time.

    Texts are equal if these words are. A text that has ended gives zeros.
    """
    lengths = ends - starts
    yield lengths.astype(np.uint64)
    eight = np.ndarray((len(block) - 7,), "<u8", block, 0, (1,))
    longest = int(lengths.max(initial=0))
    shortest = int(lengths.min(initial=0))
    for place in range(0, longest, 8):
        if place + 8 <= shortest:
            yield eight[starts + place]
        else:
            at = starts + place
            if place > PADDING - 8:
                np.minimum(at, len(eight) - 1, out=at)
            yield eight[at] & _MASKS[np.clip(lengths - place, 0, 8)]


def hashed(words: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return a hash of each text, whatever the length of the longest in its block.

    It is a sum over the words, each spread out and times a random odd number of its place. Zeros
    add nothing. What differs in the last bytes of a word only would differ in the highest bits of
    a product only, which differ little from place to place, so it is brought down to the lowest.
    Source of how a word is spread: A. Appleby's public domain MurmurHash64A.
    """
    weights = mixed(np.arange(1, len(words) + 1, dtype=np.uint64) * _STEP) | np.uint64(1)
    total = np.zeros_like(words[0])
    spread, down = np.empty_like(total), np.empty_like(total)
    for word, weight in zip(words, weights, strict=True):
        np.multiply(word, _SPREAD, out=spread)
        np.right_shift(spread, _DOWN, out=down)
        spread ^= down
        spread *= weight
        total += spread
    return mixed(total)


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers that look random, different ones for different numbers.

    Source: S. Vigna's public domain splitmix64, its finalizer.
    """
    numbers = numbers ^ (numbers >> np.uint64(30))
    numbers *= np.uint64(0xBF58476D1CE4E5B9)
    numbers ^= numbers >> np.uint64(27)
    numbers *= np.uint64(0x94D049BB133111EB)
    numbers ^= numbers >> np.uint64(31)
    return numbers


def places_within(
    groups: NDArray[np.intp], before: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how many rows of its group go before each row, and how many there are in the end.

    Parameters
    ----------
    before
        Rows of each group that have gone before.
    """
    counts = np.bincount(groups, minlength=len(before))
    order = np.argsort(groups.astype(np.uint16), kind="stable")
    places = np.empty(len(groups), np.intp)
    places[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places + before[groups], before + counts


class Vocabulary:
    """Numbers for texts. A text that comes up for the first time is asked for once.

    Parameters
    ----------
    number_of
        Returns the number of a text, without white space around it; -1 if it has none.
    """

    def __init__(self, number_of: Callable[[str], int]) -> None:
        self.number_of = number_of
        self._hashes = np.zeros(0, np.uint64)
        self._numbers = np.zeros(0, np.intp)

    def numbers(self, rows: Rows, column: int) -> NDArray[np.intp]:
        """Return the number of each row's text in a column."""
        starts, ends = (side[0] for side in rows.bounds([column]))
        lengths = ends - starts
        long = np.flatnonzero(lengths > _MAX_BYTES)
        if len(long):
            starts, ends = starts.copy(), ends.copy()
            ends[long] = starts[long]
        hashes = hashed(list(words_of(rows.array, starts, ends)))
        numbers, known = self._look_up(hashes)
        if not known.all():
            new = np.flatnonzero(~known)
            _, first = np.unique(hashes[new], return_index=True)
            self._learn(hashes[new[first]], [rows.text(column, int(row)) for row in new[first]])
            numbers[new] = self._look_up(hashes[new])[0]
        for row in long.tolist():
            numbers[row] = self.number_of(rows.text(column, row))
        return numbers

    def _look_up(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        if not len(self._hashes):
            return np.full(len(hashes), -1, np.intp), np.zeros(len(hashes), np.bool_)
        place = np.searchsorted(self._hashes, hashes)
        np.minimum(place, len(self._hashes) - 1, out=place)
        return self._numbers[place], self._hashes[place] == hashes

    def _learn(self, hashes: NDArray[np.uint64], texts: Sequence[str]) -> None:
        if len(self._hashes) > _MAX_REMEMBERED:
            self._hashes, self._numbers = self._hashes[:0], self._numbers[:0]
        numbers = np.array([self.number_of(text) for text in texts], np.intp)
        hashes = np.concatenate([self._hashes, hashes])
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._numbers = np.concatenate([self._numbers, numbers])[order]
