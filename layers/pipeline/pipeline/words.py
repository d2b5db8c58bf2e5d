"""Texts in a block as 64-bit words, to compare and hash many of them at once.

Only Preprocess and Split import this; it needs numpy, which they bring.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.decimals import PADDING

_MASKS = np.array([(1 << (8 * bytes_)) - 1 for bytes_ in range(9)], np.uint64)
_WEIGHTS = [np.uint64(random.Random(place).getrandbits(64) | 1) for place in range(64)]


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
    """Return a hash of each text, whatever the length of the longest in its block."""
    total = words[0] * _WEIGHTS[0]
    for place, word in enumerate(words[1:], start=1):
        total += word * _WEIGHTS[place % len(_WEIGHTS)]
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
