"""Numbers as they stand in a CSV, read many at a time: integers over powers of ten, exactly.

Only Preprocess and Split import this; it needs numpy, which they bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING = 64
"""Bytes after a block's last, so that eight may be loaded from anywhere in it."""

MAX_DIGITS = 18
"""Significant digits of a number that fit an int64, whatever they are."""

MAX_SCALE = 22
"""Digits after the point: powers of ten up to this one are floats, exactly."""

MAX_LENGTH = MAX_SCALE + 2
"""Characters of a number without its sign."""

_POWERS = np.array([float(f"1e{scale}") for scale in range(MAX_SCALE + 1)])

_FEW_ROWS = 512
"""Below this, going column by column costs more than it saves."""

_FEW_BYTES = 4
"""Fields of no more characters are read a byte at a time."""

_MINUS = np.uint8(ord("-"))
_ZERO = np.uint8(ord("0"))

# Eight characters at a time, the first of them in the lowest byte of a word.
_ALL = 2**64 - 1
_ONES = np.uint64(_ALL // 255)
_ZEROS = _ONES * np.uint64(ord("0"))
_HIGH_BITS = _ONES * np.uint64(0x80)
_TO_HIGH_BITS = _ONES * np.uint64(0x80 - 10)
_LAST_BYTES = np.array([_ALL >> 8 * (8 - n) << 8 * (8 - n) for n in range(9)], np.uint64)
_DIGIT_STEPS = [
    (np.uint64(10 * 2**8 + 1), np.uint64(8), np.uint64(0x00FF00FF00FF00FF)),
    (np.uint64(100 * 2**16 + 1), np.uint64(16), np.uint64(0x0000FFFF0000FFFF)),
    (np.uint64(10000 * 2**32 + 1), np.uint64(32), np.uint64(0x00000000FFFFFFFF)),
]

# By scale: what is before the point is below this if all digits together fit.
_WHOLE_BELOW = np.array([10 ** max(MAX_DIGITS - scale, 0) for scale in range(MAX_SCALE + 1)])
_WHOLE_UNITS = np.array([10**scale for scale in range(MAX_DIGITS + 1)])


@dataclass(frozen=True)
class Decimals:
    """Numbers as written: each is ``mantissa / 10 ** scale``. All arrays are (columns, rows).

    `plain` is False where the text is no plain decimal, such as ``-12.50``, of at most `MAX_DIGITS`
    significant digits, `MAX_SCALE` of them or zeros after the point, and `MAX_LENGTH` characters;
    mantissa and scale mean nothing there.
    """

    mantissa: NDArray[np.int64]
    scale: NDArray[np.uint8]
    plain: NDArray[np.bool_]

    def of(self, rows: NDArray[np.bool_]) -> Decimals:
        """Return those of some rows."""
        return Decimals(self.mantissa[:, rows], self.scale[:, rows], self.plain[:, rows])

    def sample(self, first: int, stride: int) -> Decimals:
        """Return the `first` row of them and every `stride`-th from there on."""
        rows = slice(first, None, stride)
        return Decimals(self.mantissa[:, rows], self.scale[:, rows], self.plain[:, rows])

    def extremes(self) -> tuple[list[float], list[float]]:
        """Return the lowest and the highest plain number of each column; infinities if none."""
        values: NDArray[Any] = self.mantissa
        if self.scale.min() != self.scale.max():
            values = self.values()
        lows, highs = values, values
        if not self.plain.all():
            lows = np.where(self.plain, values, np.inf)
            highs = np.where(self.plain, values, -np.inf)
        return self._at(lows.argmin(axis=1), np.inf), self._at(highs.argmax(axis=1), -np.inf)

    def _at(self, rows: NDArray[np.intp], otherwise: float) -> list[float]:
        """Return a number of each column, correctly rounded, as a quotient of integers is."""
        columns = np.arange(len(rows))
        mantissa, scale = self.mantissa[columns, rows].tolist(), self.scale[columns, rows].tolist()
        plain = self.plain[columns, rows].tolist()
        return [
            number / 10**power if is_plain else otherwise
            for number, power, is_plain in zip(mantissa, scale, plain, strict=True)
        ]

    def values(self) -> NDArray[np.float64]:
        """Return the numbers as floats: correctly rounded up to 15 digits, else within an ulp."""
        if self.scale.size and self.scale.min() == self.scale.max():
            return np.asarray(self.mantissa / _POWERS[self.scale.flat[0]])
        return np.asarray(self.mantissa / _POWERS[self.scale])


def padded(data: bytes) -> NDArray[np.uint8]:
    """Return the bytes as an array, with `PADDING` zeros after them."""
    return np.frombuffer(data + bytes(PADDING), np.uint8)


def read_decimals(
    block: NDArray[np.uint8],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    point: str = ".",
) -> Decimals:
    """Return the numbers in the fields of a padded block.

    Parameters
    ----------
    starts, ends
        Where each field begins and where it has ended, (columns, rows).
    point
        The decimal point.
    """
    shape = starts.shape
    mantissa = np.zeros(shape, np.int64)
    scale = np.zeros(shape, np.uint8)
    plain = np.zeros(shape, np.bool_)
    mark = np.uint8(ord(point))
    words = np.ndarray((len(block) - 7,), "<u8", block, 0, (1,))
    if shape[1] < _FEW_ROWS:
        flat = _read_any(words, block, starts.ravel(), ends.ravel(), mark)
        mantissa[:], scale[:], plain[:] = (part.reshape(shape) for part in flat)
        return Decimals(mantissa, scale, plain)
    signed = bool((block == _MINUS).any())
    for column in range(shape[0]):
        of_column = _read_alike(
            words, block, starts[column], ends[column], mark, signed=signed
        ) or _read_any(words, block, starts[column], ends[column], mark)
        mantissa[column], scale[column], plain[column] = of_column
    return Decimals(mantissa, scale, plain)


def _read_alike(
    words: NDArray[np.uint64],
    block: NDArray[np.uint8],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    mark: np.uint8,
    *,
    signed: bool,
) -> tuple[NDArray[np.int64], int, bool] | None:
    """Read short fields that have as many decimals each; None if they haven't.

    Most columns are like that, and then the point is at one place in a word that ends with the
    field. `signed` tells whether any of them may have a minus.
    """
    lengths = ends - starts
    minus = None
    if signed:
        minus = block[starts] == _MINUS
        lengths -= minus
    longest, shortest = int(lengths.max()), int(lengths.min())
    if shortest < 1 or longest > 8:
        return None
    first = block[int(ends[0]) - int(lengths[0]) : int(ends[0])].tobytes()
    scale = 0
    if longest <= _FEW_BYTES:
        return _read_short(block, ends, lengths, first, mark, minus)
    word = _words_before(words, ends)
    if mark.tobytes() in first:
        scale = len(first) - 1 - first.find(mark.tobytes())
        # A field of a point alone, or a point before the first digit, is left to the other way.
        if shortest < scale + 2:
            return None
        bits = 8 * (7 - scale)
        if not ((word >> np.uint64(bits)) & np.uint64(0xFF) == mark).all():
            return None
        # What is before the point moves up to what is behind it.
        behind = np.uint64(_ALL >> (bits + 8) << (bits + 8))
        word = (word & behind) | (word << np.uint64(8)) & ~behind
        lengths -= 1
    word = (word ^ _ZEROS) & _LAST_BYTES[lengths]
    if not _are_digits(word).all():
        return None
    total = _eight_digits(word).view(np.int64)
    if minus is not None and minus.any():
        np.negative(total, out=total, where=minus)
    return total, scale, True


def _read_short(
    block: NDArray[np.uint8],
    ends: NDArray[np.intp],
    lengths: NDArray[np.intp],
    first: bytes,
    mark: np.uint8,
    minus: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int64], int, bool] | None:
    """Do the same a byte at a time, from the right: less work, where there are a few of them.

    `first` is the first field, without its sign, and `lengths` don't count signs either.
    """
    shortest, longest = int(lengths.min()), int(lengths.max())
    scale = len(first) - 1 - first.find(mark.tobytes()) if mark.tobytes() in first else -1
    if shortest < scale + 2:
        return None
    total = np.zeros(len(ends), np.int32)
    weight = 1
    for place in range(longest):
        digit = block[ends - (place + 1)]
        if place == scale:
            if not (digit == mark).all():
                return None
            continue
        digit -= _ZERO
        if place >= shortest:
            digit[lengths <= place] = 0
        if digit.max() > 9:
            return None
        total += digit.astype(np.int32) * np.int32(weight)
        weight *= 10
    if minus is not None and minus.any():
        np.negative(total, out=total, where=minus)
    return total.astype(np.int64), max(scale, 0), True


def _read_any(
    words: NDArray[np.uint64],
    block: NDArray[np.uint8],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    mark: np.uint8,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]]:
    """Read fields of any form: what is before the point, and what is behind it."""
    minus = block[starts] == _MINUS
    at = starts + minus
    lengths = ends - at
    plain = (lengths > 0) & (lengths <= MAX_LENGTH)
    lengths *= plain
    whole_lengths = _places_of_points(words, at, lengths, mark)
    scale = np.maximum(lengths - whole_lengths - 1, 0)
    plain &= (whole_lengths + scale > 0) & (scale <= MAX_SCALE)
    whole = _read_digits(words, at + whole_lengths, whole_lengths, plain)
    part = _read_digits(words, at + lengths, scale, plain)
    plain &= whole < _WHOLE_BELOW[np.minimum(scale, MAX_SCALE)]
    total = whole * _WHOLE_UNITS[np.minimum(scale, MAX_DIGITS)] + part
    np.negative(total, out=total, where=minus)
    return total, scale.astype(np.uint8), plain


def _places_of_points(
    words: NDArray[np.uint64], at: NDArray[np.intp], lengths: NDArray[np.intp], mark: np.uint8
) -> NDArray[np.intp]:
    """Return how many bytes of each field are before its first point: all if it has none."""
    found = lengths.copy()
    for place in range(0, int(lengths.max(initial=0)), 8):
        word = words[np.minimum(at + place, len(words) - 1)] ^ (_ONES * np.uint64(mark))
        # The lowest bit that this sets is in the first byte that is zero.
        # Source: H. S. Warren, "Hacker's Delight", 6-1, "Find first 0-byte".
        zeros = (word - _ONES) & ~word & _HIGH_BITS
        before = np.bitwise_count(~zeros & (zeros - np.uint64(1))) >> 3
        np.minimum(found, place + before.astype(np.intp), out=found, where=before < 8)
    return found


def _read_digits(
    words: NDArray[np.uint64],
    ends: NDArray[np.intp],
    lengths: NDArray[np.intp],
    plain: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Return the integers that end at `ends`; `plain` becomes False where they are none.

    Or are not below 10 ** `MAX_DIGITS`.
    """
    total = np.zeros(len(ends), np.uint64)
    for place in range(0, int(lengths.max(initial=0)), 8):
        word = _words_before(words, ends - place)
        word = (word ^ _ZEROS) & _LAST_BYTES[np.clip(lengths - place, 0, 8)]
        plain &= _are_digits(word)
        digits = _eight_digits(word)
        if place + 8 > MAX_DIGITS:
            plain &= digits < 10 ** (MAX_DIGITS - place)
        total += digits * np.uint64(10**place)
    return total.view(np.int64)


def _words_before(words: NDArray[np.uint64], ends: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Return the eight bytes before each place; what there is of them at the block's beginning."""
    at = ends - 8
    if int(at.min()) >= 0:
        return words[at]
    word = words[np.maximum(at, 0)]
    word <<= (8 * np.clip(-at, 0, 7)).astype(np.uint64)
    return word


def _are_digits(word: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether all bytes of words are from 0 to 9."""
    return np.asarray(((word + _TO_HIGH_BITS) | word) & _HIGH_BITS == 0)


def _eight_digits(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the number whose digits, from 0 to 9, are the bytes of words, the lowest first.

    Source: D. Lemire, "Quickly parsing eight digits" (2018).
    """
    for factor, bits, mask in _DIGIT_STEPS:
        word = (word * factor >> bits) & mask
    return word
