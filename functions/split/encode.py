"""Rows as the model sees them: columns encoded as numbers, many rows at once.

`pipeline.transform` does the same for the rows of a request, without numpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
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
        self._encodings = transform.encodings
        numbers = [each.name for each in transform.encodings if each.role is Role.NUMBER]
        self._places = schema.places
        self._numbers = [self._places[name] for name in numbers]
        self._formats = [NumberFormat.of(schema.column(name).format) for name in numbers]
        self._vocabularies = {
            each.name: Vocabulary(_number_of(each))
            for each in transform.encodings
            if each.role is not Role.NUMBER
        }
        # Of all encoded columns, (columns, 1).
        fills = [nan if e.fill is None else e.fill for e in transform.encodings for _ in e.offsets]
        offsets = [offset for each in transform.encodings for offset in each.offsets]
        scales = [scale for each in transform.encodings for scale in each.scales]
        self._fills, self._offsets, self._scales = np.array([fills, offsets, scales])[..., None]

    def encoded(self, rows: Rows) -> Matrix:
        """Return the encoded columns of rows, (columns, rows); NaN if a value is missing."""
        none = np.zeros((0, len(rows.records)))
        numbers = iter(none)
        if self._numbers:
            read, _ = read_numbers(rows.array, *rows.bounds(self._numbers), self._formats)
            numbers = iter(read)
        columns = [
            next(numbers)[None] if each.role is Role.NUMBER else self._words(each, rows)
            for each in self._encodings
        ]
        encoded = np.concatenate([none, *columns])
        np.copyto(encoded, self._fills, where=np.isnan(encoded))
        encoded -= self._offsets
        encoded /= self._scales
        return encoded

    def _words(self, encoding: Encoding, rows: Rows) -> Matrix:
        words = self._vocabularies[encoding.name]
        codes = words.numbers(rows, self._places[encoding.name])
        if encoding.role is Role.BOOLEAN:
            return np.where(codes < 0, np.nan, codes)[None]
        return np.asarray(codes == np.arange(len(encoding.values))[:, None], float)


def model_input(encoded: Matrix, transform: Transform) -> NDArray[np.float32]:
    """Return what the model sees of encoded columns, (columns, rows): (rows, features)."""
    if transform.matrix is None:
        return np.asarray(np.clip(encoded.T, -LARGEST, LARGEST), np.float32)
    grains = np.rint(np.clip(encoded.T, -FARTHEST, FARTHEST) / GRAIN) * GRAIN
    return np.asarray(grains @ np.array(transform.matrix).T, np.float32)


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
            values = _values_of(_counted(schema.places[encoding.name], blocks))
            flat = (0.0,) * len(values), (1.0,) * len(values)
            fitted.append(Encoding(encoding.name, encoding.role, 0.0, values, *flat))
        else:
            fitted.append(replace(encoding, fill=_fill(encoding.role, next(columns), settings)))
    return tuple(each if settings.imputes else replace(each, fill=None) for each in fitted)


def _counted(column: int, blocks: Sequence[Rows]) -> Counter[str]:
    """Return how often each value of a category comes."""
    places: dict[str, int] = {}
    vocabulary = Vocabulary(lambda text: places.setdefault(category_of(text), len(places)))
    found = np.concatenate([vocabulary.numbers(rows, column) for rows in blocks])
    return Counter(dict(zip(places, np.bincount(found).tolist(), strict=True)))


def _values_of(counts: Counter[str]) -> tuple[str | None, ...]:
    """Return what each column of a category is 1 for, by how often each of its values comes."""
    rows, missing = counts.total(), counts.pop("", 0)
    fewest = max(2, FREQUENT * rows)
    by_count = sorted(counts, key=lambda value: (-counts[value], value))
    frequent = [value for value in by_count if counts[value] >= fewest]
    values: list[str | None] = [*frequent[:MAX_CATEGORIES]]
    values += [None] * (len(values) < len(counts)) + [""] * bool(missing)
    return tuple(values[:1] if len(values) == 2 else values)


def _fill(role: Role, values: NDArray[np.float64], settings: Settings) -> float:
    present = values[~np.isnan(values)]
    if not len(present):
        return 0.0
    if role is Role.BOOLEAN:
        return float(present.mean() >= 0.5)
    return float(np.mean(present) if settings.missing == "mean" else np.median(present))
