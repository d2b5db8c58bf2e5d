"""The first wrong predictions, each with the training rows that are nearest to it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Schema

MAX_ROWS = 20
_NEAREST = 3
_SHOWN = 500
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class Wrong:
    """A wrong prediction: the row as written, what the model sees of it, and what it said."""

    row: Sequence[str]
    features: Sequence[float]
    true: int
    predicted: int
    shares: Mapping[int, float]


def described(
    wrong: Sequence[Wrong],
    schema: Schema,
    sample: Mapping[str, Any],
    metric: str,
    lines: Mapping[tuple[str, ...], int],
) -> list[dict[str, Any]]:
    """Return wrong predictions as ``validation/wrong.json`` holds them.

    Parameters
    ----------
    sample
        Training rows, as ``validation/training_sample.json`` holds them.
    metric
        That of the index: ``L2`` or ``COSINE``.
    lines
        Those of rows whose line is known.
    """
    names, mapped = [column.name for column in schema.columns], np.array(sample["mapped"], float)

    def shown(row: Sequence[str]) -> dict[str, str]:
        return {name: value[:_SHOWN] for name, value in zip(names, row, strict=True)}

    def nearest(features: Sequence[float]) -> list[dict[str, Any]]:
        far = distances(mapped, np.array(features), metric)
        return [
            {
                "row": shown(sample["rows"][place]),
                "class": schema.classes[sample["classes"][place]],
                "distance": float(far[place]),
            }
            for place in np.argsort(far, kind="stable")[:_NEAREST].tolist()
        ]

    found = []
    for each in wrong:
        shares = sorted(each.shares.items(), key=lambda item: -item[1])
        line = lines.get(tuple(each.row))
        found.append(
            {
                "row": shown(each.row),
                **({} if line is None else {"line": line}),
                "true": schema.classes[each.true],
                "predicted": schema.classes[each.predicted],
                "shares": {schema.classes[label]: share for label, share in shares},
                "nearest": nearest(each.features) if len(mapped) else [],
            }
        )
    return found


def distances(
    rows: NDArray[np.float64], features: NDArray[np.float64], metric: str
) -> NDArray[np.float64]:
    """Return how far rows are from another one: Euclidean, or one minus the cosine."""
    if metric == "L2":
        return np.asarray(np.linalg.norm(rows - features, axis=1))
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(features)
    return np.asarray(1 - rows @ features / np.where(lengths, lengths, 1))


def lines_of(
    wrong: Sequence[Wrong], schema: Schema, sample: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, ...], int]:
    """Return the lines of rows by a sample of the file's, as ``clean/sample.json`` holds it.

    A row that comes more than once has none.
    """
    wanted = {tuple(each.row) for each in wrong}
    sample = list(sample)
    texts = (row["text"] for row in sample)
    fields = csv.reader(texts, delimiter=schema.delimiter, skipinitialspace=True)
    found = [
        (tuple(row), each["line"])
        for row, each in zip(fields, sample, strict=True)
        if tuple(row) in wanted
    ]
    counts = Counter(row for row, _ in found)
    return {row: line for row, line in found if counts[row] == 1}
