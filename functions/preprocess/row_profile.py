"""What the rows of a file are like, learned in one pass."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from datasketches import tdigest_double
from numpy.typing import NDArray

from classes import Classes, are_measured
from pipeline.errors import Refusal
from pipeline.moments import Moments

if TYPE_CHECKING:
    from pipeline.decimals import Decimals
    from rows import Reject

QUANTILES = {"q01": 0.01, "q25": 0.25, "median": 0.5, "q75": 0.75, "q99": 0.99}

_COMPRESSION = 200
"""Of the t-digests: about so many centroids, with a rank error well under a percent."""


class Profile:
    """Counts of rows, rejects and classes, and each feature's moments and quantiles.

    Moments are exact. Quantiles come from Apache DataSketches' t-digest of every `stride`-th row.
    Source: T. Dunning and O. Ertl, "Computing extremely accurate quantiles using t-digests" (2019).
    """

    def __init__(self, features: Sequence[str], *, stride: int = 1) -> None:
        self.features = tuple(features)
        self.stride = stride
        self.read = 0
        self.kept = 0
        self.rejects: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.first_line: dict[str, int] = {}
        self.first_reject: tuple[int, str] | None = None
        self.missing = [0] * len(features)
        self.moments = Moments(len(features))
        self._digests = [tdigest_double(_COMPRESSION) for _ in features]
        self._sampled_of = 0

    @property
    def rejected(self) -> int:
        """Rows that were set aside."""
        return self.rejects.total()

    def add_reject(self, reject: Reject) -> None:
        """Count a row that is set aside."""
        self.rejects[reject.kind] += 1
        self.first_reject = self.first_reject or (reject.line, reject.reason)

    def add_rows(self, ids: NDArray[np.intp], classes: Classes) -> None:
        """Count rows that are kept, by the ids of their classes."""
        self.kept += len(ids)
        for name, count in zip(
            classes.names, np.bincount(ids, minlength=len(classes.names)).tolist(), strict=True
        ):
            if count:
                self.classes[name] += count

    def add_numbers(self, numbers: Decimals) -> None:
        """Count the features of rows that are kept, (features, rows)."""
        self.moments.add(numbers)
        sample = numbers.sample(-self._sampled_of % self.stride, self.stride)
        self._sampled_of += numbers.mantissa.shape[1]
        # In order they are added in half the time.
        for digest, values in zip(self._digests, np.sort(sample.values()), strict=True):
            digest.update(values)

    def add_texts(self, features: Sequence[str]) -> None:
        """Count the features of one row that is kept, as text; an empty one is missing."""
        is_sampled = self._sampled_of % self.stride == 0
        self._sampled_of += 1
        for place, text in enumerate(features):
            if not text:
                self.missing[place] += 1
                continue
            self.moments.add_text(place, text)
            if is_sampled:
                self._digests[place].update(float(text))

    def merge(self, other: Profile) -> None:
        """Count what the profile of a further part of the file has counted."""
        self.read += other.read
        self.kept += other.kept
        self.rejects += other.rejects
        self.first_reject = self.first_reject or other.first_reject
        self.classes += other.classes
        for name, line in other.first_line.items():
            self.first_line.setdefault(name, line)
        self.missing = [a + b for a, b in zip(self.missing, other.missing, strict=True)]
        self.moments.merge(other.moments)
        for digest, added in zip(self._digests, other._digests, strict=True):
            digest.merge(added)

    def check_sums(self) -> None:
        """Raise an error, of ours rather than the file's, if a row was lost or counted twice."""
        kept = self.classes.total()
        if not self.read == self.kept + self.rejected or kept != self.kept:
            raise AssertionError(
                f"{self.read} rows read, {self.kept} kept, {self.rejected} rejected, {kept} in "
                "classes"
            )

    def check(self, label: str, *, max_rejected_fraction: float) -> None:
        """Raise a `Refusal` if no classifier can be trained and tested on what was kept.

        Parameters
        ----------
        label
            The name of the label's column.
        """
        why = ""
        if self.first_reject:
            kind, count = self.rejects.most_common(1)[0]
            line, reason = self.first_reject
            why = f" The first is on line {line}: {reason}. Most frequent, {count:,} times: {kind}."
        if self.rejected > max_rejected_fraction * self.read:
            raise Refusal(
                "TooManyRejects",
                f"{self.rejected:,} of {self.read:,} rows can't be used, more than the "
                f"{max_rejected_fraction:.3g} of them that MaxRejectedFraction allows.{why}",
                "clean/rejects.csv in the run's folder names each with its line and reason. Mend "
                "them and drop the file again, or deploy with a higher MaxRejectedFraction.",
            )
        if len(self.classes) < 2:
            what = f'only the class "{next(iter(self.classes))}"' if self.classes else "no class"
            aside = f" {self.rejected:,} rows were set aside.{why}" if why else ""
            raise Refusal(
                "OneClass",
                f'The label, column "{label}", has {what} in {self.kept:,} usable rows.{aside}',
                "A classifier needs rows of at least two classes. Add some, or name another column "
                "in schema.json if this one is not the label.",
            )
        single = sorted(
            (name for name, count in self.classes.items() if count == 1),
            key=lambda name: self.first_line[name],
        )
        if 2 * len(single) >= len(self.classes) and are_measured(self.classes):
            raise Refusal(
                "ContinuousLabel",
                f'The label, column "{label}", holds measured numbers rather than classes: '
                f"{len(self.classes):,} different ones in {self.kept:,} rows, such as "
                f'"{single[0]}" on line {self.first_line[single[0]]}.',
                "A classifier needs classes. Name another column as the label in schema.json, or "
                'put words for ranges in the place of the numbers, such as "low" and "high".',
            )
        if single:
            more = f", and so have {len(single) - 1:,} others" if len(single) > 1 else ""
            raise Refusal(
                "SingleRowClass",
                f'The class "{single[0]}" of column "{label}" has a single row, on line '
                f"{self.first_line[single[0]]}{more}.",
                "Every class needs at least two rows, one to train on and one to test on: add "
                "rows of it or take it out.",
            )
        empty = [
            name for name, count in zip(self.features, self.moments.count, strict=True) if not count
        ]
        if empty:
            raise Refusal(
                "EmptyFeature",
                f'The column "{empty[0]}" has no value at all, so none can be put in.',
                "Leave the column out, or give it values.",
            )

    def as_dict(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Return the profile as ``clean/profile.json`` holds it, classes in the order given."""
        moments = self.moments
        return {
            "rows": {"read": self.read, "kept": self.kept, "rejected": self.rejected},
            "rejects": dict(self.rejects.most_common()),
            "classes": {name: self.classes[name] for name in class_names if self.classes[name]},
            "features": {
                name: {
                    "count": moments.count[place],
                    "missing": self.missing[place],
                    "min": _finite(moments.min[place]),
                    "max": _finite(moments.max[place]),
                    "mean": moments.mean(place),
                    "std": moments.std(place),
                    **self._quantiles(place),
                }
                for place, name in enumerate(self.features)
            },
            "quantiles_of_every_nth_row": self.stride,
        }

    def _quantiles(self, place: int) -> dict[str, float]:
        digest = self._digests[place]
        if digest.is_empty():
            return {}
        return {name: digest.get_quantile(rank) for name, rank in QUANTILES.items()}

    def state(self) -> dict[str, Any]:
        """Return all that `merge` needs, as JSON holds it."""
        return {
            "stride": self.stride,
            "read": self.read,
            "kept": self.kept,
            "rejects": dict(self.rejects),
            "classes": dict(self.classes),
            "first_line": self.first_line,
            "first_reject": self.first_reject,
            "missing": self.missing,
            "moments": self.moments.as_dict(),
            "digests": [base64.b64encode(d.serialize()).decode() for d in self._digests],
        }

    @classmethod
    def from_state(cls, features: Sequence[str], state: dict[str, Any]) -> Self:
        """Return the profile that `state` was made of."""
        profile = cls(features, stride=state["stride"])
        profile.read, profile.kept = state["read"], state["kept"]
        profile.rejects = Counter(state["rejects"])
        profile.classes = Counter(state["classes"])
        profile.first_line = dict(state["first_line"])
        if state["first_reject"]:
            profile.first_reject = tuple(state["first_reject"])
        profile.missing = list(state["missing"])
        profile.moments = Moments.from_dict(state["moments"])
        profile._digests = [
            tdigest_double.deserialize(base64.b64decode(text)) for text in state["digests"]
        ]
        return profile


def _finite(value: float) -> float | None:
    return value if abs(value) != float("inf") else None
