"""A transform, learned from the training rows and applied to many rows at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clean_blocks import CleanBlock
from pipeline.decimals import Decimals, read_decimals
from pipeline.moments import Moments
from pipeline.schema import Schema
from pipeline.transform import DECIMALS, FARTHEST, FeatureTransform, Transform

_UNIT = 10**DECIMALS
_EXACT = 2**53
"""Integers up to this are floats, so that a number is rounded but once."""

_MOST_DIGITS = 10
"""Before the point of numbers that are written many at a time."""

_FOUR_DIGITS = np.frombuffer(b"".join(f"{number:04}".encode() for number in range(10**4)), "<u4")


class TrainingRows:
    """What is learned of the training rows: the moments of each feature, missing values aside."""

    def __init__(self, features: int) -> None:
        self.moments = Moments(features)

    def add(self, block: CleanBlock, held_out: NDArray[np.bool_]) -> None:
        """Count the rows of a block that are not held out."""
        starts, ends = (side[:, ~held_out] for side in block.features(len(self.moments.count)))
        numbers = read_decimals(block.array, starts, ends)
        self.moments.add(numbers)
        for feature, row in zip(*np.nonzero(~numbers.plain), strict=True):
            text = block.data[starts[feature, row] : ends[feature, row]].decode()
            if text:
                self.moments.add_text(int(feature), text)

    def transform(self, schema: Schema, medians: Sequence[float]) -> Transform:
        """Return the transform that the schema asks for; a feature of one value is only shifted."""
        fills = {
            "mean": [self.moments.mean(place) for place in range(len(schema.features))],
            "median": medians,
        }.get(schema.missing)
        return Transform(
            tuple(
                FeatureTransform(
                    None if fills is None else repr(fills[place]), *self._scaling(schema, place)
                )
                for place in range(len(schema.features))
            )
        )

    def _scaling(self, schema: Schema, place: int) -> tuple[float | None, float | None]:
        moments = self.moments
        if not moments.count[place]:
            return (None, None) if schema.standardisation == "none" else (0.0, 1.0)
        match schema.standardisation:
            case "zscore":
                return moments.mean(place), moments.std(place) or 1.0
            case "minmax":
                low, high = moments.min[place], moments.max[place]
                return low, (high - low) or 1.0
        return None, None


def values_of(block: CleanBlock, features: int) -> NDArray[np.float64]:
    """Return the features of a block's rows, (features, rows); a missing one is NaN."""
    starts, ends = block.features(features)
    numbers = read_decimals(block.array, starts, ends)
    values = numbers.values()
    for feature, row in zip(*np.nonzero(_doubtful(numbers)), strict=True):
        text = block.data[starts[feature, row] : ends[feature, row]]
        values[feature, row] = float(text) if text else np.nan
    return values


def _doubtful(numbers: Decimals) -> NDArray[np.bool_]:
    return ~numbers.plain | (np.abs(numbers.mantissa) >= _EXACT)


def transformed(block: CleanBlock, transform: Transform) -> bytes:
    """Return the rows of a block as the model sees them."""
    features = transform.features
    if features[0].scale is None:
        starts, ends = block.features(len(features))
        return _one_by_one(block, transform, block.data, (starts == ends).any(axis=0))
    values = values_of(block, len(features))
    for place, feature in enumerate(features):
        if feature.fill:
            values[place, np.isnan(values[place])] = float(feature.fill)
        values[place] = (values[place] - feature.offset) / feature.scale
    units = np.rint(np.clip(values, -FARTHEST, FARTHEST) * _UNIT)
    too_long = np.abs(units) >= _UNIT * 10.0**_MOST_DIGITS
    units[too_long] = 0
    return _one_by_one(
        block, transform, _written(block, units.astype(np.int64)), too_long.any(axis=0)
    )


def _one_by_one(
    block: CleanBlock, transform: Transform, rows: bytes, which: NDArray[np.bool_]
) -> bytes:
    """Return rows with some of them transformed by themselves."""
    if not which.any():
        return rows
    lines = rows.splitlines(keepends=True)
    for row in np.flatnonzero(which).tolist():
        line = block.data[int(block.starts[row]) : int(block.ends[row])].decode()
        label, *features = line.split(",")
        lines[row] = f"{label},{','.join(transform.apply(features))}\n".encode()
    return b"".join(lines)


def _written(block: CleanBlock, units: NDArray[np.int64]) -> bytes:
    """Return a block's rows with other numbers, (features, rows), in units of the last decimal."""
    features, rows = units.shape
    whole, decimals = np.divmod(np.abs(units).T, _UNIT)
    digits = len(str(int(whole.max(initial=0))))
    # A field is a comma, a sign, digits, a point and decimals; `keep` leaves out what it has not.
    point = digits + 2
    table = np.empty((rows, features, point + 1 + DECIMALS), np.uint8)
    keep = np.ones(table.shape, np.bool_)
    table[:, :, 0] = ord(",")
    table[:, :, 1] = ord("-")
    keep[:, :, 1] = (units < 0).T
    for place in range(point - 1, 1, -1):
        if place < point - 1:
            keep[:, :, place] = whole > 0
        rest = whole // 10
        table[:, :, place] = (whole - rest * 10 + ord("0")).astype(np.uint8)
        whole = rest
    table[:, :, point] = ord(".")
    high, low = np.divmod(decimals.astype(np.uint32), np.uint32(10**4))
    eight = np.ndarray((rows, features), "<u8", table, point + 1, table.strides[:2])
    eight[:] = _FOUR_DIGITS[low].astype(np.uint64) << np.uint64(32) | _FOUR_DIGITS[high]
    labels = np.array([str(label) for label in range(int(block.labels.max()) + 1)])
    widest = max(map(len, labels))
    label = np.array([text.rjust(widest) for text in labels], f"S{widest}")[block.labels]
    front = label.view(np.uint8).reshape(rows, widest)
    line_end = np.full((rows, 1), ord("\n"), np.uint8)
    everything = np.hstack([front, table.reshape(rows, -1), line_end])
    kept = np.hstack([front != ord(" "), keep.reshape(rows, -1), line_end == line_end])
    rows_as_bytes: bytes = everything[kept].tobytes()
    return rows_as_bytes
