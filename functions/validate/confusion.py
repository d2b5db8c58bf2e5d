"""The confusion matrix of a classifier and the metrics that are read off it."""

from __future__ import annotations

from collections.abc import Sequence
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

    def metrics(self) -> dict[str, Any]:
        """Return accuracy, macro F1, and per class precision, recall, F-score and support.

        With TP, FP and FN of a class: precision = TP / (TP + FP), recall = TP / (TP + FN),
        F-score = 2 TP / (2 TP + FP + FN); macro F1 is the plain mean of the F-scores. Where a
        denominator is 0 the value is 0 and a note says so.
        Source: scikit-learn user guide, "Classification metrics", with ``zero_division=0``.

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
        for index, name in enumerate(self.classes):
            true_positives = self.counts[index][index]
            support = sum(self.counts[index])
            predicted = sum(row[index] for row in self.counts)
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
        return {
            "rows": rows,
            "accuracy": sum(self.counts[i][i] for i in range(len(self.classes))) / rows,
            "macro_f1": sum(of_class["f_score"] for of_class in per_class.values())
            / len(self.classes),
            "classes": list(self.classes),
            "confusion_matrix": self.counts,
            "per_class": per_class,
            "notes": notes,
        }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
