"""Numbers as they are written in a CSV, read many at a time.

A plain decimal is read as an integer over a power of ten, a digit or eight of many fields at a
time; whatever is written otherwise goes through `NumberFormat.parse` by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

PADDING = 64
"""Bytes after a block's last, so that as many may be loaded from anywhere in it."""

_NO_VALUE = "#n/a|#n/a n/a|#na|-1.#ind|-1.#qnan|-nan|1.#ind|1.#qnan|<na>|?|n/a|na|nan|none|null"
MISSING = frozenset(["", *_NO_VALUE.split("|")])
"""What stands for no value, in any case: pandas' default list (user guide, "NA and missing data
handling" of ``read_csv``), and ``?``."""

MAX_NUMBER = 100
"""Characters of a number. No float takes that many to write."""

_MAX_SCALE = 22  # digits after the point: powers of ten up to this one are floats, exactly
_POWERS = np.array([float(f"1e{scale}") for scale in range(_MAX_SCALE + 2)])
_WHOLE_POWERS = np.array([10**scale if scale < 19 else 0 for scale in range(_MAX_SCALE + 2)])
_EXACT = 2**53  # whole numbers below are floats, so one over a power of ten is rounded once
_MOST = 9 * 10**18  # whole numbers up to this one have room in an integer of 64 bits
_FEW_ROWS = 512  # with fewer, going column by column costs more than it saves
_REMEMBERED = 1 << 16  # fields whose number is kept while a block is read: most odd ones are alike

_SHORT = 9  # characters of a number whose digits are read one by one
_TENS = (*[np.uint8(10)] * 2, *[np.uint16(10)] * 2, *[np.uint32(10)] * 5)
"""What a number of so many digits is multiplied by: the type has room for one more digit."""

_MINUS, _ZERO = np.uint8(ord("-")), np.uint8(ord("0"))

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Words = NDArray[np.uint64]
"""Eight characters each, the first of them in the lowest byte."""

_LAST_BYTES = ~np.array([(1 << 8 * (8 - count)) - 1 for count in range(9)], "<u8")
"""All bits of the last bytes of a word, by how many are meant."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CURRENCY = (
    r"(?:[A-Z]{0,2}[$€£¥₹₽₩₺₴₪฿]|kr\.?|zł|Kč|Ft|Rs\.?|Fr\.?|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD"
    r"|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR)"
)
_DRESS = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+-]?)\s*{_CURRENCY}?\s*(?P<sign2>[+-]?)(?P<number>[^()%\s].*?)"
    rf"\s*(?:%|{_CURRENCY})?\s*(?P<close>\))?"
)
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009", " "))


def is_missing(text: str) -> bool:
    """Whether a field says that there is no value."""
    return text.strip().lower() in MISSING


def plain_number(text: str) -> float | None:
    """Return the number that `text` is: digits, a point, a sign, an exponent; else None.

    ``float`` accepts more than a CSV means by a number: ``1_000``, ``infinity``, other scripts'
    digits.
    """
    return float(text) if len(text) <= MAX_NUMBER and _NUMBER.fullmatch(text) else None


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers: its decimal mark, and what groups digits by threes.

    If they are `dressed`, there may be a currency or a percent sign around a number, or brackets
    that make it negative; ``12.5%`` is 12.5. `missing` has words that stand for no number.
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
        number = self._parse(text) if len(text) <= MAX_NUMBER else None
        return math.nan if number is None and text in self.missing else number

    def _parse(self, text: str) -> float | None:
        if self.dressed:
            match = _DRESS.fullmatch(text)
            if match is None or bool(match["open"]) != bool(match["close"]):
                return None
            brackets = "-" if match["open"] else ""
            text = brackets + match["sign"] + match["sign2"] + match["number"]
        if self.thousands and self.thousands != self.decimal:
            spaced = text.translate(_SPACES) if self.thousands == " " else text
            if grouped := self._grouped.fullmatch(spaced):
                text = grouped[1].replace(self.thousands, "") + grouped[2]
        if self.decimal != ".":
            if "." in text:
                return None
            text = text.replace(self.decimal, ".")
        return plain_number(text)


def padded(data: bytes) -> Bytes:
    """Return the bytes as an array, with `PADDING` zeros after them."""
    return np.frombuffer(data + bytes(PADDING), np.uint8)


def read_numbers(
    array: Bytes, starts: Places, ends: Places, formats: Sequence[NumberFormat]
) -> tuple[Floats, Mask]:
    """Return the numbers in the fields of a padded block, and where there is something else.

    All arrays are (columns, rows); the fields have no spaces around them. A number that is missing,
    or is none, is NaN; every other one is correctly rounded.
    """
    values, bad = np.empty(starts.shape), np.zeros(starts.shape, np.bool_)
    doubtful = bad.copy()
    marks = np.array([ord(each.decimal) for each in formats], np.uint8)
    if starts.shape[1] < _FEW_ROWS:
        values, doubtful = _read_any(array, starts, ends, marks[:, None])
    else:
        # Often columns are alike, too.
        if len(set(formats)) == 1 and (found := _read_alike(array, starts, ends, marks[0])):
            return found[0], bad
        for column, mark in enumerate(marks):
            fields = array, starts[column], ends[column], mark
            numbers = _read_alike(*fields) or _read_signed(*fields) or _read_any(*fields)
            values[column], doubtful[column] = numbers
    if not doubtful.any():
        return values, bad
    values[starts == ends] = np.nan

    @lru_cache(_REMEMBERED)
    def read(column: int, field: bytes) -> tuple[float, bool]:
        text = field.decode().strip()
        number = formats[column].parse(text)
        return (math.nan, not is_missing(text)) if number is None else (number, False)

    for column, row in zip(*np.nonzero(doubtful & (starts < ends)), strict=True):
        field = array[starts[column, row] : ends[column, row]].tobytes()
        values[column, row], bad[column, row] = read(column, field)
    return values, bad


def _read_signed(
    array: Bytes, starts: Places, ends: Places, mark: np.uint8
) -> tuple[Floats, bool] | None:
    """Return what `_read_alike` does, of fields of which some have a minus."""
    minus = array[starts] == _MINUS
    if not minus.any() or (alike := _read_alike(array, starts + minus, ends, mark)) is None:
        return None
    np.negative(alike[0], out=alike[0], where=minus)
    return alike


def _read_alike(
    array: Bytes, starts: Places, ends: Places, mark: np.uint8
) -> tuple[Floats, bool] | None:
    """Return the numbers of short fields that have as many decimals each; None if they haven't.

    Most columns are like that, and then each digit has its place before the field's end. Digits
    stay in bytes as long as they can: numpy goes through these many times as fast.
    """
    lengths = ends - starts
    longest, shortest = int(lengths.max()), int(lengths.min())
    if shortest < 1 or longest > _SHORT:
        return None
    first = array[starts.flat[0] : ends.flat[0]].tobytes()
    scale = len(first.partition(mark.tobytes())[2])
    # A field of a point alone, or a point before the first digit, is left to the other way.
    if scale and shortest < scale + 2:
        return None
    number: NDArray[Any] = np.zeros(ends.shape, np.uint8)
    tens = iter(_TENS)
    for left in range(longest, 0, -1):
        # Of a shorter field the byte before it is read, and none is meant.
        digit = array[longest - left :][starts] if longest == shortest else array[ends - left]
        if scale and left == scale + 1:
            if (digit != mark).any():
                return None
            continue
        digit -= _ZERO
        if left > shortest:
            digit *= lengths >= left
        if (digit > 9).any():
            return None
        number = number * next(tens) + digit
    return number / _POWERS[scale], False


def _read_any(
    array: Bytes, starts: Places, ends: Places, mark: np.uint8 | Bytes
) -> tuple[Floats, Mask]:
    """Return the numbers of any fields: what is before the point, and what is behind it.

    Also where the number may be another one: the field is no plain decimal, or too long a one.
    """
    minus = array[starts] == _MINUS
    at = starts + minus
    lengths = ends - at
    plain = (lengths > 0) & (lengths <= _MAX_SCALE + 2)
    lengths *= plain
    before = lengths.copy()
    ones, words = _bytes_of(1), _words_in(array)
    marks = mark.astype(np.uint64) * ones
    for place in range(0, int(lengths.max(initial=0)), 8):
        word = words[np.minimum(at + place, len(words) - 1)] ^ marks
        # The lowest bit that this sets is in the first byte that is zero, where the point is.
        # Source: H. S. Warren, "Hacker's Delight", 6-1, "Find first 0-byte".
        zeros = (word - ones) & ~word & _bytes_of(0x80)
        found = np.bitwise_count(~zeros & (zeros - np.uint64(1))).astype(np.intp) >> 3
        np.minimum(before, place + found, out=before, where=found < 8)
    scale = np.maximum(lengths - before - 1, 0)
    plain &= (before + scale > 0) & (scale <= _MAX_SCALE)
    whole = _read_digits(array, at + before, before, plain)
    behind = _read_digits(array, at + lengths, scale, plain)
    powers = _POWERS[scale]
    plain &= whole * powers + behind < _MOST
    numbers = whole * _WHOLE_POWERS[scale] + behind
    values = numbers / powers
    long = np.nonzero(plain & (numbers >= _EXACT) & (scale > 0))
    values[long], plain[long] = _over(numbers[long], scale[long])
    np.negative(values, out=values, where=minus)
    return values, ~plain


def _read_digits(array: Bytes, ends: Places, lengths: Places, plain: Mask) -> Places:
    """Return the whole numbers that end at `ends`; `plain` becomes False where they are none."""
    total = np.zeros(ends.shape, np.intp)
    for place in range(0, int(lengths.max(initial=0)), 8):
        word = _words_before(array, ends - place)
        word ^= _bytes_of(ord("0"))
        word &= _LAST_BYTES[np.clip(lengths - place, 0, 8)]
        plain &= (word + _bytes_of(0x80 - 10) | word) & _bytes_of(0x80) == 0
        digits = _digits(word)
        plain &= digits <= _MOST // 10**place
        total += digits * _WHOLE_POWERS[place]
    return total


def _over(numbers: Places, scale: Places) -> tuple[Floats, Mask]:
    """Return whole numbers over powers of ten, and which quotients are sure to be rounded right.

    A first quotient is off by one and a half of its last bits at most. What is left over, times a
    power of two, is a whole number below 2 to the 63, so that it is right modulo 2 to the 64.
    """
    values, powers = numbers / _POWERS[scale], _WHOLE_POWERS[scale]
    stored = values.view(np.intp)
    bits, shift = stored & _EXACT // 2 - 1 | _EXACT // 2, 1075 - (stored >> 52)
    left_twice = 2 * ((numbers << shift) - bits * powers)
    sure = (powers > 0) & (shift >= 0) & (np.abs(left_twice) != powers) & (bits > _EXACT // 2 + 1)
    stored += left_twice > powers
    stored -= left_twice < -powers
    return values, sure


def _words_in(array: Bytes) -> Words:
    """Return the words that begin at each byte of an array."""
    return np.ndarray((len(array) - 7,), "<u8", array, 0, (1,))


def _words_before(array: Bytes, ends: Places) -> Words:
    """Return the word before each place; what there is of it at the block's beginning."""
    at = ends - 8
    words = _words_in(array)
    if int(at.min()) >= 0:
        return words[at]
    return words[np.maximum(at, 0)] << (8 * np.clip(-at, 0, 7)).astype(words.dtype)


def _bytes_of(byte: int) -> np.uint64:
    """Return a word of equal bytes."""
    return np.uint64(byte * 0x0101010101010101)


def _digits(word: Words) -> Places:
    """Return the number whose digits, from 0 to 9, are the bytes of words, the lowest first.

    Source: D. Lemire, "Quickly parsing eight digits" (2018).
    """
    for half, mask in ((1, 0x00FF00FF00FF00FF), (2, 0x0000FFFF0000FFFF), (4, 0xFFFFFFFF)):
        bits = 8 * half
        word = (word * (10**half << bits | 1) >> bits) & mask
    return word.view(np.intp)
