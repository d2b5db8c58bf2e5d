"""What the rows of a file are like: counted, measured, and some of them kept as a sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabular.blocks import Block
from tabular.words import mixed

QUANTILES = {"q01": 0.01, "q25": 0.25, "median": 0.5, "q75": 0.75, "q99": 0.99}

NOT_TO_BLAME = frozenset({"missing label", "empty row"})
"""Kinds of rejects that say nothing against a file: rows still to be labelled, blank lines."""

SAMPLE_ROWS = 8_000
"""Rows of a sample, about. What is learned from more would hardly be better."""

SAMPLE_BYTES = 16_000_000
"""Of the rows of a sample."""

ROWS_OF_CLASS = 10
"""Rows that a sample has of each class at least, if there are as many."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_ALL = 2**64 - 1


class Profile:
    """Counts of rows and rejects; of each feature the missing values, of numbers the moments.

    Parameters
    ----------
    features
        The columns that the model uses, in its order.
    numbers
        Which of them are numbers.
    """

    def __init__(self, features: Sequence[str], numbers: Sequence[str]) -> None:
        self.features = tuple(features)
        self.numbers = tuple(numbers)
        self.read = 0
        self.kept = 0
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, list[int]] = {}
        self.missing = np.zeros(len(features), np.int64)
        self.count = np.zeros(len(numbers))
        self.mean = np.zeros(len(numbers))
        self.squares = np.zeros(len(numbers))
        self.min = np.full(len(numbers), np.inf)
        self.max = np.full(len(numbers), -np.inf)

    @property
    def rejected(self) -> int:
        """Rows that were set aside."""
        return self.rejects.total()

    def add_reject(self, kind: str, line: int) -> None:
        """Count a row that is set aside."""
        self.rejects[kind] += 1
        lines = self.examples.setdefault(kind, [])
        if len(lines) < 3:
            lines.append(line)

    def add_numbers(self, values: NDArray[np.float64]) -> None:
        """Measure the numbers of rows that are kept, (numbers, rows); NaN is a missing one."""
        present = ~np.isnan(values)
        every = present.all()
        count = np.full(len(values), values.shape[1]) if every else present.sum(axis=1)
        zeroed = values if every else np.where(present, values, 0.0)
        mean = zeroed.sum(axis=1) / np.maximum(count, 1)
        off = zeroed - mean[:, None]
        if not every:
            off *= present
        squares = np.einsum("ij,ij->i", off, off)
        with np.errstate(invalid="ignore"):
            low = values.min(axis=1) if every else np.nanmin(values, axis=1, initial=np.inf)
            high = values.max(axis=1) if every else np.nanmax(values, axis=1, initial=-np.inf)
        self._merge(count, mean, squares, low, high)

    def _merge(self, count: Any, mean: Any, squares: Any, low: Any, high: Any) -> None:
        """Add moments of further rows.

        Source: T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for
        computing sample variances" (1979).
        """
        total = self.count + count
        apart = mean - self.mean
        share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
        self.squares += squares + apart * apart * self.count * share
        self.mean += apart * share
        self.count = total
        self.min, self.max = np.minimum(self.min, low), np.maximum(self.max, high)

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add what `state` says of a further part of the file."""
        self.read += state["read"]
        self.kept += state["kept"]
        self.rejects.update(state["rejects"])
        for kind, lines in state["examples"].items():
            self.examples[kind] = [*self.examples.get(kind, []), *lines][:3]
        self.missing += np.array(state["missing"], np.int64)
        count, mean, squares, low, high = (
            np.array(state[name], float) for name in ("count", "mean", "squares", "min", "max")
        )
        self._merge(count, mean, squares, low, high)

    def state(self) -> dict[str, Any]:
        """Return all that `merge` needs, as JSON holds it."""
        arrays = ("missing", "count", "mean", "squares", "min", "max")
        return {
            "read": self.read,
            "kept": self.kept,
            "rejects": dict(self.rejects),
            "examples": self.examples,
            **{name: getattr(self, name).tolist() for name in arrays},
        }

    def as_dict(
        self, classes: Mapping[str, int], sample: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, Any]:
        """Return the profile as ``clean/profile.json`` holds it.

        Parameters
        ----------
        classes
            Rows of each class.
        sample
            Of each number, the values in the sample of the rows: quantiles are taken from these.
        """
        features: dict[str, dict[str, Any]] = {
            name: {"missing": int(count)}
            for name, count in zip(self.features, self.missing, strict=True)
        }
        for place, name in enumerate(self.numbers):
            count, squares = self.count[place], self.squares[place]
            features[name] |= {
                "count": int(count),
                "min": _finite(self.min[place]),
                "max": _finite(self.max[place]),
                "mean": float(self.mean[place]),
                "std": math.sqrt(squares / (count - 1)) if count > 1 else 0.0,
            }
            values = sample[name][~np.isnan(sample[name])]
            if len(values):
                found = np.quantile(values, list(QUANTILES.values())).tolist()
                features[name] |= dict(zip(QUANTILES, found, strict=True))
        return {
            "rows": {"read": self.read, "kept": self.kept, "rejected": self.rejected},
            "rejects": dict(self.rejects.most_common()),
            "first_lines": self.examples,
            "classes": dict(classes),
            "features": features,
        }


@dataclass(frozen=True)
class SampledRow:
    """A row as it was written, with its line, and its place among the rows of its class."""

    line: int
    label: str
    place: int
    text: str


class RowSample:
    """Keeps the rows with the lowest random numbers, which follow from their lines.

    So a file gives the same sample whether it is read whole or in parts.
    """

    def __init__(self, seed: int) -> None:
        self._seed = mixed(np.array([seed], np.uint64))[0]
        self._rows: list[SampledRow] = []
        self._numbers: list[int] = []
        self._bytes = 0
        self._limit = _ALL
        self._limits: dict[str, int] = {}

    def add(
        self,
        block: Block,
        kept: NDArray[np.intp],
        spelled: NDArray[np.intp],
        spellings: Sequence[str],
        places: Callable[[], NDArray[np.intp]],
    ) -> None:
        """Look at rows that are kept.

        Parameters
        ----------
        kept
            Their places in the block.
        spelled
            The number of each one's spelling.
        places
            Returns the place of each among the rows of its class.
        """
        lines = block.lines[kept]
        numbers = mixed(lines.astype(np.uint64) * _STEP ^ self._seed)
        limits = [max(self._limit, self._limits.get(each, _ALL)) for each in spellings]
        chosen = np.flatnonzero(numbers <= np.array(limits, np.uint64)[spelled])
        if not len(chosen):
            return
        place_of = places()
        for row in chosen.tolist():
            label, text = spellings[spelled[row]], block.text(int(kept[row]))
            sampled = SampledRow(int(lines[row]), label, int(place_of[row]), text)
            self._add(sampled, int(numbers[row]))
        self._prune(2)

    def rows(self) -> list[SampledRow]:
        """Return the sample, in the file's order."""
        self._prune(1)
        return sorted(self._rows, key=lambda row: row.line)

    def merge(self, rows: Sequence[SampledRow]) -> None:
        """Look at the rows that the sample of a further part has kept."""
        lines = np.array([row.line for row in rows], np.uint64)
        for row, number in zip(rows, mixed(lines * _STEP ^ self._seed).tolist(), strict=True):
            self._add(row, number)
        self._prune(2)

    def leave_out(self, row: SampledRow) -> None:
        """Take a row out."""
        place = self._rows.index(row)
        del self._rows[place], self._numbers[place]

    def _add(self, row: SampledRow, number: int) -> None:
        self._rows.append(row)
        self._numbers.append(number)
        self._bytes += len(row.text)

    def _prune(self, slack: int) -> None:
        """Keep the lowest rows, of all and of each class, if there are `slack` times too many.

        Whether a row stays depends on the lower ones alone, and of these on enough to drop it that
        stay themselves: so parts keep all that the whole does.
        """
        if len(self._rows) <= slack * SAMPLE_ROWS and self._bytes <= slack * SAMPLE_BYTES:
            return
        order = sorted(range(len(self._rows)), key=self._numbers.__getitem__)
        of_label: Counter[str] = Counter()
        kept, size = [], 0
        self._limit = _ALL
        for position, place in enumerate(order):
            row, number = self._rows[place], self._numbers[place]
            of_label[row.label] += 1
            fits = position < SAMPLE_ROWS and size < SAMPLE_BYTES
            if fits or of_label[row.label] <= ROWS_OF_CLASS:
                kept.append(place)
            if of_label[row.label] == ROWS_OF_CLASS:
                self._limits[row.label] = number
            if not fits:
                self._limit = min(self._limit, number)
            size += len(row.text)
        self._rows = [self._rows[place] for place in kept]
        self._numbers = [self._numbers[place] for place in kept]
        self._bytes = sum(len(row.text) for row in self._rows)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
