"""Training rows drawn at random: those that the distance is learned from, and some to be shown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Refusal
from pipeline.transform import Transform
from split.encode import Encoder
from split.labelled import LabelledRows, read_rows
from split.plan import Plan, State
from tabular.words import places_within

MAX_ROWS = 2_000
_MAX_VALUES = 200_000
"""Of rows that are kept to be shown: their texts, and the numbers that the model sees."""


def training_rows(
    plan: Plan, state: State, sample: Sequence[Mapping[str, Any]], most: int
) -> list[LabelledRows]:
    """Return so many training rows of a sample of all rows, each class with its share.

    Raises a `Refusal` if no row of the sample is to train on.
    """
    found = list(_training_rows(plan, state, sample))
    labels = np.concatenate([each.labels for each in found])
    if not len(labels):
        raise Refusal(
            "TooFewRowsToTrainOn",
            f"None of a sample of {len(sample):,} rows is a training row.",
            "Lower test_fraction, or choose a group or a time that leaves more rows to train on.",
        )
    kept = _stratified(labels, most, plan.settings.seed)
    ends = np.cumsum([len(each.labels) for each in found])
    return [each.of(k) for each, k in zip(found, np.split(kept, ends[:-1]), strict=True)]


def training_sample(
    plan: Plan, state: State, sample: Sequence[Mapping[str, Any]], transform: Transform
) -> dict[str, Any]:
    """Return some training rows as ``validation/training_sample.json`` holds them."""
    columns, width = plan.schema.columns, transform.feature_dim
    most = min(MAX_ROWS, max(_MAX_VALUES // (len(columns) + width), 1))
    encoder = Encoder(plan.schema, transform)
    rows: list[list[str]] = []
    mapped: list[list[float]] = []
    classes: list[int] = []
    for each in training_rows(plan, state, sample, most):
        text = io.StringIO(each.texts(np.full(len(each.labels), True)).decode(), newline="")
        rows += csv.reader(text, delimiter=plan.schema.delimiter, skipinitialspace=True)
        seen = np.empty((len(each.labels), width), np.float32)
        encoder.model_input(each.rows, seen)
        mapped += seen.tolist()
        classes += each.labels.tolist()
    names = [column.name for column in columns]
    return {"columns": names, "rows": rows, "mapped": mapped, "classes": classes}


def _training_rows(
    plan: Plan, state: State, sample: Sequence[Mapping[str, Any]]
) -> Iterator[LabelledRows]:
    is_held_out = plan.sides(state)
    labelled = [row for row in sample if plan.schema.class_of(row["label"]) >= 0]
    text = "".join(f"{row['text']}\n" for row in labelled).encode()
    # Their places in the whole file are known, not those in the sample.
    places = np.array([row["place"] for row in labelled])
    for each in read_rows(plan.schema, [text]):
        of_block, places = np.split(places, [len(each.labels)])
        found = replace(each, places=of_block)
        yield found.of(~is_held_out(found))


def _stratified(labels: NDArray[np.intp], most: int, seed: int) -> NDArray[np.bool_]:
    """Return which rows are in a random sample of so many, in which each class has its share."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    counts = np.bincount(labels)
    ranks, _ = places_within(labels[shuffled], np.zeros(len(counts), np.intp))
    # The first row of each class comes first, so that none is without one.
    order = np.argsort(ranks / counts[labels[shuffled]], kind="stable")
    kept = np.zeros(len(labels), np.bool_)
    kept[shuffled[order[:most]]] = True
    return kept
