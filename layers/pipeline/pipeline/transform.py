"""What the model sees of a row: columns encoded as numbers, then at most one matrix.

Everything in it is learned from the training rows alone. Split applies it to many rows at once
with numpy, Predict to those of a request by this module; both give the same 32-bit floats.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from pipeline.schema import Role

LARGEST = 1e18
"""Of a number's absolute value. Squares of such numbers, and thousands of their sums, are finite as
32-bit floats, which k-NN computes distances with."""

GRAIN = 2.0**-20
"""Encoded columns are rounded to multiples of this before a matrix, whose entries are multiples of
it too: as long as sums stay below 2 ** 13 they are exact, in whatever order they are added."""

MISSING = frozenset(
    {
        *("", "?", "na", "n/a", "nan", "-nan", "none", "null", "<na>"),
        *("#n/a", "#n/a n/a", "#na", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    }
)
"""What stands for no value in CSV, in any case: the words that files are read with."""

TRUE = frozenset({"true", "t", "yes", "y"})
FALSE = frozenset({"false", "f", "no", "n"})

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

Value = str | float | bool | None
"""Of one column of a row, as JSON has it; text is read as in a file."""


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

    Parameters
    ----------
    fill
        What takes the place of a missing number or boolean; None if it may not be missing.
    values
        Of a category: what each number is 1 for. An empty text is a missing value, None is any
        value that is not listed.
    """

    name: str
    role: Role
    fill: float | None
    values: tuple[str | None, ...]
    offsets: tuple[float, ...]
    scales: tuple[float, ...]

    @property
    def is_plain(self) -> bool:
        """Whether numbers stay as they are."""
        return self.role is Role.NUMBER and self.offsets == (0.0,) and self.scales == (1.0,)

    def numbers(self, values: Sequence[Value]) -> list[list[float]]:
        """Return the encoded columns of many rows' values.

        Raises
        ------
        BadValue
            A value is of another kind than the column, too large, or missing where it may not be.
        """
        if self.role is Role.CATEGORY:
            codes = [self._code(row, value) for row, value in enumerate(values)]
            columns = [
                [float(code == place) for code in codes] for place in range(len(self.values))
            ]
        elif self.role is Role.BOOLEAN:
            columns = [[self._boolean(row, value) for row, value in enumerate(values)]]
        elif all(type(value) is float for value in values):
            columns = [values]  # type: ignore[list-item]
        else:
            columns = [[self._number(row, value) for row, value in enumerate(values)]]
        if self.role is Role.NUMBER:
            far = (row for row, n in enumerate(columns[0]) if not -LARGEST <= n <= LARGEST)
            if (row := next(far, None)) is not None:
                why = "is not a number" if math.isnan(columns[0][row]) else "is too large"
                raise BadValue(row, self.name, why)
        if self.is_plain:
            return columns
        return [
            [(number - offset) / scale for number in column]
            for column, offset, scale in zip(columns, self.offsets, self.scales, strict=True)
        ]

    def _missing(self, row: int) -> float:
        if self.fill is None:
            raise BadValue(row, self.name, "is missing")
        return self.fill

    def _number(self, row: int, value: Value) -> float:
        if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
            return self._missing(row)
        if isinstance(value, str):
            if _NUMBER.fullmatch(value.strip()):
                return float(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                return math.inf
        raise BadValue(row, self.name, "is not a number")

    def _boolean(self, row: int, value: Value) -> float:
        if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
            return self._missing(row)
        if value in (0, 1, "0", "1"):
            return float(value)
        word = value.strip().lower() if isinstance(value, str) else ""
        if word in TRUE or word in FALSE:
            return float(word in TRUE)
        raise BadValue(row, self.name, "is not true or false")

    def _code(self, row: int, value: Value) -> int:
        if not isinstance(value, str | float | int | None):
            raise BadValue(row, self.name, "is neither a text nor a number")
        text = category_of(value)
        if not text and self.fill is None:
            raise BadValue(row, self.name, "is missing")
        return code_of(self.values, text)


def category_of(value: Value) -> str:
    """Return the text that a category's value is known by, empty if it is missing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.strip() if isinstance(value, str) else f"{value:.17g}"
    return "" if text.lower() in MISSING else text


def code_of(values: Sequence[str | None], text: str) -> int:
    """Return the place of a text among the values of a category: that of None if it isn't listed.

    -1 if there is no place for it.
    """
    if text in values:
        return values.index(text)
    return values.index(None) if None in values and text else -1


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
        """Whether the model sees just the numbers of the file."""
        return self.matrix is None and all(each.is_plain for each in self.encodings)

    def apply(self, rows: Sequence[Sequence[Value]]) -> list[array[float]]:
        """Return what the model sees of rows of values, as 32-bit floats.

        Raises
        ------
        BadValue
            A value is of another kind than its column, too large, or missing where it may not be.
        """
        columns = [
            column
            for encoding, values in zip(self.encodings, zip(*rows, strict=True), strict=True)
            for column in encoding.numbers(values)
        ]
        if self.matrix is None:
            return [array("f", map(_clipped, row)) for row in zip(*columns, strict=True)]
        grains = [[round(number / GRAIN) * GRAIN for number in column] for column in columns]
        return [
            array("f", [_clipped(math.sumprod(weights, row)) for weights in self.matrix])
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
            return cls(tuple(_earlier(name, each) for name, each in fields["features"].items()))
        lists = ("values", "offsets", "scales")
        encodings = [
            Encoding(**each | {"role": Role(each["role"])} | {n: tuple(each[n]) for n in lists})
            for each in fields["columns"]
        ]
        matrix = fields["matrix"]
        return cls(tuple(encodings), matrix and tuple(map(tuple, matrix)))

    @classmethod
    def of_numbers(cls, features: Sequence[str]) -> Self:
        """Return the transform of a model that was trained on numbers as they are."""
        return cls(tuple(_earlier(name, {}) for name in features))


def csv_rows(rows: Sequence[array[float]]) -> bytes:
    """Return rows as the endpoint takes them; nine digits tell any 32-bit float from all others."""
    return "".join(",".join(map("%.9g".__mod__, row)) + "\n" for row in rows).encode()


def _clipped(number: float) -> float:
    return number if -LARGEST <= number <= LARGEST else math.copysign(LARGEST, number)


def _earlier(name: str, fields: Mapping[str, Any]) -> Encoding:
    fill, offset, scale = (fields.get(each) for each in ("fill", "offset", "scale"))
    return Encoding(
        name,
        Role.NUMBER,
        None if fill is None else float(fill),
        (),
        (0.0 if offset is None else float(offset),),
        (1.0 if scale is None else float(scale),),
    )
