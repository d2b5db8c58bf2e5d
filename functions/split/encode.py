"""Rows as the model sees them: columns encoded as numbers, many rows at once.

`pipeline.transform` does the same for the rows of a request, without numpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Column, Role, Schema
from pipeline.settings import Settings
from pipeline.transform import (
    GRAIN,
    LARGEST,
    TRUE,
    Encoding,
    Transform,
    category_of,
    code_of,
)
from tabular.blocks import Rows
from tabular.numbers import NumberFormat, is_missing, read_numbers
from tabular.words import Vocabulary

MAX_CATEGORIES = 20
FREQUENT = 0.01
"""Share of the rows that makes a category's value frequent; two rows at least."""

Matrix = NDArray[np.float64]


class Encoder:
    """Encodes the features of rows; vocabularies are kept from block to block."""

    def __init__(self, schema: Schema, transform: Transform) -> None:
        self._transform = transform
        places, encodings = schema.places, transform.encodings
        self._columns = [places[each.name] for each in encodings]
        self._numbers = [p for p, each in enumerate(encodings) if each.role is Role.NUMBER]
        self._formats = [
            NumberFormat.of(schema.column(encodings[p].name).format) for p in self._numbers
        ]
        self._vocabularies = {
            place: Vocabulary(partial(_code, each))
            for place, each in enumerate(encodings)
            if each.role is not Role.NUMBER
        }

    @property
    def width(self) -> int:
        """Numbers that the model sees of a row."""
        return self._transform.feature_dim

    def encoded(self, rows: Rows) -> Matrix:
        """Return the encoded columns of rows, (columns, rows)."""
        count = len(rows.records)
        parts: dict[int, Matrix] = {}
        if self._numbers:
            at = rows.bounds([self._columns[place] for place in self._numbers])
            values, _ = read_numbers(rows.array, *at, self._formats)
            parts |= {p: row[None] for p, row in zip(self._numbers, values, strict=True)}
        for place, vocabulary in self._vocabularies.items():
            codes = vocabulary.numbers(rows, self._columns[place])
            encoding = self._transform.encodings[place]
            if encoding.role is Role.BOOLEAN:
                parts[place] = np.where(codes < 0, np.nan, codes)[None]
            else:
                parts[place] = (codes == np.arange(len(encoding.values))[:, None]).astype(float)
        for place, encoding in enumerate(self._transform.encodings):
            part = parts[place]
            if encoding.role is not Role.CATEGORY and encoding.fill is not None:
                part[np.isnan(part)] = encoding.fill
            if not encoding.is_plain:
                part -= np.array(encoding.offsets)[:, None]
                part /= np.array(encoding.scales)[:, None]
        found = [parts[place] for place in range(len(parts))]
        return np.concatenate(found) if found else np.zeros((0, count))

    def model_input(self, rows: Rows) -> NDArray[np.float32]:
        """Return what the model sees of rows, (rows, features)."""
        return model_input(self.encoded(rows), self._transform)


def model_input(encoded: Matrix, transform: Transform) -> NDArray[np.float32]:
    """Return what the model sees of encoded columns, (columns, rows)."""
    seen = encoded.T
    if transform.matrix is not None:
        seen = (np.rint(seen / GRAIN) * GRAIN) @ np.array(transform.matrix).T
    return np.ascontiguousarray(np.clip(seen, -LARGEST, LARGEST), np.float32)


def _code(encoding: Encoding, text: str) -> int:
    """Return the number of a text: 0 or 1 for a boolean, its place among a category's values."""
    if encoding.role is Role.CATEGORY:
        return code_of(encoding.values, category_of(text))
    word = text.lower()
    return -1 if is_missing(text) else int(word in TRUE or word == "1")


def fit_encodings(
    schema: Schema, settings: Settings, texts: Mapping[str, Sequence[str]]
) -> tuple[Encoding, ...]:
    """Return encodings that neither shift nor scale, learned from the texts of training rows.

    A missing number becomes the median or the mean, a missing boolean what is more frequent. A
    category has a column for each frequent value, one for the rest, and one for missing values, as
    far as there are any; of two columns the second would only say the same as the first.
    """
    return tuple(_fit(schema.column(name), settings, texts[name]) for name in schema.features)


def _fit(column: Column, settings: Settings, texts: Sequence[str]) -> Encoding:
    if column.role is Role.CATEGORY:
        counts = Counter(map(category_of, texts))
        missing = counts.pop("", 0)
        fewest = max(2, FREQUENT * len(texts))
        frequent = [
            value
            for value, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))
            if count >= fewest
        ][:MAX_CATEGORIES]
        values: list[str | None] = [*frequent]
        values += [None] * (len(values) < len(counts)) + [""] * bool(missing)
        if len(values) == 2:
            del values[1]
        found = Encoding(column.name, column.role, 0.0, tuple(values), (), ())
        found = replace(found, offsets=(0.0,) * len(values), scales=(1.0,) * len(values))
    elif column.role is Role.BOOLEAN:
        present = [text.lower() in TRUE or text == "1" for text in texts if not is_missing(text)]
        most = float(2 * sum(present) >= len(present)) if present else 0.0
        found = Encoding(column.name, column.role, most, (), (0.0,), (1.0,))
    else:
        parsed = (NumberFormat.of(column.format).parse(text) for text in texts)
        numbers = [number for number in parsed if number is not None and number == number]
        middle = np.mean if settings.missing == "mean" else np.median
        fill = float(middle(numbers)) if numbers else 0.0
        found = Encoding(column.name, column.role, fill, (), (0.0,), (1.0,))
    return found if settings.imputes else replace(found, fill=None)


def scaled(
    encodings: Sequence[Encoding], offsets: Sequence[float], scales: Sequence[float]
) -> tuple[Encoding, ...]:
    """Return encodings with the offsets and scales of all encoded columns."""
    shifts, factors = iter(offsets), iter(scales)
    return tuple(
        replace(
            each,
            offsets=tuple(next(shifts) for _ in each.offsets),
            scales=tuple(next(factors) for _ in each.scales),
        )
        for each in encodings
    )
