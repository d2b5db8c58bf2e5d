"""Numbers as they are written in a CSV, read many at a time.

A plain decimal is read as an integer over a power of ten, four or eight characters at a time;
whatever is written otherwise goes through `NumberFormat.parse` by itself.
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
"""Bytes after a block's last, so that eight may be loaded from anywhere in it."""

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

_MINUS = np.uint8(ord("-"))

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Words = NDArray[np.unsignedinteger[Any]]
"""Four or eight characters each, the first of them in the lowest byte."""

FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], "<u8")
"""All bits of the first bytes of a word, by how many are meant."""

_LAST_BYTES = {8: ~FIRST_BYTES[::-1], 4: ~FIRST_BYTES[4::-1].astype("<u4")}
"""The same of the last bytes, for words of either size."""

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
        signed = bool((array == _MINUS).any())
        for column, mark in enumerate(marks):
            fields = array, starts[column], ends[column], mark
            alike = _read_alike(*fields, signed=signed)
            values[column], doubtful[column] = alike or _read_any(*fields)
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


def _read_alike(
    array: Bytes, starts: Places, ends: Places, mark: np.uint8, *, signed: bool
) -> tuple[Floats, bool] | None:
    """Return the numbers of short fields that have as many decimals each; None if they haven't.

    Most columns are like that, and then the point is at one place in a word that ends with the
    field. `signed` tells whether any of them may have a minus.
    """
    lengths = ends - starts
    minus = None
    if signed:
        minus = array[starts] == _MINUS
        lengths -= minus
    longest, shortest = int(lengths.max()), int(lengths.min())
    if shortest < 1 or longest > 8:
        return None
    size = 4 if longest <= 4 else 8
    zeros, to_high_bits = _bytes_of(ord("0"), size), _bytes_of(0x80 - 10, size)
    first = array[int(ends[0]) - int(lengths[0]) : int(ends[0])].tobytes()
    scale, behind = 0, 0
    if (point := first.find(mark.tobytes())) >= 0:
        scale = len(first) - 1 - point
        # A field of a point alone, or a point before the first digit, is left to the other way.
        if shortest < scale + 2:
            return None
        behind = 8 * (size - scale)
        # Where the point must be, it counts as a zero, and nothing else does.
        zeros ^= (ord("0") ^ int(mark)) << behind - 8
        to_high_bits += (0x7F - 0x80 + 10) << behind - 8
    meant = _LAST_BYTES[size][lengths if shortest < longest else longest]
    word = (_words_before(array, ends, size) ^ zeros) & meant
    if ((word + to_high_bits | word) & _bytes_of(0x80, size)).any():
        return None
    if behind:
        # What is before the point moves up to what is behind it.
        below = (1 << behind) - 1
        word = word & ~word.dtype.type(below) | word << 8 & below
    values = _digits(word) / _POWERS[scale]
    if minus is not None and minus.any():
        np.negative(values, out=values, where=minus)
    return values, False


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
    ones, words = _bytes_of(1, 8), words_in(array)
    marks = mark.astype(np.uint64) * ones
    for place in range(0, int(lengths.max(initial=0)), 8):
        word = words[np.minimum(at + place, len(words) - 1)] ^ marks
        # The lowest bit that this sets is in the first byte that is zero, where the point is.
        # Source: H. S. Warren, "Hacker's Delight", 6-1, "Find first 0-byte".
        zeros = (word - ones) & ~word & _bytes_of(0x80, 8)
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
        word = _words_before(array, ends - place, 8)
        word ^= np.uint64(_bytes_of(ord("0"), 8))
        word &= _LAST_BYTES[8][np.clip(lengths - place, 0, 8)]
        plain &= (word + _bytes_of(0x80 - 10, 8) | word) & _bytes_of(0x80, 8) == 0
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


def words_in(array: Bytes, size: int = 8) -> Words:
    """Return the words that begin at each byte of an array."""
    return np.ndarray((len(array) - size + 1,), f"<u{size}", array, 0, (1,))


def _words_before(array: Bytes, ends: Places, size: int) -> Words:
    """Return the word before each place; what there is of it at the block's beginning."""
    at = ends - size
    words = words_in(array, size)
    if int(at.min()) >= 0:
        return words[at]
    return words[np.maximum(at, 0)] << (8 * np.clip(-at, 0, size - 1)).astype(words.dtype)


def _bytes_of(byte: int, size: int) -> int:
    """Return a word of equal bytes."""
    return byte * (((1 << 8 * size) - 1) // 255)


def _digits(word: Words) -> NDArray[np.signedinteger[Any]]:
    """Return the number whose digits, from 0 to 9, are the bytes of words, the lowest first.

    Source: D. Lemire, "Quickly parsing eight digits" (2018).
    """
    size = word.itemsize
    for half in (1, 2, 4)[: size.bit_length() - 1]:
        bits = 8 * half
        word = (word * (10**half << bits | 1) >> bits) & ((1 << 8 * size) - 1) // ((1 << bits) + 1)
    return word.view(f"<i{size}")
