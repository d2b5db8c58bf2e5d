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
"""Digits of a number that fit an int64, whatever they are."""

_POWERS = np.array([float(f"1e{scale}") for scale in range(MAX_DIGITS + 1)])

_FEW_ROWS = 512
"""Below this, going column by column costs more than it saves."""

_ZERO, _MINUS = np.uint8(ord("0")), np.uint8(ord("-"))


@dataclass(frozen=True)
class Decimals:
    """Numbers as written: each is ``mantissa / 10 ** scale``. All arrays are (columns, rows).

    `plain` is False where the text is no plain decimal, such as ``-12.50``, of at most `MAX_DIGITS`
    digits; mantissa and scale mean nothing there.
    """

    mantissa: NDArray[np.int64]
    scale: NDArray[np.uint8]
    plain: NDArray[np.bool_]

    def of(self, rows: NDArray[np.bool_]) -> Decimals:
        """Return those of some rows."""
        return Decimals(self.mantissa[:, rows], self.scale[:, rows], self.plain[:, rows])

    def sample(self, stride: int) -> Decimals:
        """Return every `stride`-th row of them."""
        rows = slice(None, None, stride)
        return Decimals(self.mantissa[:, rows], self.scale[:, rows], self.plain[:, rows])

    def extremes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lowest and the highest plain number of each column; infinities if none."""
        if self.plain.all() and self.scale.min() == self.scale.max():
            unit = _POWERS[self.scale.flat[0]]
            return self.mantissa.min(axis=1) / unit, self.mantissa.max(axis=1) / unit
        values = self.values()
        lows = np.where(self.plain, values, np.inf).min(axis=1)
        return lows, np.where(self.plain, values, -np.inf).max(axis=1)

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
    if shape[1] < _FEW_ROWS:
        flat = _read_any(block, starts.ravel(), ends.ravel(), mark)
        mantissa[:], scale[:], plain[:] = (part.reshape(shape) for part in flat)
        return Decimals(mantissa, scale, plain)
    signed = bool((block == _MINUS).any())
    for column in range(shape[0]):
        of_column = _read_alike(
            block, starts[column], ends[column], mark, signed=signed
        ) or _read_any(block, starts[column], ends[column], mark)
        mantissa[column], scale[column], plain[column] = of_column
    return Decimals(mantissa, scale, plain)


def _read_alike(
    block: NDArray[np.uint8],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    mark: np.uint8,
    *,
    signed: bool,
) -> tuple[NDArray[np.signedinteger[Any]], int, bool] | None:
    """Read fields that have as many decimals each, from the right; None if they haven't.

    Most columns are like that, and then a digit's weight is the same in all rows. `signed` tells
    whether any of them may have a minus.
    """
    lengths = ends - starts
    negative = False
    if signed:
        minus = block[starts] == _MINUS
        lengths -= minus
        negative = bool(minus.any())
    longest, shortest = int(lengths.max()), int(lengths.min())
    first = block[int(ends[0]) - int(lengths[0]) : int(ends[0])].tobytes()
    scale = max(len(first) - 1 - first.find(mark.tobytes()), 0) if mark.tobytes() in first else -1
    # A field of a point alone, or a point before the first digit, is left to the other way.
    if shortest < scale + 2 or shortest < 1 or longest > MAX_DIGITS:
        return None
    kind: type[np.int32 | np.int64] = np.int32 if longest < 10 else np.int64
    total: NDArray[Any] = np.zeros(len(starts), kind)
    weight = 1
    last = ends - 1
    for place in range(longest):
        digit = block[last - place]
        if place == scale:
            if not (digit == mark).all():
                return None
            continue
        digit = digit - _ZERO
        if place >= shortest:
            digit[lengths <= place] = 0
        if digit.max() > 9:
            return None
        weighted: NDArray[Any] = digit.astype(kind)
        total += weighted * kind(weight)
        weight *= 10
    if negative:
        np.negative(total, out=total, where=minus)
    return total, max(scale, 0), True


def _read_any(
    block: NDArray[np.uint8],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    mark: np.uint8,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]]:
    """Read fields of any form, from the left."""
    minus = block[starts] == _MINUS
    at = starts + minus
    lengths = ends - at
    plain = (lengths > 0) & (lengths <= MAX_DIGITS + 1)
    total = np.zeros(len(starts), np.int64)
    scale = np.zeros(len(starts), np.uint8)
    after_point = np.zeros(len(starts), np.bool_)
    # Fields drop out when they end, or when they turn out to be no number.
    live = np.flatnonzero(plain)
    place = 0
    while len(live):
        byte = block[at[live] + place]
        digit = byte - _ZERO
        is_digit = digit <= 9
        is_point = (byte == mark) & ~after_point[live]
        good = is_digit | is_point
        if not good.all():
            plain[live[~good]] = False
            live, digit, is_digit, is_point = (
                part[good] for part in (live, digit, is_digit, is_point)
            )
        total[live] = np.where(is_digit, total[live] * 10 + digit, total[live])
        scale[live] += is_digit & after_point[live]
        after_point[live] |= is_point
        place += 1
        live = live[lengths[live] > place]
    digits = lengths - after_point
    plain &= (digits >= 1) & (digits <= MAX_DIGITS)
    np.negative(total, out=total, where=minus)
    return total, scale, plain
