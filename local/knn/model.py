"""A trained model: an index over the sampled rows, their labels, and how to predict with them."""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from local.knn.errors import ClientError
from local.knn.hyperparameters import Hyperparameters
from local.knn.rows import Matrix, Vector


@dataclass(frozen=True)
class Neighbours:
    """Predictions of n rows with what they rest on.

    Attributes
    ----------
        predicted: ``(n,) float32``, the labels predicted.
        distances: ``(n, k) float32``, ascending; squared Euclidean, as faiss computes them.
        labels: ``(n, k) float32``, of the neighbours in that order.
    """

    predicted: Vector
    distances: Matrix
    labels: Matrix


@dataclass(frozen=True)
class Model:
    """An index of ``(m, d) float32`` rows and their ``(m,) float32`` labels."""

    hyperparameters: Hyperparameters
    index: Any
    labels: Vector

    @property
    def feature_dim(self) -> int:
        """Number of features of a row."""
        return int(self.index.d)

    def predict(self, features: Matrix) -> Neighbours:
        """Find the k nearest rows of each of ``(n, d) float32`` features, and predict from them."""
        distances, ids = self.index.search(
            np.ascontiguousarray(features, np.float32), self.hyperparameters.k
        )
        labels = self.labels[ids]
        if self.hyperparameters.predictor_type == "classifier":
            predicted = majority(labels)
        else:
            predicted = labels.mean(axis=1, dtype=np.float32)
        return Neighbours(predicted, distances, labels)


def build_model(hyperparameters: Hyperparameters, features: Matrix, labels: Vector) -> Model:
    """Index the sampled rows.

    Raises
    ------
        ClientError: there are fewer rows than k.
    """
    if len(features) < hyperparameters.k:
        raise ClientError(
            f"The train channel gave {len(features)} rows, fewer than k ({hyperparameters.k})"
        )
    index = faiss.IndexFlatL2(features.shape[1])
    index.add(np.ascontiguousarray(features))
    return Model(hyperparameters, index, np.ascontiguousarray(labels))


def majority(labels: Matrix) -> Vector:
    """The most frequent label of each row of ``(n, k)`` labels, given nearest first.

    Between labels that are equally frequent the one whose nearest neighbour is nearest wins
    (AWS documents no rule; scikit-learn takes the smallest label).
    """
    k = labels.shape[1]
    if k == 1:
        return labels[:, 0]
    votes: npt.NDArray[np.intp] = np.zeros(labels.shape, np.intp)
    for column in range(k):
        votes += labels == labels[:, column : column + 1]
    # argmax gives the first of equals, which is the nearest.
    return labels[np.arange(len(labels)), votes.argmax(axis=1)]
