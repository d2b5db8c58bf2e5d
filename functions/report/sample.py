"""The held-out rows that a report draws and looks at: so many at the most, of any file."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.schema import Column, Role, Schema
from pipeline.transform import BOOLEANS, category_of
from tabular.numbers import NumberFormat, is_missing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_ROWS = 2_000
"""Points of a panel."""

# The whole process has one limit; Preprocess checked the rows.
csv.field_size_limit(1 << 30)

_MAX_BYTES = 8 * 1024 * 1024
_RANGES = 8


@dataclass(frozen=True)
class Sample:
    """Held-out rows: true and predicted class of each, and the features' values.

    `values` has NaN where a value is missing. For a feature in `words`, a value is the place of its
    word there. `rows` are as the file writes them.
    """

    label: str
    classes: Sequence[str]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    words: Mapping[str, Sequence[str]]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Which predictions are wrong."""
        return np.not_equal(self.true, self.predicted)


def read_table(s3: S3Client, bucket: str, key: str) -> pd.DataFrame:
    """Return the rows of a CSV with a header, as texts.

    Of a large file these are the rows of eight ranges, evenly spaced.
    """
    head = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{_MAX_BYTES - 1}")
    size = int(head["ContentRange"].rpartition("/")[2])
    data = head["Body"].read()
    if size <= _MAX_BYTES:
        return pd.read_csv(BytesIO(data), header=None, dtype=str, na_filter=False).iloc[1:]
    length = _MAX_BYTES // _RANGES
    header = pd.read_csv(BytesIO(data[:length]), nrows=1, dtype=str, na_filter=False, header=None)
    rows = _rows_within(data[:length], header.shape[1])
    for start in range(size // _RANGES, size - length, size // _RANGES):
        part = f"bytes={start}-{start + length - 1}"
        content = s3.get_object(Bucket=bucket, Key=key, Range=part)["Body"].read()
        rows += _rows_within(content, header.shape[1])
    return pd.DataFrame(rows)


def _rows_within(data: bytes, width: int) -> list[list[str]]:
    """Return the rows that lie within a part of a CSV, but for the first and the last.

    A part may begin between quotes: what is left of such a row has fewer fields.
    """
    rows = list(csv.reader(StringIO(data.decode(errors="ignore"), newline="")))
    return [row for row in rows[1:-1] if len(row) == width]


def instance_of(table: pd.DataFrame, schema: Schema) -> list[str | float | None]:
    """Return the features of the first row, as the API takes them."""
    row = table.iloc[0]
    return [_value(schema.column(n), row[schema.places[n]].strip()) for n in schema.features]


def _value(column: Column, text: str) -> str | float | None:
    """Return what stands in a field as the API takes it; None is missing."""
    if is_missing(text):
        return None
    if column.role is not Role.NUMBER:
        return text
    number = NumberFormat.of(column.format).parse(text)
    if number is None or math.isnan(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def sample_of(table: pd.DataFrame, schema: Schema, features: Sequence[str]) -> Sample:
    """Return a sample of predictions as ``validation/predictions.csv`` has them.

    All wrong ones are in it, as long as there are no more than a quarter of it.
    """
    places = {name: place for place, name in enumerate(schema.classes)}
    columns, names = len(schema.columns), table[len(schema.columns)]
    true = table[schema.places[schema.label]].str.strip().map(schema.class_of)
    predicted = names.map(places).fillna(-1).astype(int)
    kept = np.flatnonzero((true >= 0) & (predicted >= 0) & (table[columns + 1] != ""))
    if len(kept) > MAX_ROWS:
        random = np.random.default_rng(0)
        is_wrong = (true != predicted).to_numpy()[kept]
        wrong, right = kept[is_wrong], kept[~is_wrong]
        if len(wrong) > MAX_ROWS // 4:
            kept = np.sort(random.choice(kept, MAX_ROWS, replace=False))
        else:
            more = random.choice(right, MAX_ROWS - len(wrong), replace=False)
            kept = np.sort(np.concatenate([wrong, more]))
    rows = table.iloc[kept]
    values: dict[str, NDArray[np.float64]] = {}
    words: dict[str, list[str]] = {}
    for name in features:
        column = schema.column(name)
        texts = rows[schema.places[name]].str.strip()
        if column.role is Role.CATEGORY:
            texts = texts.map(category_of)
            words[name] = sorted(set(texts))
            numbers: list[Any] = [words[name].index(text) for text in texts]
        elif column.role is Role.BOOLEAN:
            numbers = [BOOLEANS.get(text.lower()) for text in texts]
        else:
            parse = NumberFormat.of(column.format).parse
            numbers = [None if is_missing(text) else parse(text) for text in texts]
        values[name] = np.array([np.nan if n is None else n for n in numbers], float)
    return Sample(
        schema.label,
        schema.classes,
        true.to_numpy()[kept],
        predicted.to_numpy()[kept],
        values,
        words,
    )


def telling_features(sample: Sample, shares: Mapping[str, float]) -> list[str]:
    """Return the features that tell the classes apart best, the best first.

    By their share of the distance; where that is unknown, by the share of their variance that lies
    between the classes.
    """
    return sorted(
        sample.values,
        key=lambda name: -shares.get(name, _between(sample.values[name], sample.true)),
    )


def _between(values: NDArray[np.float64], true: NDArray[np.int64]) -> float:
    known = ~np.isnan(values)
    values, true = values[known], true[known]
    whole = values.var() if len(values) else 0.0
    if not whole:
        return 0.0
    counts = np.bincount(true)
    means = np.bincount(true, values) / np.maximum(counts, 1)
    return float((counts * (means - values.mean()) ** 2).sum() / len(values) / whole)
