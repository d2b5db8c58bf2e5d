"""Mean and variance of features, exact: sums of integers, whatever the order of the rows.

Only Preprocess and Split import this; it needs numpy, which they bring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.decimals import MAX_DIGITS, Decimals

_LIMB_BITS = 20
_LIMB = (1 << _LIMB_BITS) - 1
_EXACT_PRODUCTS = 2 ** (53 - 2 * _LIMB_BITS)


class Moments:
    """Count, minimum, maximum, and exact sum and sum of squares of each feature.

    A decimal is an integer over a power of ten, so sums by power are sums of integers: nothing
    cancels and nothing is rounded, however far from zero the values are. Parts of a file give the
    same moments as the whole, to the last bit. Rounding happens once, in `mean` and `std`.
    """

    def __init__(self, features: int) -> None:
        self.count = [0] * features
        self.min = [math.inf] * features
        self.max = [-math.inf] * features
        # By scale, one integer a feature: the values times 10 ** scale, and their squares.
        self._sums: dict[int, list[int]] = {}
        self._squares: dict[int, list[int]] = {}

    def add(self, numbers: Decimals) -> None:
        """Count the plain ones of numbers, (features, rows)."""
        features, rows = numbers.mantissa.shape
        if not rows:
            return
        mantissa, plain = numbers.mantissa, numbers.plain
        counts = [rows] * features
        if not plain.all():
            counts = plain.sum(axis=1).tolist()
            mantissa = np.where(plain, mantissa, 0)
        lows, highs = numbers.extremes()
        for feature, (low, high) in enumerate(zip(lows, highs, strict=True)):
            self.count[feature] += counts[feature]
            self.min[feature] = min(self.min[feature], low)
            self.max[feature] = max(self.max[feature], high)
        for start in range(0, rows, _EXACT_PRODUCTS):
            some = slice(start, start + _EXACT_PRODUCTS)
            for sums in _power_sums(mantissa[:, some], numbers.scale[:, some]):
                self._add_sums(*sums)

    def add_text(self, feature: int, text: str) -> None:
        """Count one number, such as ``-1.5e-3``."""
        value = float(text)
        mantissa, scale = 0, 0
        # What underflows to zero is zero: its power of ten would have no end.
        if value:
            digits, _, exponent = text.lower().partition("e")
            whole, _, part = digits.partition(".")
            mantissa, scale = int(whole + part), len(part) - int(exponent or 0)
            if 0 <= scale <= MAX_DIGITS and abs(mantissa) < 10**MAX_DIGITS:
                value = mantissa / 10**scale
        self.count[feature] += 1
        self.min[feature] = min(self.min[feature], value)
        self.max[feature] = max(self.max[feature], value)
        if scale not in self._sums:
            self._of(self._sums, scale)
            self._of(self._squares, scale)
        self._sums[scale][feature] += mantissa
        self._squares[scale][feature] += mantissa * mantissa

    def merge(self, other: Moments) -> None:
        """Count what another has counted."""
        for feature in range(len(self.count)):
            self.count[feature] += other.count[feature]
            self.min[feature] = min(self.min[feature], other.min[feature])
            self.max[feature] = max(self.max[feature], other.max[feature])
        for scale, sums in other._sums.items():
            self._add_sums(scale, sums, other._squares[scale])

    def mean(self, feature: int) -> float:
        """Return the mean, 0 if nothing was counted."""
        count = self.count[feature]
        return float(self._exact(self._sums, feature, 1) / count) if count else 0.0

    def std(self, feature: int) -> float:
        """Return the standard deviation of the sample (n - 1), 0 for fewer than two values."""
        count = self.count[feature]
        if count < 2:
            return 0.0
        total = self._exact(self._sums, feature, 1)
        squares = self._exact(self._squares, feature, 2)
        variance = (squares - total * total / count) / (count - 1)
        return math.sqrt(variance)

    def as_dict(self) -> dict[str, Any]:
        """Return the state; JSON holds integers of any size."""
        return {
            "count": self.count,
            "min": [value if math.isfinite(value) else None for value in self.min],
            "max": [value if math.isfinite(value) else None for value in self.max],
            "sums": {str(scale): sums for scale, sums in self._sums.items()},
            "squares": {str(scale): squares for scale, squares in self._squares.items()},
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Return the moments that `as_dict` was made from."""
        moments = cls(len(state["count"]))
        moments.count = list(state["count"])
        moments.min = [math.inf if value is None else value for value in state["min"]]
        moments.max = [-math.inf if value is None else value for value in state["max"]]
        moments._sums = {int(scale): list(sums) for scale, sums in state["sums"].items()}
        moments._squares = {int(scale): list(sums) for scale, sums in state["squares"].items()}
        return moments

    def _add_sums(self, scale: int, sums: list[int], squares: list[int]) -> None:
        for kept, added in (
            (self._of(self._sums, scale), sums),
            (self._of(self._squares, scale), squares),
        ):
            for feature, amount in enumerate(added):
                kept[feature] += amount

    def _of(self, sums: dict[int, list[int]], scale: int) -> list[int]:
        return sums.setdefault(scale, [0] * len(self.count))

    @staticmethod
    def _exact(sums: dict[int, list[int]], feature: int, power: int) -> Fraction:
        return sum(
            (
                Fraction(by_feature[feature]) / Fraction(10) ** (scale * power)
                for scale, by_feature in sums.items()
                if by_feature[feature]
            ),
            Fraction(0),
        )


def _power_sums(
    mantissa: NDArray[np.int64], scale: NDArray[np.uint8]
) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yield of each scale the sum and the sum of squares of each row's integers, exactly.

    In limbs of 20 bits their products, even of `_EXACT_PRODUCTS` of them, add up to integers that
    floats hold, in whatever order they are added.
    """
    largest = max(-int(mantissa.min()), int(mantissa.max()))
    count = max(-(-largest.bit_length() // _LIMB_BITS), 1)
    limbs = np.empty((len(mantissa), count + 1, mantissa.shape[1]))
    for place in range(count - 1):
        limbs[:, place] = (mantissa >> (_LIMB_BITS * place)) & _LIMB
    limbs[:, count - 1] = mantissa >> (_LIMB_BITS * (count - 1))
    limbs[:, count] = 1
    other = limbs.transpose(0, 2, 1)
    lowest, highest = int(scale.min()), int(scale.max())
    scales = [lowest] if lowest == highest else np.unique(scale).tolist()
    for each in scales:
        of_scale = limbs[:, :count]
        if len(scales) > 1:
            of_scale = of_scale * (scale == each)[:, None]
        products = (of_scale @ other).astype(np.int64).tolist()
        sums, squares = [], []
        for rows in products:
            sums.append(sum(row[count] << _LIMB_BITS * place for place, row in enumerate(rows)))
            squares.append(
                sum(
                    amount << _LIMB_BITS * (place + other_place)
                    for place, row in enumerate(rows)
                    for other_place, amount in enumerate(row[:count])
                )
            )
        yield each, sums, squares
