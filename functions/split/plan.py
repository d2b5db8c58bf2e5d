"""How a run's rows are split: what must be known of all of them, and what came of it.

A split by class follows from the counts of the classes alone. One by group, time or equal rows
takes a pass or a few, in which each part of the file counts and the counts are added up.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.algorithm import indexed_rows
from pipeline.errors import Refusal
from pipeline.schema import Schema
from pipeline.settings import Settings
from split.duplicates import Duplicates
from split.groups import bucket_count, choose_groups
from split.labelled import LabelledRows
from split.sides import Draw, buckets, held_out_counts, held_out_total, time_keys
from tabular.numbers import NumberFormat

_DIGIT = 16
"""Bits of a time's key that a pass looks at."""

State = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """The split of a run's rows. `parts` gives the rows of each class in each part of the file."""

    schema: Schema
    settings: Settings
    parts: Sequence[Sequence[int]]

    @property
    def class_counts(self) -> list[int]:
        """Rows of each class."""
        return [sum(of_class) for of_class in zip(*self.parts, strict=True)]

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(self.class_counts)

    @property
    def wanted(self) -> list[int]:
        """Rows of each class to hold out."""
        settings = self.settings
        return held_out_counts(self.class_counts, settings.test_fraction, settings.max_test_rows)

    def before(self, part: int) -> list[int]:
        """Return the rows of each class in the parts before one."""
        return [sum(of_class[:part]) for of_class in zip(*self.parts, strict=True)]

    def begin(self) -> State:
        """Return what is known before any row has been looked at."""
        if self.settings.split_by != "class":
            return {"step": "count", "prefix": 0, "shift": 64, "after": 0}
        draw, counts = self._draw(), zip(self.class_counts, self.wanted, strict=True)
        cuts = [draw.cut(label, count, want) for label, (count, want) in enumerate(counts)]
        return {"step": "write", "cuts": cuts}

    def count(self, state: State, rows: Iterable[LabelledRows]) -> NDArray[np.int64]:
        """Return what a part counts for the next state."""
        if self.settings.split_by == "time":
            return self._count_times(state, rows)
        classes = len(self.class_counts)
        counts = np.zeros(bucket_count(self.rows, classes) * classes, np.int64)
        for each in rows:
            np.add.at(counts, self.keys(each) * classes + each.labels, 1)
        return counts.reshape(-1, classes)

    def _count_times(self, state: State, rows: Iterable[LabelledRows]) -> NDArray[np.int64]:
        """Count the next digit of the keys of those times that begin with the prefix."""
        counts = np.zeros(1 << _DIGIT, np.int64)
        shift = state["shift"]
        for each in rows:
            keys = self.keys(each)
            if shift < 64:
                keys = keys[keys >> np.uint64(shift) == np.uint64(state["prefix"])]
            digits = (keys >> np.uint64(shift - _DIGIT)) & np.uint64((1 << _DIGIT) - 1)
            counts += np.bincount(digits.astype(np.intp), minlength=len(counts))
        return counts

    def narrow(self, state: State, counts: NDArray[np.int64]) -> State:
        """Return what is known after all parts have counted, by the sum of their counts.

        Raises a `Refusal` if the rows can't be put on two sides.
        """
        if self.settings.split_by != "time":
            chosen = choose_groups(counts, self.wanted, self.settings.seed)
            packed = base64.b64encode(np.packbits(chosen).tobytes()).decode()
            return {"step": "write", "chosen": packed}
        settings = self.settings
        wanted = held_out_total(self.rows, settings.test_fraction, settings.max_test_rows)
        # Rows from each digit on; the one is looked for that the cut is in.
        later = np.cumsum(counts[::-1])[::-1] + state["after"]
        digit = int(np.flatnonzero(later >= wanted)[-1])
        key, shift = (state["prefix"] << _DIGIT) + digit, state["shift"] - _DIGIT
        with_it, after = int(later[digit]), int(later[digit] - counts[digit])
        if shift:
            return {"step": "count", "prefix": key, "shift": shift, "after": after}
        # Rows of one time stay together, on the side that brings their number nearer to the share.
        is_first = with_it < self.rows and (not after or with_it - wanted <= wanted - after)
        if not is_first and not after:
            raise Refusal(
                "OneTime",
                f'Nearly all rows have the same time in column "{settings.time}".',
                'Choose a column with more different times as the "time", or none.',
            )
        return {"step": "write", "first": key if is_first else key + 1}

    def sides(self, state: State) -> Callable[[LabelledRows], NDArray[np.bool_]]:
        """Return what tells which rows are held out."""
        if self.settings.split_by == "class":
            draw, cuts = self._draw(), np.array(state["cuts"], np.uint64)
            return lambda rows: draw.numbers(rows.labels, rows.places) < cuts[rows.labels]
        if self.settings.split_by == "time":
            return lambda rows: self.keys(rows) >= np.uint64(state["first"])
        packed = np.frombuffer(base64.b64decode(state["chosen"]), np.uint8)
        chosen = np.unpackbits(packed).astype(np.bool_)
        return lambda rows: chosen[self.keys(rows)]

    def _draw(self) -> Draw:
        return Draw(self.settings.seed, len(self.class_counts))

    def keys(self, rows: LabelledRows) -> NDArray[Any]:
        """Return a number of each row: its bucket, or what sorts as its time."""
        name = self.settings.group or self.settings.time
        names = [name] if name else [self.schema.label, *self.schema.features]
        columns = [self.schema.places[each] for each in names]
        if self.settings.split_by == "time":
            written = NumberFormat.of(self.schema.columns[columns[0]].format)
            return time_keys(rows.rows, columns[0], written)
        return buckets(rows.rows, columns, bucket_count(self.rows, len(self.class_counts)))

    def summary(self, written: Iterable[Mapping[str, NDArray[Any]]], k: int) -> dict[str, Any]:
        """Return how the rows were split, as ``split.json`` holds it.

        `written` is what `write_part` has returned for each part. Raises a `Refusal` if the
        training rows are of one class, or fewer than the neighbours that vote.
        """
        train, test = np.zeros((2, len(self.class_counts)), np.int64)
        duplicates = Duplicates(self.rows)
        for part in written:
            train += part["sides"][0]
            test += part["sides"][1]
            duplicates.take(part["hashes"], part["counts"])
        if (train + test).tolist() != self.class_counts:
            raise AssertionError(f"{self.class_counts} rows to split, {train} and {test} written")
        if self.settings.split_by == "class" and test.tolist() != self.wanted:
            raise AssertionError(f"{self.wanted} rows to hold out, {test.tolist()} held out")
        if np.count_nonzero(train) < 2:
            raise Refusal(
                "OneClassToTrainOn",
                "The earliest rows are all of one class, so there is nothing to tell apart.",
                'Leave out the setting "time", or upload a file in which classes alternate '
                "over time.",
            )
        if (indexed := indexed_rows(int(train.sum()), self.settings)) < k:
            raise Refusal(
                "FewerRowsThanK",
                f"The file leaves {indexed:,} rows to train on, but k is {k:,}.",
                f"Upload a file with more rows, or set k to {indexed:,} at most.",
            )
        return {
            "by": self.settings.split_by,
            "rows": {"train": int(train.sum()), "test": int(test.sum())},
            "classes": {
                name: {"train": int(train[place]), "test": int(test[place])}
                for place, name in enumerate(self.schema.classes)
                if train[place] or test[place]
            },
            "duplicates": {
                "held_out_rows_in_training": duplicates.in_both(),
                "is_exact": duplicates.is_exact,
            },
        }
