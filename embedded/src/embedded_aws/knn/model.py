"""A trained model: an index over the sampled rows, their labels, and how to predict with them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import faiss
import numpy as np

from embedded_aws.knn.errors import ClientError
from embedded_aws.knn.hyperparameters import Hyperparameters, check_reduction_target
from embedded_aws.knn.index import (
    TREE_DIM,
    TREE_PAIRS,
    build_index,
    indexed_dim,
    search,
    search_tree,
    tree_of,
)
from embedded_aws.knn.reduction import SEED, Reduction
from embedded_aws.knn.rows import Matrix, Vector

BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Neighbours:
    """Predictions of n rows with what they rest on.

    Attributes
    ----------
        predicted: ``(n,) float32``, the labels predicted.
        distances: ``(n, k) float32``, ascending, so the nearest comes first, as the developer
            guide says for every metric ("sorted from smallest to largest"). L2: squared, as
            faiss computes them. INNER_PRODUCT: the product with its sign changed. COSINE: 1 - the
            cosine. All between the vectors that are in the index, that is to say after a
            dimension reduction.
        labels: ``(n, k) float32``, of the neighbours in that order.
    """

    predicted: Vector
    distances: Matrix
    labels: Matrix


@dataclass(frozen=True)
class Model:
    """What is needed to predict.

    Attributes
    ----------
        feature_dim: number of features of a row.
        reduction: how to reduce a row before it is looked up, if at all.
        normalize: whether to scale vectors to length 1 (COSINE).
        index: of faiss, over m vectors.
        labels: ``(m,) float32``.
    """

    k: int
    predictor_type: str
    feature_dim: int
    reduction: Reduction | None
    normalize: bool
    index: Any
    labels: Vector

    def predict(self, features: Matrix) -> Neighbours:
        """Find the k nearest rows of each of ``(n, feature_dim)``, and predict from them.

        Raises DataError: a distance is too large for a 32-bit float.
        """
        queries = to_vectors(features, self.reduction, self.index.d, self.normalize)
        distances, ids = self._search(queries)
        if self.normalize:
            distances = np.clip(1 - distances, 0, 2)
        elif self.index.metric_type == faiss.METRIC_INNER_PRODUCT:
            distances = -distances
        labels = self.labels[ids]
        if self.predictor_type == "classifier":
            predicted = majority(labels)
        else:
            predicted = labels.mean(axis=1, dtype=np.float64).astype(np.float32)
        return Neighbours(predicted, distances, labels)

    def _search(self, queries: Matrix) -> tuple[Matrix, np.ndarray[Any, np.dtype[np.intp]]]:
        is_flat = isinstance(self.index, faiss.IndexFlat)
        pairs = len(queries) * self.index.ntotal
        if is_flat and pairs >= TREE_PAIRS and self._tree is not None:
            return search_tree(*self._tree, queries, self.k)
        return search(self.index, queries, self.k)

    @cached_property
    def _tree(self) -> tuple[Any, Matrix] | None:
        """A tree of the vectors, and the vectors, if it serves: not by cosines, nor if wide."""
        if self.index.metric_type != faiss.METRIC_L2 or self.index.d > TREE_DIM:
            return None
        vectors = self.index.reconstruct_n(0, self.index.ntotal)
        return tree_of(vectors), vectors


def build_model(parameters: Hyperparameters, features: Matrix, labels: Vector) -> Model:
    """Reduce and index the ``(m, d)`` sampled rows.

    Raises ClientError: there are fewer rows than k or than an index needs, or the reduction's
    target isn't below the number of features.
    """
    rows, feature_dim = features.shape
    if rows < parameters.k:
        raise ClientError(f"The train channel gave {rows} rows, fewer than k ({parameters.k})")
    check_reduction_target(parameters, feature_dim)
    reduction = None
    if parameters.dimension_reduction_type and parameters.dimension_reduction_target:
        target = indexed_dim(parameters, parameters.dimension_reduction_target)
        reduction = Reduction(parameters.dimension_reduction_type, SEED, feature_dim, target)
    normalize = parameters.index_metric == "COSINE"
    dim = indexed_dim(parameters, reduction.target_dim if reduction else feature_dim)
    index = build_index(parameters, to_vectors(features, reduction, dim, normalize))
    return Model(
        k=parameters.k,
        predictor_type=parameters.predictor_type,
        feature_dim=feature_dim,
        reduction=reduction,
        normalize=normalize,
        index=index,
        labels=labels,
    )


def to_vectors(features: Matrix, reduction: Reduction | None, dim: int, normalize: bool) -> Matrix:
    """Rows as they are indexed and looked up: reduced, padded with zeros to ``dim``, scaled."""
    rows = np.ascontiguousarray(features, np.float32)
    if reduction is None and not normalize and rows.shape[1] == dim:
        return rows
    vectors = np.zeros((len(rows), dim), np.float32)
    for at in range(0, len(rows), BLOCK_ROWS):
        block = rows[at : at + BLOCK_ROWS]
        if reduction is not None:
            block = reduction(block)
        if normalize:
            # A row of zeros has no direction: it stays as it is, at a right angle to all others.
            lengths = np.linalg.norm(block.astype(np.float64), axis=1, keepdims=True)
            block = (block / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        vectors[at : at + BLOCK_ROWS, : block.shape[1]] = block
    return vectors


def majority(labels: Matrix) -> Vector:
    """The most frequent label of each row of ``(n, k)`` labels, given nearest first.

    Between labels that are equally frequent the one whose nearest neighbour is nearest wins
    (AWS documents no rule; scikit-learn takes the smallest label).
    """
    if labels.shape[1] == 1:
        return labels[:, 0]
    # Equal labels of a row side by side, each run of them counted.
    order = np.argsort(labels, axis=1, kind="stable")
    ordered = np.take_along_axis(labels, order, axis=1)
    starts = np.ones(labels.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    run = np.cumsum(starts.ravel()) - 1
    votes = np.empty(labels.shape, np.intp)
    np.put_along_axis(votes, order, np.bincount(run)[run].reshape(labels.shape), axis=1)
    # argmax gives the first of equals, which is the nearest.
    return labels[np.arange(len(labels)), votes.argmax(axis=1)]
