"""The model against scikit-learn's brute force, on real and on random data.

Two things make equally right answers differ. Rows at equal distance: where the k-th and the next
nearest are as far away, either may be taken. And equal votes: scikit-learn takes the smallest
label, our model that of the nearest. So each query is compared by what is beyond doubt: the
distances, the labels of all rows that are nearer than the k-th, and the prediction where every
choice of rows at the k-th distance gives the same one.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import datasets
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from embedded_aws.knn.hyperparameters import Hyperparameters
from embedded_aws.knn.model import Model, build_model
from embedded_aws.knn.rows import Matrix, Vector

CLASSIFICATION = ("iris", "wine", "digits", "breast_cancer")


def load(name: str) -> tuple[Matrix, Vector, Matrix, Vector]:
    """Standardized features and labels to train on, and to ask: every fifth row."""
    data = getattr(datasets, f"load_{name}")()
    features = StandardScaler().fit_transform(data.data).astype(np.float32)
    labels = data.target.astype(np.float32)
    asked = np.arange(len(features)) % 5 == 0
    return features[~asked], labels[~asked], features[asked], labels[asked]


def model_of(features: Matrix, labels: Vector, k: int, predictor_type: str) -> Model:
    parameters = Hyperparameters(k=k, predictor_type=predictor_type, sample_size=100_000)
    return build_model(parameters, features, labels)


def squared_distances(asked: Matrix, features: Matrix) -> npt.NDArray[np.float64]:
    """Exact, in double precision."""
    q, x = asked.astype(np.float64), features.astype(np.float64)
    squares = np.square(q).sum(axis=1)[:, None] + np.square(x).sum(axis=1)[None]
    return np.asarray(np.maximum(squares - 2 * q @ x.T, 0))


def possible_votes(certain: Sequence[float], tied: Sequence[float], seats: int) -> set[float]:
    """The labels that may win, whichever of the tied rows are taken."""
    if len(tied) > 12:
        return {*certain, *tied}
    winners: set[float] = set()
    for taken in itertools.combinations(tied, seats):
        votes = Counter([*certain, *taken])
        winners |= {label for label, n in votes.items() if n == max(votes.values())}
    return winners


def compare(features: Matrix, labels: Vector, asked: Matrix, k: int) -> int:
    """Assert that the model answers as scikit-learn; return how many were beyond doubt."""
    found = model_of(features, labels, k, "classifier").predict(asked)
    reference = KNeighborsClassifier(k, algorithm="brute").fit(features, labels)
    predicted = reference.predict(asked)
    exact = squared_distances(asked, features)
    # faiss computes |q|² + |x|² - 2qx for batches: the error is relative to these, not to the
    # distance.
    scale = np.square(asked).sum(axis=1).max() + np.square(features).sum(axis=1).max()
    blur = float(scale) * 2e-6 + 1e-9
    assert np.allclose(found.distances, np.sort(exact, axis=1)[:, :k], atol=blur, rtol=1e-4)
    beyond_doubt = 0
    for row in range(len(asked)):
        order = np.argsort(exact[row], kind="stable")
        kth = exact[row][order[k - 1]]
        nearer = [i for i in order.tolist() if exact[row][i] < kth - 2 * blur]
        tied = [i for i in order.tolist() if abs(exact[row][i] - kth) <= 2 * blur]
        certain = labels[nearer].tolist()
        assert not Counter(certain) - Counter(found.labels[row].tolist())
        winners = possible_votes(certain, labels[tied].tolist(), k - len(nearer))
        assert found.predicted[row] in winners
        assert predicted[row] in winners
        if len(winners) == 1:
            beyond_doubt += 1
            assert found.predicted[row] == predicted[row]
    return beyond_doubt


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("name", CLASSIFICATION)
def test_a_classifier_answers_as_scikit_learns(name: str, k: int) -> None:
    features, labels, asked, _ = load(name)
    beyond_doubt = compare(features, labels, asked, k)
    # Ties are the exception, or the comparison would say little.
    assert beyond_doubt > 0.8 * len(asked)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_regressor_answers_as_scikit_learns(k: int) -> None:
    features, labels, asked, _ = load("diabetes")
    exact = np.sort(squared_distances(asked, features), axis=1)
    clear = exact[:, k] - exact[:, k - 1] > 1e-5
    ours = model_of(features, labels, k, "regressor").predict(asked).predicted
    theirs = KNeighborsRegressor(k, algorithm="brute").fit(features, labels).predict(asked)
    assert clear.mean() > 0.8
    assert np.allclose(ours[clear], theirs[clear], rtol=1e-6)


numbers = st.integers(-3, 3).map(float) | st.floats(-100, 100, width=32)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Matrix, Vector, Matrix, int]:
    """Rows with many ties among them, labels, queries and k."""
    n, d, q = draw(st.integers(1, 30)), draw(st.integers(1, 4)), draw(st.integers(1, 30))
    rows: Any = draw(arrays.arrays(np.float32, (n, d), elements=numbers))
    asked: Any = draw(arrays.arrays(np.float32, (q, d), elements=numbers))
    labels: Any = draw(arrays.arrays(np.float32, (n,), elements=st.integers(0, 3).map(float)))
    return rows, labels, asked, draw(st.integers(1, n))


@settings(max_examples=100)
@given(problems())
def test_any_classifier_answers_as_scikit_learns(
    problem: tuple[Matrix, Vector, Matrix, int],
) -> None:
    rows, labels, asked, k = problem
    compare(rows, labels, asked, k)


@settings(max_examples=50)
@given(problems())
def test_any_regressor_is_the_mean_of_its_neighbours(
    problem: tuple[Matrix, Vector, Matrix, int],
) -> None:
    rows, labels, asked, k = problem
    found = model_of(rows, labels, k, "regressor").predict(asked)
    assert np.allclose(found.predicted, found.labels.mean(axis=1), atol=1e-6)
    assert (np.diff(found.distances, axis=1) >= 0).all()
