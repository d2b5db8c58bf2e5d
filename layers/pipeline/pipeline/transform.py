"""What the model sees of a row: columns encoded as numbers, then at most one matrix.

Everything in it is learned from the training rows alone. Split applies it to many rows at once
with numpy, Predict to those of a request by this module; both give the same 32-bit floats.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

from pipeline.schema import Role

LARGEST = 1e18
"""Of a number's absolute value. k-NN adds up squares of differences, 4e36 at most, in 32-bit
floats, which hold 3.4e38."""

GRAIN = 2.0**-18
FARTHEST = 2.0**12
"""Before a matrix encoded columns are rounded to multiples of `GRAIN`, and limited: a z-score of
4,096 is as far away as any. The entries of a matrix are multiples of `GRAIN` up to 1. So sums of
their products are exact below 2 ** 17, in whatever order numpy and Python add them."""

MISSING = frozenset(
    {
        *("", "?", "na", "n/a", "nan", "-nan", "none", "null", "<na>"),
        *("#n/a", "#n/a n/a", "#na", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    }
)
"""What stands for no value in CSV, in any case: the words that files are read with."""

TRUE = frozenset({"true", "t", "yes", "y"})
FALSE = frozenset({"false", "f", "no", "n"})
BOOLEANS = dict.fromkeys(("1", *TRUE), 1) | dict.fromkeys(("0", *FALSE), 0)

Value = str | float | bool | None
"""Of one column of a row, as JSON has it. Text is read as in a file, but for numbers that are
dressed as money or percentages, or have a decimal comma."""


class BadValue(ValueError):
    """A value that a column can't have."""

    def __init__(self, row: int, column: str, why: str) -> None:
        super().__init__(why)
        self.row = row
        self.column = column
        self.why = why


@dataclass(frozen=True)
class Encoding:
    """How one column becomes one or more numbers, each shifted by an offset, then scaled.

    `fill` takes the place of a missing number or boolean; it is None if none may be missing. Of a
    category `values` says what each number is 1 for: an empty text is a missing value, None any
    value that is not listed. `categories` are the values that it tells apart, the frequent ones:
    of two there is only one number.
    """

    name: str
    role: Role
    fill: float | None
    values: tuple[str | None, ...] = ()
    offsets: tuple[float, ...] = (0.0,)
    scales: tuple[float, ...] = (1.0,)
    categories: tuple[str, ...] = ()

    def numbers(self, values: Sequence[Value]) -> list[Sequence[float]]:
        """Return the encoded columns of many rows' values.

        Raises `BadValue` for one of another kind, too large, or missing where it may not be.
        """
        numbers = _as_numbers(values) if self.role is Role.NUMBER else None
        if numbers is None:
            numbers = [self._number(row, value) for row, value in enumerate(values)]
        columns = [numbers]
        if self.role is Role.CATEGORY:
            (codes,) = columns
            columns = [
                [float(code == place) for code in codes] for place in range(len(self.values))
            ]
        return [
            _within(LARGEST, [(number - offset) / scale for number in column])
            for column, offset, scale in zip(columns, self.offsets, self.scales, strict=True)
        ]

    def _number(self, row: int, value: Value) -> float:
        """Return a number, 1 or 0 for a boolean, or the place of a category's value."""
        if _is_missing(value):
            if self.fill is None:
                raise BadValue(row, self.name, "is missing")
            return code_of(self.values, "") if self.role is Role.CATEGORY else self.fill
        if self.role is Role.NUMBER:
            number = _float(value)
            if -LARGEST <= number <= LARGEST:
                return number
            if not math.isnan(number):
                why = "is too large"
            elif isinstance(value, str) and any(map(str.isdecimal, value)):
                # An amount, or one with a decimal comma.
                why = "is not a plain number such as 1234.5"
            else:
                why = "is not a number"
        elif self.role is Role.BOOLEAN:
            text = category_of(value).lower() if _is_text(value) else ""
            if text in BOOLEANS:
                return BOOLEANS[text]
            why = "is not true or false"
        else:
            if _is_text(value):
                return code_of(self.values, category_of(value))
            why = "is neither a text nor a number"
        raise BadValue(row, self.name, why)


def _as_numbers(values: Sequence[Value]) -> Sequence[float] | None:
    """Return values that are all numbers as they should be; None if each has to be looked at."""
    kinds = set(map(type, values))
    if kinds == {str}:
        texts = "".join(cast("Sequence[str]", values))
        if not _is_as_files_have_it(texts):
            return None
    elif not kinds <= {int, float}:
        return None
    try:
        numbers = [*map(float, cast("Sequence[str | float]", values))]
    except (ValueError, OverflowError):
        return None
    # NaN is neither less nor greater than anything, but the sum has it, too.
    if math.isnan(sum(numbers)) or min(numbers) < -LARGEST or max(numbers) > LARGEST:
        return None
    return numbers


def _is_as_files_have_it(text: str) -> bool:
    """Whether it is no number that only `float` reads: 1_000, or one in another script's digits."""
    return text.isascii() and "_" not in text


def _float(value: Value) -> float:
    """Return the number that a value is, NaN if it is none."""
    if isinstance(value, str):
        value = value.strip()
    if isinstance(value, bool) or (isinstance(value, str) and not _is_as_files_have_it(value)):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan


def _is_text(value: Value) -> bool:
    """Whether a value can be written: it is no list or object, and no NaN or infinity."""
    return (
        not isinstance(value, list | dict) and value not in (math.inf, -math.inf) and value == value
    )


def _is_missing(value: Value) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in MISSING)


def category_of(value: Value) -> str:
    """Return the text that a category's value is known by, empty if it is missing.

    Whole numbers have no point: pandas writes one if some are missing, JSON may leave it out.
    """
    if _is_missing(value):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    whole = text.removesuffix(".0")
    return whole if whole.removeprefix("-").isdecimal() else text


def code_of(values: Sequence[str | None], text: str) -> int:
    """Return the place of a text among the values of a category: that of None if it isn't listed.

    -1 if there is no place for it.
    """
    if text in values:
        return values.index(text)
    return values.index(None) if None in values and text else -1


def _within(limit: float, numbers: Sequence[float]) -> Sequence[float]:
    if -limit <= min(numbers) and max(numbers) <= limit:
        return numbers
    return [max(min(number, limit), -limit) for number in numbers]


@dataclass(frozen=True)
class Transform:
    """The encodings of a model's features, in its order, and the matrix after them, if any.

    `matrix` is (components, encoded columns).
    """

    encodings: tuple[Encoding, ...]
    matrix: tuple[tuple[float, ...], ...] | None = None

    @property
    def feature_dim(self) -> int:
        """Numbers that the model sees of a row."""
        return len(self.matrix) if self.matrix else sum(len(e.offsets) for e in self.encodings)

    @property
    def is_plain(self) -> bool:
        """Whether the model sees numbers as they are."""
        plain = (Encoding(each.name, Role.NUMBER, each.fill) for each in self.encodings)
        return not self.matrix and self.encodings == tuple(plain)

    def apply(self, rows: Sequence[Sequence[Value]]) -> list[tuple[float, ...]]:
        """Return what the model sees of rows of values, one at least, rounded to 32-bit floats.

        Raises `BadValue` for one of another kind, too large, or missing where it may not be.
        """
        columns = [
            column
            for encoding, values in zip(self.encodings, zip(*rows, strict=True), strict=True)
            for column in encoding.numbers(values)
        ]
        if self.matrix is None:
            return [*zip(*(array("f", column) for column in columns), strict=True)]
        grains = [[round(n / GRAIN) * GRAIN for n in _within(FARTHEST, c)] for c in columns]
        return [
            tuple(array("f", [math.sumprod(weights, row) for weights in self.matrix]))
            for row in zip(*grains, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the transform as ``transform.json`` holds it."""
        return {"columns": [asdict(each) for each in self.encodings], "matrix": self.matrix}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the transform that ``transform.json`` holds.

        A release before 0.2 wrote fill, offset and scale of each feature, by its name.
        """
        if "columns" not in fields:
            return cls(tuple(_earlier(name, **each) for name, each in fields["features"].items()))
        encodings = [
            Encoding(**_tuples(each) | {"role": Role(each["role"])}) for each in fields["columns"]
        ]
        matrix = fields["matrix"]
        return cls(tuple(encodings), matrix and tuple(map(tuple, matrix)))

    @classmethod
    def of_numbers(cls, features: Sequence[str]) -> Self:
        """Return the transform of a model that was trained on numbers as they are."""
        return cls(tuple(Encoding(name, Role.NUMBER, None) for name in features))


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {n: tuple(value) if isinstance(value, list) else value for n, value in fields.items()}


def _earlier(
    name: str, fill: str | None = None, offset: float | None = None, scale: float | None = None
) -> Encoding:
    filled = None if fill is None else float(fill)
    return Encoding(name, Role.NUMBER, filled, (), (offset or 0.0,), (scale or 1.0,))
