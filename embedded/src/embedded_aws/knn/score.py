"""Scores of a model on the test channel.

Source: SageMaker developer guide, "Metrics Computed by the k-NN Algorithm"; the names of the
classifier's are those that SageMaker's log prints.
"""

import numpy as np

from embedded_aws.knn.rows import Vector


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
        """Accuracy, and the unweighted mean of the classes' F1."""
        total = sum(self.pairs.values())
        hits = sum(n for (a, p), n in self.pairs.items() if a == p)
        return [("accuracy", hits / total), ("macro_f_1.000", self.macro_f1())]

    def macro_f1(self) -> np.float32:
        """F1 of a class is 2·TP / (actual + predicted); in single precision, as SageMaker's.

        Classes are the integers from 0 to the largest label. For one that is neither met nor
        predicted F1 is 0/0, and the mean is not a number: so SageMaker's log has it for
        labels that begin at 1 (aws/amazon-sagemaker-examples,
        k_nearest_neighbors_covtype.ipynb, 2021-06-07). Labels that aren't such integers are
        classes as they are.
        """
        classes = sorted({label for pair in self.pairs for label in pair})
        counted = all(c >= 0 and c == int(c) for c in classes)
        if counted and len(classes) < classes[-1] + 1:
            return np.float32(np.nan)
        hits = np.array([self.pairs.get((c, c), 0) for c in classes], np.float32)
        place = {c: number for number, c in enumerate(classes)}
        met = np.zeros(len(classes), np.float32)
        for (actual, predicted), n in self.pairs.items():
            met[place[actual]] += n
            met[place[predicted]] += n
        return np.float32(np.mean(2 * hits / met))


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
