"""What the rows of a file are like: counted, measured, and some of them kept as a sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tabular.words import mixed, places_within

QUANTILES = {"q01": 0.01, "q25": 0.25, "median": 0.5, "q75": 0.75, "q99": 0.99}

SAMPLE_ROWS = 8_000
"""Rows of a sample, about. What is learned from more would hardly be better."""

SAMPLE_BYTES = 16_000_000

ROWS_OF_CLASS = 10
"""Rows that a sample has of each class at least, if there are as many."""

_EXAMPLES = 3
_EXAMPLE = 500  # characters
_STEP = np.uint64(0x9E3779B97F4A7C15)
_ALL = 2**64 - 1
_ROW = np.dtype([("number", "u8"), *((n, "i8") for n in ("line", "label", "place", "size"))])


class Profile:
    """Counts of rows and rejects; of each feature the missing values, of numbers the moments.

    `features` are in the model's order, and `numbers` says which of them are numbers.
    """

    def __init__(self, features: Sequence[str], numbers: Sequence[str]) -> None:
        self.features = tuple(features)
        self.numbers = tuple(numbers)
        self.read = 0
        self.kept = 0
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, list[dict[str, Any]]] = {}
        self.missing = np.zeros(len(features), np.int64)
        # Of each number: how many there are, mean, sum of squares around it, least and greatest.
        self.moments = np.repeat([[0], [0], [0], [np.inf], [-np.inf]], len(numbers), axis=1)

    @property
    def rejected(self) -> int:
        """Rows that were set aside."""
        return self.rejects.total()

    def add_reject(self, kind: str, line: int, text: str) -> None:
        """Count a row that is set aside, and keep the first ones of each kind."""
        self.rejects[kind] += 1
        example = {"line": line, "text": text[:_EXAMPLE]}
        self.examples[kind] = [*self.examples.get(kind, ()), example][:_EXAMPLES]

    def add_numbers(self, values: NDArray[np.float64]) -> None:
        """Measure the numbers of rows that are kept, (numbers, rows); NaN is a missing one."""
        count, totals = np.full(len(values), values.shape[1]), values.sum(axis=1)
        present = None
        if np.isnan(totals).any():
            present = ~np.isnan(values)
            count, totals = present.sum(axis=1), np.where(present, values, 0.0).sum(axis=1)
        mean = totals / np.maximum(count, 1)
        off = values - mean[:, None]
        if present is not None:
            off[~present] = 0
        squares = np.einsum("ij,ij->i", off, off)
        low = np.fmin.reduce(values, 1, initial=np.inf)
        high = np.fmax.reduce(values, 1, initial=-np.inf)
        self._add_moments(np.array([count, mean, squares, low, high]))

    def _add_moments(self, more: NDArray[np.float64]) -> None:
        """Add the moments of further rows.

        Source: T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for
        computing sample variances" (1979).
        """
        count, mean, squares, low, high = self.moments
        total, apart = count + more[0], more[1] - mean
        share = more[0] / np.maximum(total, 1)
        squares = squares + more[2] + apart * apart * count * share
        low, high = np.minimum(low, more[3]), np.maximum(high, more[4])
        self.moments = np.array([total, mean + apart * share, squares, low, high])

    def state(self) -> dict[str, Any]:
        """Return all that `merge` needs, as JSON holds it."""
        return {
            "read": self.read,
            "kept": self.kept,
            "rejects": dict(self.rejects),
            "examples": self.examples,
            "missing": self.missing.tolist(),
            "moments": self.moments.tolist(),
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add the rows of the part that comes next in the file."""
        self.read += state["read"]
        self.kept += state["kept"]
        self.rejects.update(state["rejects"])
        for kind, rows in state["examples"].items():
            self.examples[kind] = [*self.examples.get(kind, ()), *rows][:_EXAMPLES]
        self.missing += np.array(state["missing"], np.int64)
        self._add_moments(np.array(state["moments"], float).reshape(5, -1))

    def as_dict(
        self, classes: Mapping[str, int], sample: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, Any]:
        """Return the profile as ``clean/profile.json`` holds it.

        `classes` has the rows of each class, and `sample` the sampled values of each number, from
        which quantiles are taken.
        """
        missing = zip(self.features, self.missing.tolist(), strict=True)
        features: dict[str, dict[str, Any]] = {name: {"missing": n} for name, n in missing}
        for name, of_number in zip(self.numbers, self.moments.T.tolist(), strict=True):
            count, mean, squares, low, high = of_number
            if count:
                std = math.sqrt(squares / max(count - 1, 1))
                moments = {"count": int(count), "min": low, "max": high, "mean": mean, "std": std}
                features[name] |= moments
            values = sample[name][~np.isnan(sample[name])]
            if len(values):
                found = np.quantile(values, list(QUANTILES.values())).tolist()
                features[name] |= dict(zip(QUANTILES, found, strict=True))
        rows = {"read": self.read, "kept": self.kept, "rejected": self.rejected}
        lines = {kind: [row["line"] for row in rows] for kind, rows in self.examples.items()}
        rejects = {
            "rejects": dict(self.rejects.most_common()),
            "first_lines": lines,
            "first_rows": self.examples,
        }
        return {"rows": rows, **rejects, "classes": dict(classes), "features": features}


class SampledRow(NamedTuple):
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
        self._rows = np.zeros(0, _ROW)
        self._texts: dict[int, str] = {}
        self._labels: dict[str, int] = {}
        # Rows with greater numbers have no place, in all and in each label with enough of them.
        self._limit = _ALL
        self._limits: dict[int, int] = {}

    def add(
        self,
        lines: NDArray[np.intp],
        spelled: NDArray[np.intp],
        spellings: Sequence[str],
        places: Callable[[NDArray[np.intp]], NDArray[np.intp]],
        texts: Callable[[NDArray[np.intp]], Sequence[str]],
    ) -> None:
        """Look at rows that are kept: their lines, and the number of each's spelling.

        `places` returns the place of some of the rows, each among those of its class, and `texts`
        what is on some of the lines.
        """
        labels = [self._labels.setdefault(label, len(self._labels)) for label in spellings]
        least = [max(self._limit, self._limits.get(label, _ALL)) for label in labels]
        limits = np.array(least, np.uint64)
        numbers = mixed(lines.astype(np.uint64) * _STEP ^ self._seed)
        chosen = np.flatnonzero(numbers <= limits.max(initial=0))
        chosen = chosen[numbers[chosen] <= limits[spelled[chosen]]]
        if not len(chosen):
            return
        new = np.zeros(len(chosen), _ROW)
        new["number"], new["line"] = numbers[chosen], lines[chosen]
        new["label"], new["place"] = np.array(labels)[spelled[chosen]], places(chosen)
        self._rows = np.concatenate([self._rows, new])
        # Most rows of the first blocks lose their place before their text is made.
        most = SAMPLE_ROWS + ROWS_OF_CLASS * len(self._labels)
        if len(self._rows) > 1.25 * most or self._rows["size"].sum() > 2 * SAMPLE_BYTES:
            self._prune()
        # No text is empty.
        fresh = np.flatnonzero(self._rows["size"] == 0)
        found = self._rows["line"][fresh]
        made = texts(found)
        self._texts.update(zip(found.tolist(), made, strict=True))
        self._rows["size"][fresh] = list(map(len, made))

    def merge(self, rows: Sequence[Sequence[Any]], before: Callable[[str], int]) -> None:
        """Look at the rows that the sample of the next part has kept, given as their fields.

        `before` returns how many rows of a label's class go before the part.
        """
        found = list(map(SampledRow._make, rows))
        texts_on = {row.line: row.text for row in found}
        self.add(
            np.array([row.line for row in found], np.intp),
            np.arange(len(found)),
            [row.label for row in found],
            lambda some: np.array([found[n].place + before(found[n].label) for n in some.tolist()]),
            lambda lines: [texts_on[line] for line in lines.tolist()],
        )

    def rows(self) -> list[SampledRow]:
        """Return the sample, in the file's order."""
        self._prune()
        labels, rows = list(self._labels), np.sort(self._rows, order="line").tolist()
        return [
            SampledRow(line, labels[label], place, self._texts[line])
            for _, line, label, place, _ in rows
        ]

    def leave_out(self, row: SampledRow) -> None:
        """Take a row out."""
        self._rows = self._rows[self._rows["line"] != row.line]

    def _prune(self) -> None:
        """Keep the rows with the lowest numbers, of all and of each class.

        A row has a place if those before it leave room. So what drops a row is kept itself, and
        parts keep all rows that have a place in the whole.
        """
        rows = self._rows[np.argsort(self._rows["number"])]
        before = np.cumsum(rows["size"]) - rows["size"]
        has_place = (np.arange(len(rows)) < SAMPLE_ROWS) & (before < SAMPLE_BYTES)
        self._limit = min([self._limit, *rows["number"][~has_place][:1].tolist()])
        of_label = places_within(rows["label"], np.zeros(len(self._labels), np.intp))[0]
        last = rows[of_label == ROWS_OF_CLASS - 1]
        self._limits.update(zip(last["label"].tolist(), last["number"].tolist(), strict=True))
        is_kept = has_place | (of_label < ROWS_OF_CLASS)
        for line in rows["line"][~is_kept].tolist():
            self._texts.pop(line, None)
        self._rows = rows[is_kept]
