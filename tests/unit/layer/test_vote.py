"""The vote of neighbours against scikit-learn's, its ties, and what endpoints answer."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from pipeline.algorithm import parse_answer, vote


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("k", [1, 2, 5, 12])
def test_shares_of_the_vote_are_scikit_learns_probabilities(weights, k):
    rng = np.random.default_rng(k)
    training, labels = rng.normal(size=(200, 3)), rng.integers(0, 4, 200)
    # Some rows are training rows themselves, and one of them is there twice.
    training[1] = training[0]
    asked = np.concatenate([rng.normal(size=(100, 3)), training[:20]])
    model = KNeighborsClassifier(k, weights=weights, algorithm="brute").fit(training, labels)
    distances, places = model.kneighbors(asked)
    expected = model.predict_proba(asked)
    for row, probabilities in enumerate(expected):
        near = labels[places[row]].astype(float).tolist()
        # As an endpoint answers: squared.
        winner, shares = vote(near, (distances[row] ** 2).tolist(), weights)
        found = [shares.get(label, 0.0) for label in range(4)]
        assert found == pytest.approx(probabilities.tolist())
        assert found[winner] == pytest.approx(max(found))


@pytest.mark.parametrize(
    ("labels", "distances", "weights", "winner"),
    [
        ([2.0, 0.0], [1.0, 4.0], "uniform", 2),
        ([2.0, 0.0, 0.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0], "uniform", 2),
        ([1.0, 0.0, 0.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0], "uniform", 0),
        # A half and a half, against one.
        ([1.0, 0.0, 0.0], [1.0, 4.0, 4.0], "distance", 1),
        # A third three times over makes one as well, but for rounding.
        ([1.0, 0.0, 0.0, 0.0], [1.0, 9.0, 9.0, 9.0], "distance", 1),
        ([0.0, 1.0, 1.0], [0.0, 0.0, 0.0], "distance", 1),
        ([1.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1e-9, 1e-9], "distance", 1),
    ],
)
def test_a_tie_goes_to_the_class_of_the_nearest_neighbour_among_those_that_tie(
    labels, distances, weights, winner
):
    assert vote(labels, distances, weights)[0] == winner


def test_only_neighbours_at_no_distance_vote_if_there_are_any():
    assert vote([0.0, 1.0, 1.0], [0.0, 1e-12, 1e-12], "distance") == (0, {0: 1.0})
    # faiss may give a square a little below 0.
    assert vote([0.0, 1.0], [-1e-9, 0.5], "distance") == (0, {0: 1.0})


neighbors = st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1e36)), min_size=1, max_size=50)


@given(neighbors, st.sampled_from(["uniform", "distance"]))
def test_shares_sum_to_one_and_the_winner_has_the_highest(found, weights):
    found.sort(key=lambda each: each[1])
    labels, distances = zip(*found, strict=True)
    winner, shares = vote(labels, distances, weights)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[winner] == pytest.approx(max(shares.values()))
    assert set(shares) <= set(labels)
    assert min(shares.values()) > 0


def test_answers_are_read_with_their_neighbours_or_of_an_earlier_release_with_the_label_alone():
    answer = {
        "predictions": [
            {"predicted_label": 0.0, "distances": [3.1, 3.9], "labels": [0.0, 1.0]},
            {"predicted_label": 2.0},
        ]
    }
    full, label = parse_answer(json.dumps(answer).encode())
    assert full == ([0.0, 1.0], [3.1, 3.9])
    assert vote(*label, "uniform") == vote(*label, "distance") == (2, {2: 1.0})
