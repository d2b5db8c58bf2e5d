"""The distance, the number of neighbours and their weights, chosen by cross-validation.

k-NN stands and falls with its distance, and any linear map before it makes another one. So five
maps compete: the numbers as they are, z-scores, a range from 0 to 1, z-scores weighted by
importance, and Neighbourhood Components Analysis (NCA) of these.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.settings import AUTO, Settings
from pipeline.transform import GRAIN, Encoding, Transform
from split.encode import Matrix, scaled

MAPS = ("none", "zscore", "minmax", "importance", "nca")
"""From the simplest on; ties go to the simpler one."""

KS = (1, 3, 5, 7, 9, 13, 19, 27, 41)
WEIGHTS = ("uniform", "distance")
METRICS = ("L2", "COSINE")

MAX_ROWS = 6_000
_MAX_CELLS = 3_000_000
FOLDS = 5

_COSINE_FEATURES = 8
"""Numbers from which on a direction may mean more than a distance: counts, spectra, embeddings."""

_TREES = 100
_TREE_ROWS = 3_000
_LEAST_WEIGHT = 1e-4
_COMPONENTS = 12
_NCA_ROWS, _NCA_ITERATIONS = 1_500, 40
_FOLD_NCA_ROWS, _FOLD_NCA_ITERATIONS = 800, 25

Labels = NDArray[np.intp]


@dataclass(frozen=True, order=True)
class Candidate:
    """A way to measure distances and to take the vote. The simplest sorts first."""

    map: str
    metric: str
    weights: str
    k: int


@dataclass(frozen=True)
class LinearMap:
    """Encoded columns minus offsets over scales, then a matrix (components, columns), if any."""

    offsets: NDArray[np.float64]
    scales: NDArray[np.float64]
    matrix: Matrix | None = None

    def __call__(self, encoded: Matrix) -> Matrix:
        """Return what the model sees of rows of encoded columns, (rows, columns)."""
        seen = (encoded - self.offsets) / self.scales
        return seen if self.matrix is None else np.asarray(seen @ self.matrix.T)


@dataclass(frozen=True)
class Choice:
    """What was chosen, by what, and how it and all others did.

    Parameters
    ----------
    by
        ``cross-validation`` or ``settings``; ``default`` if there are too few rows to validate.
    weights_of_columns
        The share that each column has in the distances.
    """

    chosen: Candidate
    by: str
    rows: int
    folds: int
    scores: list[dict[str, Any]] = field(default_factory=list)
    best: Candidate | None = None
    weights_of_columns: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the choice as ``choice.json`` holds it."""
        return {
            **vars(self.chosen),
            "by": self.by,
            "rows": self.rows,
            "folds": self.folds,
            "best": self.best and vars(self.best),
            "columns": self.weights_of_columns,
            "scores": self.scores,
        }


def choose(
    encodings: Sequence[Encoding],
    encoded: Matrix,
    labels: Labels,
    settings: Settings,
    order: NDArray[Any] | None = None,
) -> tuple[Choice, Transform]:
    """Return what to do with encoded training rows, and the transform that does it.

    Parameters
    ----------
    encoded
        A sample of the training rows, (rows, columns).
    order
        What the split goes by, if not by class: rows of one group have the same value, later rows
        a higher time. Folds respect it.
    """
    rows = min(MAX_ROWS, max(_MAX_CELLS // max(encoded.shape[1], 1), 200))
    if len(encoded) > rows:
        kept = np.sort(np.random.default_rng(settings.seed).permutation(len(encoded))[:rows])
        encoded, labels = encoded[kept], labels[kept]
        order = order if order is None else order[kept]
    candidates = _candidates(encodings, encoded, settings)
    folds = _folds(labels, settings, order) if len(candidates) > 1 else []
    if folds:
        chosen, best, scores = _validate(candidates, encoded, labels, folds, settings.seed)
        choice = Choice(chosen, "cross-validation", len(encoded), len(folds), scores, best)
    else:
        chosen = next((each for each in candidates if each.map == "zscore"), candidates[0])
        by = "settings" if len(candidates) == 1 else "default"
        choice = Choice(chosen, by, len(encoded), 0)
    linear = fit_maps([choice.chosen.map], encoded, labels, settings.seed)[choice.chosen.map]
    transform = Transform(
        scaled(encodings, linear.offsets.tolist(), linear.scales.tolist()),
        None if linear.matrix is None else tuple(map(tuple, linear.matrix.tolist())),
    )
    choice.weights_of_columns.update(_shares(encodings, encoded, linear))
    return choice, transform


def _candidates(
    encodings: Sequence[Encoding], encoded: Matrix, settings: Settings
) -> list[Candidate]:
    """Return what may be chosen, as far as the settings leave it open, the simplest first."""

    def open_to(setting: Any, choices: Sequence[Any]) -> Sequence[Any]:
        return choices if setting == AUTO else [setting]

    numbers = len(encodings) >= _COSINE_FEATURES and encoded.shape[1] == len(encodings)
    found = []
    for name, metric, weights, k in product(
        open_to(settings.standardisation, MAPS if encoded.shape[1] > 1 else MAPS[:1]),
        open_to(settings.metric, METRICS),
        open_to(settings.weights, WEIGHTS),
        open_to(settings.k, [k for k in KS if 2 * k <= len(encoded)] or [1]),
    ):
        # AWS doesn't document what distances of COSINE are, so none weighs a vote.
        is_odd = metric == "COSINE" and (weights == "distance" or name != "none" or not numbers)
        if not is_odd or settings.metric == "COSINE":
            found.append(Candidate(name, metric, weights, k))
    if settings.metric == "COSINE":
        found = [each for each in found if each.weights == "uniform"]
    return found


def _folds(
    labels: Labels, settings: Settings, order: NDArray[Any] | None
) -> list[tuple[Labels, Labels]]:
    """Return training and validation rows of each fold; none if there are too few rows."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

    most = int(np.bincount(labels).max(initial=0))
    if order is not None and settings.split_by == "time":
        ranked = np.argsort(order, kind="stable")
        if len(ranked) <= 2 * FOLDS:
            return []
        return [(ranked[a], ranked[b]) for a, b in TimeSeriesSplit(FOLDS).split(ranked)]
    with warnings.catch_warnings():
        # Classes with fewer rows than folds are in some of the folds only.
        warnings.simplefilter("ignore", UserWarning)
        if order is not None:
            count = min(FOLDS, most, len(np.unique(order)))
            split: Any = StratifiedGroupKFold(
                max(count, 2), shuffle=True, random_state=settings.seed
            )
            return list(split.split(labels, labels, order)) if count > 1 else []
        split = StratifiedKFold(min(FOLDS, max(most, 2)), shuffle=True, random_state=settings.seed)
        return list(split.split(labels, labels)) if most > 1 else []


def _validate(
    candidates: Sequence[Candidate],
    encoded: Matrix,
    labels: Labels,
    folds: Sequence[tuple[Labels, Labels]],
    seed: int,
) -> tuple[Candidate, Candidate, list[dict[str, Any]]]:
    """Return the candidate to choose, the best one, and the scores of all.

    They compete by the Brier score, which tells apart what accuracy calls equal. The simplest map
    is taken whose best candidate is within one standard error of the best of all: the standard
    error of the mean difference of the two, row by row.
    """
    classes = int(labels.max()) + 1
    found: dict[Candidate, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for training, validation in folds:
        names = list(dict.fromkeys(each.map for each in candidates))
        maps = fit_maps(names, encoded[training], labels[training], seed, in_fold=True)
        for name, metric in dict.fromkeys((each.map, each.metric) for each in candidates):
            of_map = [each for each in candidates if (each.map, each.metric) == (name, metric)]
            of_map = [each for each in of_map if each.k <= len(training)]
            k = max((each.k for each in of_map), default=0)
            if not k:
                continue
            near, distances = nearest(
                maps[name](encoded[training]), maps[name](encoded[validation]), k, metric
            )
            for each in of_map:
                shares, winners = votes(
                    labels[training][near[:, : each.k]],
                    distances[:, : each.k],
                    each.weights,
                    classes,
                )
                true = labels[validation]
                of_true = shares[np.arange(len(true)), true]
                brier = (shares**2).sum(axis=1) - 2 * of_true + 1
                found.setdefault(each, []).append((brier, (winners == true).astype(float)))
    complete = {each: scores for each, scores in found.items() if len(scores) == len(folds)}
    losses = {each: np.concatenate([b for b, _ in scores]) for each, scores in complete.items()}
    best = min(losses, key=lambda each: losses[each].mean())
    chosen = best
    for name in MAPS[: MAPS.index(best.map)]:
        of_map = [each for each in losses if each.map == name]
        if not of_map:
            continue
        rival = min(of_map, key=lambda each: losses[each].mean())
        difference = losses[rival] - losses[best]
        if difference.mean() <= difference.std(ddof=1) / np.sqrt(len(difference)):
            chosen = rival
            break
    return chosen, best, [_score(each, scores) for each, scores in complete.items()]


def _score(
    candidate: Candidate, scores: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]
) -> dict[str, Any]:
    """Return mean and spread over the folds of a candidate's accuracy and Brier score."""
    found: dict[str, Any] = dict(vars(candidate))
    for name, place in (("brier", 0), ("accuracy", 1)):
        means = np.array([fold[place].mean() for fold in scores])
        found[name] = {"mean": float(means.mean()), "std": float(means.std(ddof=1))}
    return found


def nearest(
    training: Matrix, asked: Matrix, k: int, metric: str
) -> tuple[Labels, NDArray[np.float64]]:
    """Return the places of each row's k nearest training rows, and how far these are."""
    from sklearn.neighbors import NearestNeighbors

    kind = "cosine" if metric == "COSINE" else "euclidean"
    index = NearestNeighbors(n_neighbors=k, algorithm="brute", metric=kind).fit(training)
    distances, places = index.kneighbors(asked)
    return places, distances


def votes(
    labels: Labels, distances: NDArray[np.float64], weights: str, classes: int
) -> tuple[NDArray[np.float64], Labels]:
    """Return each class's share of the vote on each row, and the winners.

    `pipeline.vote` takes the same vote on the answer of an endpoint.
    """
    rows = np.arange(len(labels))
    amounts = np.ones(labels.shape)
    if weights == "distance":
        exact = distances == 0
        with np.errstate(divide="ignore"):
            amounts = np.where(exact.any(axis=1)[:, None], exact, 1 / distances)
    shares = np.zeros((len(labels), classes))
    for place in range(labels.shape[1]):
        shares[rows, labels[:, place]] += amounts[:, place]
    highest = shares.max(axis=1) * (1 - 1e-9)
    winners = np.full(len(labels), -1)
    for place in range(labels.shape[1] - 1, -1, -1):
        ties = shares[rows, labels[:, place]] >= highest
        winners[ties] = labels[ties, place]
    return shares / shares.sum(axis=1, keepdims=True), winners


def fit_maps(
    names: Sequence[str], encoded: Matrix, labels: Labels, seed: int, *, in_fold: bool = False
) -> dict[str, LinearMap]:
    """Return maps by their names, fitted to training rows."""
    return dict(_fitted(names, encoded, labels, seed, in_fold))


def _fitted(
    names: Sequence[str], encoded: Matrix, labels: Labels, seed: int, in_fold: bool
) -> Iterator[tuple[str, LinearMap]]:
    mean, spread = encoded.mean(axis=0), _positive(encoded.std(axis=0))
    low = encoded.min(axis=0)
    if "none" in names:
        yield "none", LinearMap(np.zeros(len(mean)), np.ones(len(mean)))
    if "zscore" in names:
        yield "zscore", LinearMap(mean, spread)
    if "minmax" in names:
        yield "minmax", LinearMap(low, _positive(encoded.max(axis=0) - low))
    if "importance" in names or "nca" in names:
        scores = (encoded - mean) / spread
        weights = _importance(scores, labels, seed)
        if "importance" in names:
            yield "importance", LinearMap(mean, spread / weights)
        if "nca" in names:
            yield "nca", LinearMap(mean, spread, _nca(scores, labels, weights, seed, in_fold))


def _positive(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return spreads to divide by; a column of one value is only shifted."""
    return np.where(spread > 0, spread, 1.0)


def _importance(scores: Matrix, labels: Labels, seed: int) -> NDArray[np.float64]:
    """Return the weight of each column, up to 1: its importance to a forest of random trees."""
    from sklearn.ensemble import ExtraTreesClassifier

    some = np.random.default_rng(seed).permutation(len(scores))[:_TREE_ROWS]
    forest = ExtraTreesClassifier(_TREES, min_samples_leaf=2, random_state=seed)
    importance = forest.fit(scores[some], labels[some]).feature_importances_
    weights: NDArray[np.float64] = importance / max(importance.max(), 1e-12)
    return np.maximum(weights, _LEAST_WEIGHT)


def _nca(
    scores: Matrix, labels: Labels, weights: NDArray[np.float64], seed: int, in_fold: bool
) -> Matrix:
    """Return the matrix of a Neighbourhood Components Analysis that starts from weighted scores.

    Source: J. Goldberger, G. Hinton, S. Roweis, R. Salakhutdinov, "Neighbourhood Components
    Analysis" (NIPS 2004). Its scale means nothing to k-NN; entries are rounded (see `GRAIN`).
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
    if len(np.unique(labels[some])) < 2:
        return np.diag(weights)
    with warnings.catch_warnings():
        # It stops before it has converged, as it is asked to.
        warnings.simplefilter("ignore")
        matrix: Matrix = analysis.fit(scores[some] * weights, labels[some]).components_ * weights
    rounded: Matrix = np.rint(matrix / np.abs(matrix).max() / GRAIN) * GRAIN
    return rounded


def _shares(encodings: Sequence[Encoding], encoded: Matrix, linear: LinearMap) -> dict[str, float]:
    """Return each column's share in the distances: of the variance of what the model sees.

    Columns are taken as if they were independent of each other.
    """
    spread = encoded.std(axis=0) / linear.scales
    lengths = 1.0 if linear.matrix is None else np.linalg.norm(linear.matrix, axis=0)
    variances = iter(((spread * lengths) ** 2).tolist())
    shares = {each.name: sum(next(variances) for _ in each.offsets) for each in encodings}
    total = sum(shares.values()) or 1.0
    return {name: share / total for name, share in shares.items()}
