"""The confusion matrix of a classifier and the metrics that are read off it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any


class ConfusionMatrix:
    """Counts of true against predicted classes; memory is that of the matrix alone."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.counts = [[0] * len(self.classes) for _ in self.classes]
        """Row: true class; column: predicted class."""

    def add(self, true: int, predicted: int) -> None:
        """Count a row by the integers of its true and its predicted class."""
        self.counts[true][predicted] += 1

    def metrics(self, of_file: Collection[str] | None = None) -> dict[str, Any]:
        """Return accuracy, macro F1, and per class precision, recall, F-score and support.

        With TP, FP and FN of a class: precision = TP / (TP + FP), recall = TP / (TP + FN),
        F-score = 2 TP / (2 TP + FP + FN); macro F1 is the plain mean of the F-scores. Where a
        denominator is 0 the value is 0 and a note says so. A class that neither has a row nor was
        predicted has no F-score, and is left out: a dataset remembers classes that a file has not.
        Source: scikit-learn user guide, "Classification metrics", with ``zero_division=0``; there
        too the labels are those "present in y_true or y_pred".

        Parameters
        ----------
        of_file
            The classes that the file has rows of; one of them that is left out is noted.

        Raises
        ------
        ValueError
            No row was counted.
        """
        rows = sum(map(sum, self.counts))
        if rows == 0:
            raise ValueError("there are no metrics of no rows")
        notes: list[str] = []
        per_class: dict[str, dict[str, float | int]] = {}
        supports = [sum(row) for row in self.counts]
        predictions = [sum(column) for column in zip(*self.counts, strict=True)]
        seen = [index for index in range(len(self.classes)) if supports[index] + predictions[index]]
        for index in seen:
            name = self.classes[index]
            true_positives = self.counts[index][index]
            support, predicted = supports[index], predictions[index]
            if predicted == 0:
                notes.append(f'"{name}" was never predicted: its precision is given as 0.')
            if support == 0:
                notes.append(f'"{name}" has no row in the test: its recall is given as 0.')
            per_class[name] = {
                "precision": _ratio(true_positives, predicted),
                "recall": _ratio(true_positives, support),
                "f_score": _ratio(2 * true_positives, predicted + support),
                "support": support,
            }
        notes += [
            f'"{name}" has no row in the test and was never predicted: it is left out.'
            for name in self.classes
            if name in (of_file or ()) and name not in per_class
        ]
        return {
            "rows": rows,
            "accuracy": sum(self.counts[i][i] for i in seen) / rows,
            "macro_f1": sum(of_class["f_score"] for of_class in per_class.values()) / len(seen),
            "classes": [self.classes[index] for index in seen],
            "confusion_matrix": [[self.counts[i][j] for j in seen] for i in seen],
            "per_class": per_class,
            "notes": notes,
        }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
