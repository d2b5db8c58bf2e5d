"""Texts of a block, many at a time: hashed, and looked up in a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tabular.blocks import Rows
from tabular.numbers import FIRST_BYTES, PADDING, Bytes, Places

_SPREAD = np.uint64(0xC6A4A7935BD1E995)
_DOWN = np.uint64(47)
_STEP = np.uint64(0x9E3779B97F4A7C15)

_FIRST_BITS = np.uint64(64 - 12)  # shifts all but a hash's first bits away
_FIRST_BYTES = np.tri(PADDING + 1, PADDING, -1, np.uint8) * np.uint8(255)
"""By how many are meant, all bits of the first bytes of as many as are fetched together."""

_LONG = 64  # bytes; shorter texts are hashed many at a time
_MAX_REMEMBERED = 1 << 16


def words_of(block: Bytes, starts: Places, ends: Places) -> NDArray[np.uint64]:
    """Return texts in a padded block as words of eight bytes, (texts, words).

    They are equal if the texts are, but for zeros at their ends: a text that has ended gives zeros.
    """
    lengths = ends - starts
    longest = int(lengths.max(initial=1))
    shortest = int(lengths.min(initial=longest))
    words = np.empty((len(starts), (longest + 7) // 8), "<u8")
    for first in range(0, 8 * words.shape[1], PADDING):
        some = words[:, first // 8 : (first + PADDING) // 8]
        # Only a text that has ended may be looked for beyond the padding.
        at = np.minimum(starts + first, len(block) - PADDING)
        # To fetch several words as one value takes as long as to fetch one.
        size = 8 * some.shape[1]
        values = np.ndarray(len(block) - size + 1, f"V{size}", block, 0, (1,))
        some[:] = values[at].view("<u8").reshape(some.shape)
        if shortest == longest:
            some[:, -1] &= FIRST_BYTES[min(longest - first - size + 8, 8)]
        elif shortest < first + size:
            masks = np.ascontiguousarray(_FIRST_BYTES[:, :size]).view(f"V{size}")[:, 0]
            found = masks[np.clip(lengths - first, 0, PADDING)]
            some &= found.view("<u8").reshape(some.shape)
    return words


def hashed(words: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return a hash of each text, whatever the length of the longest in its block.

    It is a sum over the words, each spread out and times a random odd number of its place. Zeros
    add nothing. What differs in the last bytes of a word only would differ in the highest bits of
    a product only, which differ little from place to place, so it is brought down to the lowest.
    Source of how a word is spread: A. Appleby's public domain MurmurHash64A.
    """
    places = np.arange(1, len(words) + 1, dtype=np.uint64)
    total = np.zeros_like(words[0])
    for word, weight in zip(words, mixed(places * _STEP) | np.uint64(1), strict=True):
        spread = word * _SPREAD
        spread ^= spread >> _DOWN
        spread *= weight
        total += spread
    return mixed(total)


def hashes_of(array: Bytes, starts: Places, ends: Places) -> NDArray[np.uint64]:
    """Return a hash of each text in a padded block, of any length."""
    is_long = ends - starts > _LONG
    short_ends = np.where(is_long, starts, ends) if is_long.any() else ends
    words = words_of(array, starts, short_ends)
    hashes = hashed([(short_ends - starts).astype(np.uint64), *words.T])
    for row in np.flatnonzero(is_long).tolist():
        text = array[int(starts[row]) : int(ends[row])]
        hashes[row] = int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
    return hashes


def _keys_of(array: Bytes, starts: Places, ends: Places) -> NDArray[np.uint64]:
    """Return numbers as hashes are; if no text has more than a word, each is of that alone."""
    lengths = ends - starts
    if lengths.max(initial=0) > 8:
        return hashes_of(array, starts, ends)
    keys = words_of(array, starts, ends)[:, 0] ^ lengths.astype(np.uint64) * _STEP
    return keys * _SPREAD


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
    # Of 16 bits, numpy sorts integers by radix.
    few = len(counts) <= 1 << 16
    order = np.argsort(groups.astype(np.uint16) if few else groups, kind="stable")
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
        starts, ends = (side[0] for side in rows.bounds([column]))
        hashes = _keys_of(rows.array, starts, ends)
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
