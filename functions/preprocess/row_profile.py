"""What the rows of a file are like, learned in one pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.errors import Refusal


class Profile:
    """Counts of rows and classes, and each feature's min, max, mean and standard deviation.

    Mean and deviation come from Welford's update, which stays exact where sums of squares cancel.
    Source: B. P. Welford, "Note on a method for calculating corrected sums of squares and
    products", Technometrics 4 (1962). The deviation is that of the sample (n - 1).
    """

    def __init__(self, features: Sequence[str]) -> None:
        self._features = tuple(features)
        self.kept = 0
        self.rejected = 0
        self.classes: Counter[str] = Counter()
        self._first_line: dict[str, int] = {}
        self._min = [math.inf] * len(features)
        self._max = [-math.inf] * len(features)
        self._mean = [0.0] * len(features)
        self._squares = [0.0] * len(features)

    @property
    def read(self) -> int:
        """Rows read: each is either kept or rejected."""
        return self.kept + self.rejected

    def add(self, line: int, label: str, features: Sequence[str]) -> None:
        """Count a row that is kept."""
        self.kept += 1
        self.classes[label] += 1
        self._first_line.setdefault(label, line)
        for place, text in enumerate(features):
            value = float(text)
            self._min[place] = min(self._min[place], value)
            self._max[place] = max(self._max[place], value)
            delta = value - self._mean[place]
            self._mean[place] += delta / self.kept
            self._squares[place] += delta * (value - self._mean[place])

    def add_reject(self) -> None:
        """Count a row that is set aside."""
        self.rejected += 1

    def check(self, *, max_rejected_fraction: float) -> None:
        """Raise a `Refusal` if no classifier can be trained and tested on what was kept."""
        if self.rejected > max_rejected_fraction * self.read:
            raise Refusal(
                "TooManyRejects",
                f"{self.rejected} of {self.read} rows can't be used, more than the "
                f"{max_rejected_fraction:.0%} that are allowed.",
                "clean/rejects.csv in the run's folder names each with its line and reason; mend "
                "them and drop the file again.",
            )
        if len(self.classes) < 2:
            what = f'only the class "{next(iter(self.classes))}"' if self.classes else "no class"
            raise Refusal(
                "OneClass",
                f"The label has {what} in {self.kept} usable rows.",
                "A classifier needs rows of at least two classes.",
            )
        single = [label for label, count in self.classes.items() if count == 1]
        if single:
            raise Refusal(
                "SingleRowClass",
                f'The class "{single[0]}" has a single row, on line {self._first_line[single[0]]}.',
                "Every class needs at least two rows, one to train on and one to test on: add "
                "rows of it or take it out.",
            )

    def class_order(self) -> tuple[str, ...]:
        """Return the classes in the order of their integers: by value if all are integers."""
        try:
            return tuple(sorted(self.classes, key=lambda label: (int(label), label)))
        except ValueError:
            return tuple(sorted(self.classes))

    def as_dict(self) -> dict[str, Any]:
        """Return the profile as ``clean/profile.json`` holds it."""
        return {
            "rows": {"read": self.read, "kept": self.kept, "rejected": self.rejected},
            "classes": {label: self.classes[label] for label in self.class_order()},
            "features": {
                name: {
                    "min": self._min[place],
                    "max": self._max[place],
                    "mean": self._mean[place],
                    "std": math.sqrt(self._squares[place] / max(self.kept - 1, 1)),
                }
                for place, name in enumerate(self._features)
            },
        }
