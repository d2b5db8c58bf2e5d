"""The distance, the number of neighbours and their weights, chosen by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Role, Schema
from pipeline.settings import AUTO, Settings
from pipeline.transform import Encoding, Transform
from split.encode import MAX_CATEGORIES, Encoder, Matrix, fit_encodings
from split.maps import MAPS, Labels, Numbers, fit_maps
from split.plan import Plan, State
from split.sample import training_rows

KS = (1, 3, 5, 7, 9, 13, 19, 27, 41)
WEIGHTS = ("uniform", "distance")
METRICS = ("L2", "COSINE")

MAX_ROWS = 6_000
_MAX_CELLS = 3_000_000
FOLDS = 5

_COSINE_FEATURES = 8
"""Numbers from which on a direction may mean more than a distance: counts, spectra, embeddings."""


@dataclass(frozen=True)
class Candidate:
    """A way to measure distances and to take the vote."""

    map: str
    metric: str
    weights: str
    k: int

    @property
    def distance(self) -> tuple[str, str]:
        """What it measures distances by."""
        return self.map, self.metric


@dataclass(frozen=True)
class Choice:
    """What was chosen, by what, and how it and all others did.

    `by` is ``cross-validation`` or ``settings``, or ``default`` if there are too few rows to
    validate. `columns` has the share of each feature in the distances.
    """

    chosen: Candidate
    by: str
    rows: int
    folds: int
    columns: Mapping[str, float]
    best: Candidate | None = None
    scores: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the choice as ``choice.json`` holds it."""
        fields = asdict(self)
        return {**fields.pop("chosen"), **fields}


def choose_by_sample(
    plan: Plan, state: State, sample: Sequence[Mapping[str, Any]]
) -> tuple[Choice, Transform]:
    """Return what was chosen, by the training rows in a sample of all rows.

    Raises a `Refusal` if no row of the sample is to train on.
    """
    schema, settings = plan.schema, plan.settings
    training = training_rows(plan, state, sample, _most_rows(schema))
    labels = np.concatenate([each.labels for each in training])
    rows = [each.rows for each in training]
    encodings = fit_encodings(schema, settings, rows)
    encoder = Encoder(schema, Transform(encodings))
    encoded = np.concatenate([encoder.encoded(each).T for each in rows])
    by_class = settings.split_by == "class"
    order = None if by_class else np.concatenate([plan.keys(each) for each in training])
    return choose(encodings, encoded, labels, settings, order)


def _most_rows(schema: Schema) -> int:
    """Return how many rows to learn from, so that it takes seconds and little memory."""
    roles = [schema.column(name).role for name in schema.features]
    width = sum(MAX_CATEGORIES if role is Role.CATEGORY else 1 for role in roles)
    return min(MAX_ROWS, max(_MAX_CELLS // width, 200))


def choose(
    encodings: Sequence[Encoding],
    encoded: Matrix,
    labels: Labels,
    settings: Settings,
    order: NDArray[Any] | None = None,
) -> tuple[Choice, Transform]:
    """Return what to do with encoded training rows, and the transform that does it.

    `encoded` is (rows, columns). Folds respect `order`, what the split goes by if not by class:
    rows of one group have the same value, later rows a higher time.
    """
    candidates = _candidates(encodings, encoded, settings)
    folds = _folds(labels, settings, order) if len(candidates) > 1 else []
    if folds:
        by = "cross-validation"
        results = _validate(candidates, encoded, labels, folds, settings.seed)
        best, chosen = _best_and_simplest(results)
    else:
        by = "settings" if len(candidates) == 1 else "default"
        results, best = {}, None
        usual = [each for each in candidates if each.map == "zscore"] or candidates
        chosen = min(usual, key=lambda each: abs(each.k - 5))
    linear = fit_maps([chosen.map], encoded, labels, settings.seed)[chosen.map]
    variances = linear.variances(encoded)
    variances /= variances.sum() or 1.0
    ends = np.cumsum([len(each.offsets) for each in encodings])
    learned = (np.split(each, ends[:-1]) for each in (linear.offsets, linear.scales, variances))
    scaled, shares = [], {}
    for each, offsets, scales, variance in zip(encodings, *learned, strict=True):
        own = {"offsets": tuple(offsets.tolist()), "scales": tuple(scales.tolist())}
        scaled.append(replace(each, **own))
        shares[each.name] = float(variance.sum())
    scores = [vars(each) | _score(of_folds) for each, of_folds in results.items()]
    matrix = None if linear.matrix is None else tuple(map(tuple, linear.matrix.tolist()))
    choice = Choice(chosen, by, len(encoded), len(folds), shares, best, scores)
    return choice, Transform(tuple(scaled), matrix)


def _candidates(
    encodings: Sequence[Encoding], encoded: Matrix, settings: Settings
) -> list[Candidate]:
    """Return what may be chosen, as far as the settings leave it open, the simplest first."""

    def open_to(setting: Any, choices: Sequence[Any]) -> Sequence[Any]:
        return choices if setting == AUTO else [setting]

    columns = encoded.shape[1]
    are_numbers = all(each.role is Role.NUMBER for each in encodings)
    has_directions = are_numbers and columns >= _COSINE_FEATURES
    indexed = len(encoded) if settings.sample_size == AUTO else int(settings.sample_size)
    found = []
    for name, metric, weights, k in product(
        open_to(settings.standardisation, MAPS if columns > 1 else MAPS[:1]),
        open_to(settings.metric, METRICS),
        open_to(settings.weights, WEIGHTS),
        open_to(settings.k, [k for k in KS if 2 * k <= len(encoded) and k <= indexed] or [1]),
    ):
        competes = metric == settings.metric or (name == "none" and has_directions)
        # AWS doesn't document what distances of COSINE are, so none weighs a vote.
        if metric == "L2" or (competes and weights == "uniform"):
            found.append(Candidate(name, metric, weights, k))
    return found


def _folds(
    labels: Labels, settings: Settings, order: NDArray[Any] | None
) -> list[tuple[Labels, Labels]]:
    """Return training and validation rows of each fold; none if there are too few rows."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

    if settings.split_by == "time" and order is not None:
        by_time = np.argsort(order, kind="stable")
        found = TimeSeriesSplit(FOLDS).split(by_time) if len(by_time) > 2 * FOLDS else []
        folds = [(by_time[training], by_time[validation]) for training, validation in found]
        # Rows of the time at which a validation begins are not known before it.
        folds = [(t[order[t] < order[v].min()], v) for t, v in folds]
        return [(t, v) for t, v in folds if len(t)]
    together = labels if order is None else np.unique(order)
    count = min(FOLDS, int(np.bincount(labels).max()), len(together))
    if count < 2:
        return []
    kind = StratifiedKFold if order is None else StratifiedGroupKFold
    with warnings.catch_warnings():
        # Classes with fewer rows than folds are in some of the folds only.
        warnings.simplefilter("ignore", UserWarning)
        split = kind(count, shuffle=True, random_state=settings.seed)
        return [(t, v) for t, v in split.split(labels, labels, order) if len(t) and len(v)]


Results = dict[Candidate, list[Numbers]]
"""Of each fold: its rows' Brier scores, and whether the vote was right, (2, rows)."""


def _validate(
    candidates: Sequence[Candidate],
    encoded: Matrix,
    labels: Labels,
    folds: Sequence[tuple[Labels, Labels]],
    seed: int,
) -> Results:
    results: Results = {each: [] for each in candidates}
    names = {each.map for each in candidates}
    most, classes = max(each.k for each in candidates), int(labels.max()) + 1
    for training, validation in folds:
        known, true = labels[training], labels[validation]
        maps = fit_maps(names, encoded[training], known, seed, in_fold=True)
        # Those of one distance stand side by side.
        for (name, metric), of_distance in groupby(candidates, key=lambda each: each.distance):
            seen = maps[name](encoded[training]), maps[name](encoded[validation])
            near, far = nearest(*seen, most, metric)
            for each in of_distance:
                voters = known[near[:, : each.k]]
                shares, winners = votes(voters, far[:, : each.k], each.weights, classes)
                of_true = shares[np.arange(len(true)), true]
                brier = ((shares**2).sum(axis=1) - 2 * of_true + 1) / (2 if classes == 2 else 1)
                results[each].append(np.stack([brier, winners == true]))
    return results


def _best_and_simplest(results: Results) -> tuple[Candidate, Candidate]:
    """Return the best candidate, and the best one of the simplest distance that is as good.

    They compete by the Brier score, which tells apart what accuracy calls equal. A distance is as
    good if its best candidate is within one standard error: that of the mean difference of the two,
    row by row.
    """
    losses = {each: np.concatenate(folds, axis=1)[0] for each, folds in results.items()}
    ranked = sorted(losses, key=lambda each: losses[each].mean())

    def is_as_good(rival: Candidate) -> bool:
        worse = losses[rival] - losses[ranked[0]]
        return bool(worse.mean() <= worse.std() / np.sqrt(len(worse)))

    # From the simplest on; the best is as good as itself.
    distances = dict.fromkeys(each.distance for each in results)
    rivals = (next(each for each in ranked if each.distance == one) for one in distances)
    return ranked[0], next(filter(is_as_good, rivals))


def _score(of_folds: Sequence[Numbers]) -> dict[str, Any]:
    """Return mean and spread over the folds of Brier score and accuracy."""
    means = np.array([fold.mean(axis=1) for fold in of_folds])
    spread = zip(("brier", "accuracy"), means.mean(axis=0), means.std(axis=0), strict=True)
    return {name: {"mean": float(mean), "std": float(std)} for name, mean, std in spread}


def nearest(training: Matrix, asked: Matrix, k: int, metric: str) -> tuple[Labels, Numbers]:
    """Return the places of each row's k nearest training rows, and how far these are.

    All training rows if they are fewer.
    """
    from sklearn.neighbors import NearestNeighbors

    kind = "cosine" if metric == "COSINE" else "euclidean"
    k = min(k, len(training))
    index = NearestNeighbors(n_neighbors=k, algorithm="brute", metric=kind).fit(training)
    distances, places = index.kneighbors(asked)
    return places, distances


def votes(labels: Labels, distances: Numbers, weights: str, classes: int) -> tuple[Numbers, Labels]:
    """Return the share of each class in the vote on each row, (rows, classes), and the winners.

    `pipeline.algorithm.vote` takes the same vote on the answer of an endpoint.

    `labels` and `distances` are those of its neighbours, the nearest first, (rows, neighbours).
    """
    amounts = np.ones(labels.shape)
    if weights == "distance":
        exact = distances == 0
        with np.errstate(divide="ignore"):
            amounts = np.where(exact.any(axis=1)[:, None], exact, 1 / distances)
    rows = np.arange(len(labels))
    shares = np.zeros((len(labels), classes))
    np.add.at(shares, (rows[:, None], labels), amounts)
    shares /= shares.sum(axis=1, keepdims=True)
    # Of each neighbour's class, the nearest first.
    theirs = np.take_along_axis(shares, labels, axis=1)
    ties = theirs >= theirs.max(axis=1, keepdims=True) * (1 - 1e-9)
    return shares, labels[rows, ties.argmax(axis=1)]
