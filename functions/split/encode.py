"""Rows as the model sees them: columns encoded as numbers, many rows at once.

`pipeline.transform` does the same for the rows of a request, without numpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from math import nan

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Role, Schema
from pipeline.settings import Settings
from pipeline.transform import (
    BOOLEANS,
    FARTHEST,
    GRAIN,
    LARGEST,
    Encoding,
    Transform,
    category_of,
    code_of,
)
from tabular.blocks import Rows
from tabular.numbers import NumberFormat, read_numbers
from tabular.words import Vocabulary

MAX_CATEGORIES = 20
FREQUENT = 0.01
"""Share of the rows that makes a category's value frequent; two rows at least."""

Matrix = NDArray[np.float64]


class Encoder:
    """Encodes the features of rows; vocabularies are kept from block to block."""

    def __init__(self, schema: Schema, transform: Transform) -> None:
        self._encodings, self._matrix = transform.encodings, transform.matrix
        places, numbers = schema.places, [e for e in transform.encodings if e.role is Role.NUMBER]
        self._numbers = [places[each.name] for each in numbers]
        self._formats = [NumberFormat.of(schema.column(each.name).format) for each in numbers]
        learned = [(nan if e.fill is None else e.fill, *e.offsets, *e.scales) for e in numbers]
        # Of each number, (numbers, 1).
        self._fills, self._offsets, self._scales = np.array(learned).reshape(-1, 3).T[..., None]
        self._is_scaled = bool((self._offsets != 0).any() or (self._scales != 1).any())
        self._words = {
            each.name: (places[each.name], Vocabulary(_number_of(each)), _table_of(each))
            for each in transform.encodings
            if each.role is not Role.NUMBER
        }

    def values(self, rows: Rows) -> Matrix:
        """Return the numbers of rows as they are, (numbers, rows); NaN if one is missing."""
        if not self._numbers:
            return np.zeros((0, len(rows.records)))
        return read_numbers(rows.array, *rows.bounds(self._numbers), self._formats)[0]

    def encoded(self, rows: Rows, values: Matrix | None = None) -> Matrix:
        """Return the encoded columns of rows, (columns, rows); NaN if a value is missing."""
        columns = [each.T for each in self._columns(rows, values)]
        return np.concatenate([np.zeros((0, len(rows.records))), *columns])

    def model_input(
        self, rows: Rows, seen: NDArray[np.float32], values: Matrix | None = None
    ) -> None:
        """Write what the model sees of rows into an array, (rows, features).

        Their numbers, if `values` gives them, are changed in place.
        """
        if self._matrix is not None:
            seen[:] = mapped(self.encoded(rows, values), self._matrix)
            return
        at = 0
        for columns in self._columns(rows, values):
            width = columns.shape[1]
            seen[:, at : at + width] = np.clip(columns, -LARGEST, LARGEST, out=columns)
            at += width

    def _columns(self, rows: Rows, values: Matrix | None) -> Iterator[Matrix]:
        """Yield the encoded columns of features, (rows, columns), numbers side by side at once."""
        numbers = self._scaled(self.values(rows) if values is None else values)
        for is_number, features in groupby(self._encodings, lambda each: each.role is Role.NUMBER):
            names = [each.name for each in features]
            if is_number:
                yield numbers[: len(names)].T
                numbers = numbers[len(names) :]
                continue
            for name in names:
                place, vocabulary, table = self._words[name]
                yield table.take(vocabulary.numbers(rows, place), axis=0)

    def _scaled(self, values: Matrix) -> Matrix:
        # If any is missing, so is the sum.
        if np.isnan(values.sum()):
            np.copyto(values, self._fills, where=np.isnan(values))
        if self._is_scaled:
            values -= self._offsets
            values /= self._scales
        return values


def mapped(encoded: Matrix, matrix: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """Return what the model sees of encoded columns, (columns, rows): (rows, features)."""
    grains = np.rint(np.clip(encoded.T, -FARTHEST, FARTHEST) / GRAIN) * GRAIN
    return np.asarray(grains @ np.array(matrix).T, np.float32)


def _table_of(encoding: Encoding) -> Matrix:
    """Return the encoded columns of each number that a text gets; the last has -1."""
    if encoding.role is Role.BOOLEAN:
        columns = np.array([[0], [1], [nan if encoding.fill is None else encoding.fill]])
    else:
        columns = np.eye(len(encoding.values) + 1, len(encoding.values))
    return np.asarray((columns - encoding.offsets) / encoding.scales)


def _number_of(encoding: Encoding) -> Callable[[str], int]:
    """Return what gives a text its number: 0 or 1 for a boolean, its place for a category."""
    if encoding.role is Role.CATEGORY:
        return lambda text: code_of(encoding.values, category_of(text))
    return lambda text: BOOLEANS.get(text.lower(), -1)


def fit_encodings(
    schema: Schema, settings: Settings, blocks: Sequence[Rows]
) -> tuple[Encoding, ...]:
    """Return encodings that neither shift nor scale, learned from training rows.

    A missing number becomes the median or the mean, a missing boolean what is more frequent. A
    category has a column for each frequent value, one for the rest, and one for missing values, as
    far as there are any; of two columns the second would only say the same as the first.
    """
    encodings = [Encoding(name, schema.column(name).role, None) for name in schema.features]
    others = tuple(each for each in encodings if each.role is not Role.CATEGORY)
    reader = Encoder(schema, Transform(others))
    columns = iter(np.concatenate([reader.encoded(rows) for rows in blocks], axis=1))
    fitted = []
    for encoding in encodings:
        if encoding.role is Role.CATEGORY:
            values, categories = _values_of(_counted(schema.places[encoding.name], blocks))
            flat = (0.0,) * len(values), (1.0,) * len(values)
            fitted.append(Encoding(encoding.name, encoding.role, 0.0, values, *flat, categories))
        else:
            fitted.append(replace(encoding, fill=_fill(encoding.role, next(columns), settings)))
    return tuple(each if settings.imputes else replace(each, fill=None) for each in fitted)


def _counted(column: int, blocks: Sequence[Rows]) -> Counter[str]:
    """Return how often each value of a category comes."""
    places: dict[str, int] = {}
    vocabulary = Vocabulary(lambda text: places.setdefault(category_of(text), len(places)))
    found = np.concatenate([vocabulary.numbers(rows, column) for rows in blocks])
    return Counter(dict(zip(places, np.bincount(found).tolist(), strict=True)))


def _values_of(counts: Counter[str]) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    """Return what each column of a category is 1 for, and its frequent values.

    `counts` has how often each value comes.
    """
    rows, missing = counts.total(), counts.pop("", 0)
    fewest = max(2, FREQUENT * rows)
    by_count = sorted(counts, key=lambda value: (-counts[value], value))
    frequent = [value for value in by_count if counts[value] >= fewest][:MAX_CATEGORIES]
    values: list[str | None] = [*frequent]
    values += [None] * (len(values) < len(counts)) + [""] * bool(missing)
    return tuple(values[:1] if len(values) == 2 else values), tuple(frequent)


def _fill(role: Role, values: NDArray[np.float64], settings: Settings) -> float:
    present = values[~np.isnan(values)]
    if not len(present):
        return 0.0
    if role is Role.BOOLEAN:
        return float(present.mean() >= 0.5)
    return float(np.mean(present) if settings.missing == "mean" else np.median(present))
