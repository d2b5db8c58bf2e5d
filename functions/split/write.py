"""The rows of a part, written to their sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clean_blocks import CleanBlock
from duplicates import Duplicates
from pipeline.errors import Refusal
from steps import State, Task, sides_of, transform_of
from transform_rows import transformed


class Sink(Protocol):
    """Takes the bytes of an object."""

    def write(self, data: bytes, /) -> object:
        """Add to the object."""


@dataclass(frozen=True)
class Sinks:
    """Where rows go. `originals` takes the held-out rows as they were written, if asked for."""

    train: Sink
    test: Sink
    originals: Sink | None = None


@dataclass(frozen=True)
class Written:
    """What was written of a part: rows of each class on each side, (2, classes)."""

    rows: NDArray[np.int64]
    duplicates: Duplicates


def write_part(
    task: Task, state: State, part: int, blocks: Iterable[CleanBlock], sinks: Sinks
) -> Written:
    """Write the rows of a part, in their order, to the training or the test."""
    sides = sides_of(task, state, part)
    transform = transform_of(task, state)
    classes = len(task.class_counts)
    rows = np.zeros((2, classes), np.int64)
    duplicates = Duplicates(task.rows)
    for block in blocks:
        held_out = sides.held_out(block)
        duplicates.add(block.hashes(), held_out)
        rows[0] += np.bincount(block.labels[~held_out], minlength=classes)
        rows[1] += np.bincount(block.labels[held_out], minlength=classes)
        if transform:
            if sinks.originals:
                sinks.originals.write(block.apart(held_out)[1])
            block = CleanBlock(transformed(block, transform), block.keys)
        train, test = block.apart(held_out)
        sinks.train.write(train)
        sinks.test.write(test)
    return Written(rows, duplicates)


def summary(task: Task, parts: Iterable[Written], *, neighbours: int) -> dict[str, Any]:
    """Return how the rows were split, as ``split.json`` holds it.

    Parameters
    ----------
    neighbours
        Training rows that the model asks, its `k`.

    Raises
    ------
    Refusal
        No row is held out, or the training rows are of one class only or fewer than `neighbours`.
    """
    rows = np.zeros((2, len(task.class_counts)), np.int64)
    duplicates = Duplicates(task.rows)
    for part in parts:
        rows += part.rows
        duplicates.merge(part.duplicates)
    if rows.sum(axis=0).tolist() != task.class_counts:
        raise AssertionError(f"{task.class_counts} rows to split, {rows.tolist()} written")
    train, test = rows
    if task.by == "text" and not test.sum():
        raise Refusal(
            "TooFewDifferentRows",
            "The rows of each class are equal to one another, all or most of them, and equal rows "
            "stay on one side, so there is none to hold out.",
            'Leave "duplicates" out of schema.json, or drop a file with more different rows.',
        )
    if task.by == "class" and test.tolist() != task.wanted:
        raise AssertionError(f"{task.wanted} rows to hold out, {test.tolist()} held out")
    if task.by == "time" and test.sum() != task.wanted_in_all:
        raise AssertionError(f"{task.wanted_in_all} rows to hold out, {test.sum()} held out")
    if np.count_nonzero(train) < 2:
        raise Refusal(
            "OneClassToTrainOn",
            "The rows that come first by time are of one class only, so there is nothing to tell "
            "apart.",
            'Leave "time" out of schema.json, or drop a file in which classes come up in turn.',
        )
    if train.sum() < neighbours:
        raise Refusal(
            "FewerRowsThanK",
            f"The file leaves {train.sum():,} rows to train on, fewer than the {neighbours:,} "
            "neighbours that vote on a class.",
            f"Drop a file with more rows, or deploy with a lower K than {neighbours:,}.",
        )
    return {
        "by": task.by,
        "seed": task.seed,
        "test_fraction": task.test_fraction,
        "rows": {"train": int(train.sum()), "test": int(test.sum())},
        "classes": {
            name: {"train": int(train[place]), "test": int(test[place])}
            for place, name in enumerate(task.schema.classes)
            if train[place] or test[place]
        },
        "duplicates": {
            "held_out_rows_in_training": duplicates.in_both(),
            "is_exact": duplicates.is_exact,
        },
    }
