"""Ranges of hyperparameters that a tuning job searches, each seen as the interval from 0 to 1.

Source: developer guide, "Define Hyperparameter Ranges"; API reference, "ParameterRanges".
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.table import Document

MAX_RANGES = 30
# From here on Auto takes the logarithmic scale; how SageMaker chooses isn't documented, but it
# advises to use that scale for ranges of several orders of magnitude.
AUTO_LOGARITHMIC_RATIO = 100.0
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Scale:
    """A way from the interval (0, 1) to that between two values, and back."""

    to: Callable[[float], float]
    back: Callable[[float], float]


def identity(x: float) -> float:
    """The linear scale."""
    return x


SCALES = {
    "Linear": Scale(identity, identity),
    "Logarithmic": Scale(math.log, math.exp),
    "ReverseLogarithmic": Scale(lambda x: -math.log1p(-x), lambda x: -math.expm1(-x)),
}


@dataclass(frozen=True)
class NumericRange:
    """Numbers between two bounds, both included, whole ones or any."""

    name: str
    low: float
    high: float
    scaling: str
    whole: bool

    @property
    def size(self) -> float:
        """How many values there are."""
        if self.whole:
            return self.high - self.low + 1
        return 1 if self.low == self.high else math.inf

    @property
    def dimensions(self) -> int:
        """How many numbers ``position`` gives."""
        return 1

    def value(self, at: float) -> str:
        """The value at a place between 0 and 1, as a hyperparameter is written."""
        scale = SCALES[self.scaling]
        low, high = self.ends()
        x = scale.back(scale.to(low) + at * (scale.to(high) - scale.to(low)))
        if self.whole:
            return str(int(min(max(round(x), self.low), self.high)))
        return repr(min(max(x, self.low), self.high))

    def position(self, value: str) -> list[float]:
        """Where between 0 and 1 a value lies."""
        scale = SCALES[self.scaling]
        low, high = (scale.to(end) for end in self.ends())
        return [(scale.to(float(value)) - low) / (high - low) if high > low else 0.5]

    def ends(self) -> tuple[float, float]:
        """The bounds; those of whole numbers reach to where rounding still leads to them."""
        return (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)


@dataclass(frozen=True)
class CategoricalRange:
    """One of a list of values."""

    name: str
    values: tuple[str, ...]

    @property
    def size(self) -> float:
        """How many values there are."""
        return len(self.values)

    @property
    def dimensions(self) -> int:
        """How many numbers ``position`` gives."""
        return len(self.values)

    def value(self, at: float) -> str:
        """The value at a place between 0 and 1."""
        return self.values[min(int(at * len(self.values)), len(self.values) - 1)]

    def position(self, value: str) -> list[float]:
        """A 1 for the value and a 0 for each other: no two are nearer than others."""
        return [float(value == other) for other in self.values]


Range = NumericRange | CategoricalRange


def combinations(ranges: list[Range]) -> float:
    """How many combinations of values there are; infinite with a continuous range."""
    return math.prod(item.size for item in ranges)


def parse_ranges(given: Document) -> list[Range]:
    """Check the ParameterRanges of a request.

    Raises ServiceError: ValidationException for a bound that is no number, bounds that are the
    wrong way round, a scale that the range can't have, or a name given twice.
    """
    ranges: list[Range] = [
        parse_numeric(item, whole=True) for item in given.get("IntegerParameterRanges", [])
    ]
    ranges += [
        parse_numeric(item, whole=False) for item in given.get("ContinuousParameterRanges", [])
    ]
    ranges += [
        CategoricalRange(item["Name"], tuple(dict.fromkeys(item["Values"])))
        for item in given.get("CategoricalParameterRanges", [])
    ]
    names = [item.name for item in ranges]
    if len(set(names)) < len(names):
        raise validation_error("A hyperparameter can't have more than one range")
    if len(names) > MAX_RANGES:
        raise validation_error(f"A tuning job can't search more than {MAX_RANGES} hyperparameters")
    return ranges


def parse_numeric(item: Document, whole: bool) -> NumericRange:
    """Check one range of integers or of any numbers."""
    name = item["Name"]
    low, high = (parse_bound(name, item[end], whole) for end in ("MinValue", "MaxValue"))
    if low > high:
        raise validation_error(
            f"MinValue [{item['MinValue']}] of hyperparameter [{name}] must not be greater than "
            f"MaxValue [{item['MaxValue']}]"
        )
    scaling = item.get("ScalingType", "Auto")
    if scaling == "Auto":
        orders = low > 0 and high / low >= AUTO_LOGARITHMIC_RATIO
        scaling = "Logarithmic" if orders else "Linear"
    if scaling == "Logarithmic" and low <= 0:
        raise validation_error(
            f"Logarithmic scaling works only for ranges that have only values greater than 0, "
            f"which that of hyperparameter [{name}] does not"
        )
    if scaling == "ReverseLogarithmic" and (whole or low < 0 or high >= 1):
        raise validation_error(
            f"Reverse logarithmic scaling works only for continuous ranges within 0<=x<1.0, "
            f"which that of hyperparameter [{name}] is not"
        )
    return NumericRange(name, low, high, scaling, whole)


def parse_bound(name: str, text: str, whole: bool) -> float:
    """A bound as a number; Python would read some texts that are none elsewhere."""
    bound = math.nan
    if (WHOLE if whole else NUMBER).fullmatch(text):
        bound = int(text) if whole else float(text)
    if not math.isfinite(bound):
        kind = "an integer" if whole else "a number"
        raise validation_error(f"[{text}], a bound of hyperparameter [{name}], is not {kind}")
    return bound
