"""Texts of a block, many at a time: hashed, and looked up in a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tabular.numbers import PADDING, Bytes, Places

if TYPE_CHECKING:
    from tabular.blocks import Rows

_SPREAD = np.uint64(0xC6A4A7935BD1E995)
_DOWN = np.uint64(47)
_STEP = np.uint64(0x9E3779B97F4A7C15)

_FIRST_BITS = np.uint64(64 - 12)  # shifts all but a hash's first bits away

_MAX_REMEMBERED = 1 << 16


def words_of(block: Bytes, starts: Places, ends: Places) -> NDArray[np.uint64]:
    """Return texts of up to `PADDING` bytes as words of eight bytes, (texts, words).

    They are equal if the texts are, but for zeros at their ends: a text that has ended gives zeros.
    """
    lengths = ends - starts
    # To fetch several words as one value takes as long as to fetch one.
    size = -(-int(lengths.max(initial=1)) // 8) * 8
    values = np.ndarray(len(block) - size + 1, f"V{size}", block, 0, (1,))[starts]
    words = values.view("<u8").reshape(len(starts), size // 8)
    words &= _first_bytes(size)[lengths].view("<u8").reshape(words.shape)
    return words


@cache
def _first_bytes(size: int) -> NDArray[np.void]:
    """Return all bits of the first bytes of `size`, by how many are meant."""
    return (np.tri(size + 1, size, -1, np.uint8) * np.uint8(255)).view(f"V{size}")[:, 0]


def hashed(words: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return a hash of each text, whatever the length of the longest in its block."""
    return mixed(_summed(words))


def _summed(words: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return the sum of each text's words, spread out and times a random odd number of their place.

    Zeros add nothing. What differs in the last bytes of a word only would differ in the highest
    bits of a product only, which differ little from place to place, so it is brought down to the
    lowest. Source of how a word is spread: A. Appleby's public domain MurmurHash64A.
    """
    total = np.zeros(len(words[0]), np.uint64)
    for place, word in enumerate(words):
        spread = word * _SPREAD
        spread ^= spread >> _DOWN
        spread *= _weight(place)
        total += spread
    return total


@cache
def _weight(place: int) -> np.uint64:
    return np.uint64(mixed(np.array([place + 1], np.uint64) * _STEP)[0] | np.uint64(1))


def hashes_of(array: Bytes, starts: Places, ends: Places) -> NDArray[np.uint64]:
    """Return a hash of each text in a padded block, of any length."""
    keys = _keys_of(array, starts, ends)
    return np.where(ends - starts > PADDING, keys, mixed(keys))


def _keys_of(array: Bytes, starts: Places, ends: Places) -> NDArray[np.uint64]:
    """Return a hash of each text; of short ones its last step is left out."""
    lengths = ends - starts
    long: list[int] = []
    if lengths.max(initial=0) > PADDING:
        long = np.flatnonzero(lengths > PADDING).tolist()
        lengths[long] = 0
    words = words_of(array, starts, starts + lengths if long else ends)
    keys = _summed([lengths.view(np.uint64), *words.T])
    for row in long:
        text = array[int(starts[row]) : int(ends[row])]
        keys[row] = int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
    return keys


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


def places_within(groups: Places, before: Places) -> tuple[Places, Places]:
    """Return how many rows of its group go before each row, and how many there are in the end.

    `before` are the rows of each group that have gone before.
    """
    counts = np.bincount(groups, minlength=len(before))
    # Of up to 16 bits, numpy sorts integers by radix.
    order = np.argsort(groups.astype(np.min_scalar_type(len(counts))), kind="stable")
    places = np.empty(len(groups), np.intp)
    after = before + counts
    places[order] = np.arange(len(groups)) + np.repeat(after - np.cumsum(counts), counts)
    return places, after


class Vocabulary:
    """Numbers for texts; `number_of` is asked for one when a text first comes up.

    The text has no white space around it.
    """

    def __init__(self, number_of: Callable[[str], int]) -> None:
        self.number_of = number_of
        # The last is no text's, so that every hash has a place.
        self._hashes = np.array([2**64 - 1], np.uint64)
        self._numbers = np.array([-1])
        # One of those that begin with the same bits, so that most are found at once.
        self._likely_hashes = np.full(1 << 12, 2**64 - 1, np.uint64)
        self._likely_numbers = np.full(1 << 12, -1)

    def numbers(self, rows: Rows, column: int) -> Places:
        """Return the number of each row's text in a column."""
        # What several vocabularies know a column by is found once.
        if (hashes := rows.hashes.get(column)) is None:
            starts, ends = (side[0] for side in rows.bounds([column]))
            hashes = rows.hashes[column] = _keys_of(rows.array, starts, ends)
        likely = (hashes >> _FIRST_BITS).view(np.intp)
        numbers = self._likely_numbers[likely]
        others = np.flatnonzero(self._likely_hashes[likely] != hashes)
        if not len(others):
            return numbers
        places = np.searchsorted(self._hashes, hashes[others])
        numbers[others] = self._numbers[places]
        new = others[self._hashes[places] != hashes[others]]
        if len(new):
            _, first = np.unique(hashes[new], return_index=True)
            texts = [rows.text(column, row) for row in new[first].tolist()]
            if len(self._hashes) > _MAX_REMEMBERED:
                self._hashes, self._numbers = self._hashes[-1:], self._numbers[-1:]
            learned = np.array([self.number_of(text) for text in texts])
            known = np.concatenate([hashes[new[first]], self._hashes])
            order = np.argsort(known)
            self._hashes = known[order]
            self._numbers = np.concatenate([learned, self._numbers])[order]
            slots = self._hashes >> _FIRST_BITS
            self._likely_hashes[slots], self._likely_numbers[slots] = self._hashes, self._numbers
            numbers[new] = self._numbers[np.searchsorted(self._hashes, hashes[new])]
        return numbers
