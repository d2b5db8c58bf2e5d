"""The linear maps that compete to be the model's distance, fitted to training rows.

k-NN stands and falls with its distance, and any linear map before it makes another one: the
numbers as they are, z-scores, a range from 0 to 1, z-scores weighted by importance, and
Neighbourhood Components Analysis (NCA) of these.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.transform import GRAIN
from split.encode import Matrix

MAPS = ("none", "zscore", "minmax", "importance", "nca")
"""From the simplest on."""

_TREES = 100
_TREE_ROWS = 3_000
_LEAST_WEIGHT = 1e-4

_FAR = 30
"""Standard deviations from zero."""

_COMPONENTS = 12
_NCA_ROWS, _NCA_ITERATIONS = 1_500, 40
_FOLD_NCA_ROWS, _FOLD_NCA_ITERATIONS = 800, 25

Labels = NDArray[np.intp]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class LinearMap:
    """Encoded columns minus offsets over scales, then a matrix (components, columns), if any."""

    offsets: Numbers
    scales: Numbers
    matrix: Matrix | None = None

    def __call__(self, encoded: Matrix) -> Matrix:
        """Return what the model sees of rows of encoded columns, (rows, columns)."""
        seen = (encoded - self.offsets) / self.scales
        return seen if self.matrix is None else np.asarray(seen @ self.matrix.T)

    def variances(self, encoded: Matrix) -> Numbers:
        """Return what each column adds to the variance of what the model sees.

        Columns are taken as if they were independent of each other.
        """
        spread = _spread(encoded) / self.scales
        if self.matrix is not None:
            spread *= np.linalg.norm(self.matrix, axis=0)
        return spread**2


def fit_maps(
    names: Collection[str], encoded: Matrix, labels: Labels, seed: int, *, in_fold: bool = False
) -> dict[str, LinearMap]:
    """Return maps by their names, fitted to training rows, (rows, columns).

    Those of a fold are only compared: NCA learns them from fewer rows.
    """
    low, mean = encoded.min(axis=0), encoded.mean(axis=0)
    spread, reach = _spread(encoded), np.ptp(encoded, axis=0)
    # A column of one value is only shifted.
    spread[spread == 0] = 1
    reach[reach == 0] = 1
    # Far from zero, rows are too close together for k-NN, which computes with 32-bit floats. What
    # all rows are shifted by is nothing to their distances.
    shift = np.where(np.abs(mean) > _FAR * spread, np.rint(mean), 0)
    found = {
        "none": LinearMap(shift, np.ones_like(mean)),
        "zscore": LinearMap(mean, spread),
        "minmax": LinearMap(low, reach),
    }
    if "importance" in names or "nca" in names:
        scores = found["zscore"](encoded)
        weights = _importance(scores, labels, seed)
        found["importance"] = found["nca"] = LinearMap(mean, spread / weights)
        # Rows of one class have nothing that NCA could tell apart.
        if "nca" in names and len(np.unique(labels)) > 1:
            matrix = _nca(scores, labels, weights, seed, in_fold)
            found["nca"] = LinearMap(mean, spread, matrix)
    return {name: found[name] for name in names}


def _spread(encoded: Matrix) -> Numbers:
    """Return each column's standard deviation: 0 if all values are equal, however it is rounded."""
    return np.where(np.ptp(encoded, axis=0) > 0, encoded.std(axis=0), 0)


def _importance(scores: Matrix, labels: Labels, seed: int) -> Numbers:
    """Return the weight of each column, up to 1: its importance to a forest of random trees."""
    from sklearn.ensemble import ExtraTreesClassifier

    some = np.random.default_rng(seed).permutation(len(scores))[:_TREE_ROWS]
    # A tree of a thousand classes takes as long as ten of a hundred.
    classes = int(labels.max()) + 1
    trees = max(min(_TREES, _TREES * 100 // classes), 10)
    forest = ExtraTreesClassifier(trees, min_samples_leaf=2, random_state=seed)
    importance = forest.fit(scores[some], labels[some]).feature_importances_
    weights: Numbers = importance / max(importance.max(), 1e-12)
    return np.maximum(weights, _LEAST_WEIGHT)


def _nca(scores: Matrix, labels: Labels, weights: Numbers, seed: int, in_fold: bool) -> Matrix:
    """Return the matrix of a Neighbourhood Components Analysis that starts from weighted scores.

    Its scale means nothing to k-NN. Source: J. Goldberger, G. Hinton, S. Roweis, R. Salakhutdinov,
    "Neighbourhood Components Analysis" (NIPS 2004).
    """
    from sklearn.neighbors import NeighborhoodComponentsAnalysis

    rows, iterations = (
        (_FOLD_NCA_ROWS, _FOLD_NCA_ITERATIONS) if in_fold else (_NCA_ROWS, _NCA_ITERATIONS)
    )
    some = np.random.default_rng(seed).permutation(len(scores))[:rows]
    width = scores.shape[1]
    analysis = NeighborhoodComponentsAnalysis(
        n_components=min(width, _COMPONENTS, len(some)),
        init="identity" if width <= _COMPONENTS else "pca",
        max_iter=iterations,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # It stops before it has converged, as it is asked to.
        warnings.simplefilter("ignore")
        matrix: Matrix = analysis.fit(scores[some] * weights, labels[some]).components_ * weights
    rounded: Matrix = np.rint(matrix / np.abs(matrix).max() / GRAIN) * GRAIN
    return rounded
