"""Texts in a block as 64-bit words, to compare and hash many of them at once.

Only Preprocess and Split import this; it needs numpy, which they bring.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.decimals import PADDING

_MASKS = np.array([(1 << (8 * bytes_)) - 1 for bytes_ in range(9)], np.uint64)
_SPREAD = np.uint64(0xC6A4A7935BD1E995)
_DOWN = np.uint64(47)
_STEP = np.uint64(0x9E3779B97F4A7C15)


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


def words_of_table(
    block: NDArray[np.uint8], rows: int, length: int
) -> Iterator[NDArray[np.uint64]]:
    """Yield what `words_of` does, of the lines of one length that a block begins with."""
    yield np.full(rows, length - 1, np.uint64)
    for place in range(0, length - 1, 8):
        word = np.ndarray((rows,), "<u8", block, place, (length,))
        yield word & _MASKS[min(length - 1 - place, 8)]


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
