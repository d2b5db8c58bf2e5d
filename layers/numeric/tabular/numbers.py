"""Numbers as they are written in a CSV, read many at a time.

A plain decimal is read as an integer over a power of ten, eight characters at a time; whatever is
written otherwise goes through `NumberFormat.parse` by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

PADDING = 64
"""Bytes after a block's last, so that eight may be loaded from anywhere in it."""

MISSING = frozenset(
    {
        "",
        "#n/a",
        "#n/a n/a",
        "#na",
        "-1.#ind",
        "-1.#qnan",
        "-nan",
        "1.#ind",
        "1.#qnan",
        "<na>",
        "?",
        "n/a",
        "na",
        "nan",
        "none",
        "null",
    }
)
"""What stands for no value, in any case: pandas' default list (user guide, "NA and missing data
handling" of ``read_csv``), and ``?``."""

MAX_DIGITS = 18
"""Significant digits of a number that fit an int64, whatever they are."""

MAX_SCALE = 22
"""Digits after the point: powers of ten up to this one are floats, exactly."""

MAX_LENGTH = MAX_SCALE + 2
"""Characters of a plain decimal without its sign."""

MAX_NUMBER = 100
"""Characters of a number. No float takes that many to write."""

_EXACT = 2**53
"""Integers below this are floats, so that a quotient of them and a power of ten is rounded once."""

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


def is_missing(text: str) -> bool:
    """Whether a field says that there is no value."""
    return text.strip().lower() in MISSING


def plain_number(text: str) -> float | None:
    """Return the number that `text` is: digits, a point, a sign, an exponent; else None.

    ``float`` accepts more than a CSV means by a number: ``1_000``, ``infinity``, other scripts'
    digits.
    """
    return float(text) if len(text) <= MAX_NUMBER and _NUMBER.fullmatch(text) else None


_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CURRENCY = r"(?:[$€£¥₹₽₩₺₴₪฿]|USD|EUR|GBP|CHF|JPY|CAD|AUD)"
_DRESS = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+-]?)\s*{_CURRENCY}?\s*(?P<sign2>[+-]?)(?P<number>[^()%\s].*?)"
    rf"\s*(?:%|{_CURRENCY})?\s*(?P<close>\))?"
)
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009", " "))


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers.

    Parameters
    ----------
    decimal
        The decimal mark, ``.`` or ``,``.
    thousands
        What groups digits by threes, if anything: ``.`` ``,`` ``'`` or a space.
    dressed
        Whether there may be a currency or a percent sign around a number, or brackets that make it
        negative. A percentage is read as it is written: ``12.5%`` is 12.5.
    missing
        Words that stand for no number in this column.
    """

    decimal: str = "."
    thousands: str | None = None
    dressed: bool = False
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any] | None) -> Self:
        """Return the format that JSON holds; what it leaves out is plain."""
        written: dict[str, Any] = dict(fields or {})
        return cls(**written | {"missing": tuple(written.get("missing", ()))})

    @cached_property
    def _grouped(self) -> re.Pattern[str]:
        group = re.escape(self.thousands or "")
        return re.compile(
            rf"([+-]?[0-9]{{1,3}}(?:{group}[0-9]{{3}})+)((?:{re.escape(self.decimal)}[0-9]*)?)"
        )

    def parse(self, text: str) -> float | None:
        """Return the number in a field without spaces around it, or None if it holds none.

        NaN stands for one of the words for missing numbers.
        """
        if text in self.missing:
            return math.nan
        if len(text) > MAX_NUMBER:
            return None
        negative = False
        if self.dressed:
            match = _DRESS.fullmatch(text)
            if match is None or bool(match["open"]) != bool(match["close"]):
                return None
            negative = bool(match["open"])
            text = match["sign"] + match["sign2"] + match["number"]
        if self.thousands:
            spaced = text.translate(_SPACES) if self.thousands == " " else text
            if grouped := self._grouped.fullmatch(spaced):
                text = grouped[1].replace(self.thousands, "") + grouped[2]
        if self.decimal != ".":
            if "." in text:
                return None
            text = text.replace(self.decimal, ".")
        number = plain_number(text)
        return -number if negative and number is not None else number


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

    def values(self) -> NDArray[np.float64]:
        """Return the numbers as floats: correctly rounded where the mantissa is below 2 ** 53."""
        if self.scale.size and self.scale.min() == self.scale.max():
            return np.asarray(self.mantissa / _POWERS[self.scale.flat[0]])
        return np.asarray(self.mantissa / _POWERS[self.scale])


def read_numbers(
    array: NDArray[np.uint8],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    formats: Sequence[NumberFormat],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the numbers in the fields of a padded block, and where there is something else.

    Parameters
    ----------
    starts, ends
        Where each field begins and where it ends, (columns, rows), without spaces around it.
    formats
        How each column writes its numbers.

    Returns
    -------
    tuple
        The values, NaN where one is missing or is no number; and True where it is no number. Both
        are (columns, rows). Every value is correctly rounded.
    """
    bad = np.zeros(starts.shape, np.bool_)
    points = {each.decimal for each in formats}
    if len(points) == 1:
        numbers = read_decimals(array, starts, ends, points.pop())
        values, doubtful = numbers.values(), _doubtful(numbers)
    else:
        values, doubtful = np.empty(starts.shape), np.ones(starts.shape, np.bool_)
        for point in points:
            columns = [place for place, each in enumerate(formats) if each.decimal == point]
            numbers = read_decimals(array, starts[columns], ends[columns], point)
            values[columns], doubtful[columns] = numbers.values(), _doubtful(numbers)
    if doubtful.any():
        known: dict[tuple[int, bytes], tuple[float, bool]] = {}
        doubtful &= starts < ends
        values[starts == ends] = np.nan
        for column, row in zip(*np.nonzero(doubtful), strict=True):
            text = array[starts[column, row] : ends[column, row]].tobytes()
            if (found := known.get((column, text))) is None:
                written = text.decode().strip()
                number = formats[column].parse(written)
                found = (
                    np.nan if number is None else number,
                    number is None and not is_missing(written),
                )
                if len(known) < _REMEMBERED:
                    known[column, text] = found
            values[column, row], bad[column, row] = found
    return values, bad


_REMEMBERED = 1 << 16
"""Fields whose number is kept while a block is read: most odd ones are alike."""


def _doubtful(numbers: Decimals) -> NDArray[np.bool_]:
    return ~numbers.plain | (np.abs(numbers.mantissa) >= _EXACT)


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
