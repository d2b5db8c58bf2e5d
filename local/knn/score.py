"""Scores of a model on the test channel.

Source: SageMaker developer guide, "Metrics Computed by the k-NN Algorithm"; the names of the
classifier's are those that SageMaker's log prints.
"""

import numpy as np
import numpy.typing as npt

from local.knn.rows import Vector

Counts = npt.NDArray[np.int64]


class ClassificationTally:
    """Counts of (actual, predicted) label pairs, batch by batch."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[float, float], int] = {}

    def add(self, actual: Vector, predicted: Vector) -> None:
        """Count a batch of ``(n,)`` labels."""
        pairs, counts = np.unique(np.stack([actual, predicted]), axis=1, return_counts=True)
        for a, p, n in zip(pairs[0].tolist(), pairs[1].tolist(), counts.tolist(), strict=True):
            self.pairs[a, p] = self.pairs.get((a, p), 0) + n

    def scores(self) -> list[tuple[str, float | np.float32]]:
        """Accuracy, and the unweighted mean of the classes' F1; 0 for a class never met."""
        total = sum(self.pairs.values())
        hits = sum(n for (a, p), n in self.pairs.items() if a == p)
        return [("accuracy", hits / total), ("macro_f_1.000", self.macro_f1())]

    def macro_f1(self) -> np.float32:
        """F1 of a class is 2·TP / (actual + predicted); in single precision, as SageMaker's."""
        classes = sorted({label for pair in self.pairs for label in pair})
        f1: list[np.float32] = []
        for c in classes:
            hits = self.pairs.get((c, c), 0)
            actual = sum(n for (a, _), n in self.pairs.items() if a == c)
            predicted = sum(n for (_, p), n in self.pairs.items() if p == c)
            f1.append(np.float32(2 * hits) / np.float32(actual + predicted))
        return np.float32(np.mean(np.array(f1, np.float32)))


class RegressionTally:
    """Sum of squared errors, batch by batch."""

    def __init__(self) -> None:
        self.squares = 0.0
        self.count = 0

    def add(self, actual: Vector, predicted: Vector) -> None:
        """Add a batch of ``(n,)`` values."""
        error = actual.astype(np.float64) - predicted.astype(np.float64)
        self.squares += float(np.square(error).sum())
        self.count += len(actual)

    def scores(self) -> list[tuple[str, float | np.float32]]:
        """Mean squared error."""
        return [("mse", self.squares / self.count)]
