"""Metrics of held-out rows against scikit-learn and SciPy, and the batches that are asked."""

import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from pipeline.algorithm import vote
from validate.held_out import HeldOut
from validate.live import new_rows
from validate.metrics import Validation, scores, sign_test, smoothed, wilson

NAMES = ["a", "b", "c", "d"]

Row = tuple[int, list[int]]
"""A true class, and the classes of the neighbours, the nearest first."""


def validated(rows: Sequence[Row], names: Sequence[str] = NAMES, **trained: int) -> dict[str, Any]:
    """Metrics of rows whose neighbours vote with equal weights."""
    validation = Validation(names, trained or dict.fromkeys(names, 5))
    for true, neighbors in rows:
        validation.add(true, *vote(neighbors, [1.0] * len(neighbors), "uniform"), len(neighbors))
    return validation.metrics()


def predicted(pairs: Sequence[tuple[int, int]], names: Sequence[str] = NAMES) -> dict[str, Any]:
    """Metrics of pairs of a true and a predicted class."""
    return validated([(true, [guess]) for true, guess in pairs], names)


def shares(rows: Sequence[Row], classes: int) -> np.ndarray:
    """Each class's share of the vote on each row."""
    return np.array([np.bincount(near, minlength=classes) / len(near) for _, near in rows])


labels = st.integers(0, 3)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=60))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label")
def test_metrics_of_predictions_are_those_of_scikit_learn(pairs):
    true, guessed = map(np.array, zip(*pairs, strict=True))
    metrics = predicted(pairs)
    seen = sorted({*true.tolist(), *guessed.tolist()})
    assert metrics["classes"] == [NAMES[label] for label in seen]
    assert metrics["confusion_matrix"] == confusion_matrix(true, guessed, labels=seen).tolist()
    expected = {
        "rows": len(pairs),
        "accuracy": accuracy_score(true, guessed),
        "balanced_accuracy": balanced_accuracy_score(true, guessed),
        "macro_f1": f1_score(true, guessed, average="macro", zero_division=0),
        # scikit-learn divides by zero where there is but one class.
        "kappa": cohen_kappa_score(true, guessed) if len(seen) > 1 else 0,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    columns = precision_recall_fscore_support(true, guessed, labels=seen, zero_division=0)
    names = ("precision", "recall", "f_score", "support")
    for index, of_class in enumerate(metrics["per_class"].values()):
        found = [of_class[name] for name in names]
        assert found == pytest.approx([column[index] for column in columns])


@given(st.data(), st.integers(2, 4), st.integers(1, 7))
def test_metrics_of_votes_are_those_of_scikit_learn(data, classes, k):
    label = st.integers(0, classes - 1)
    row = st.tuples(label, st.lists(label, min_size=k, max_size=k))
    rows = data.draw(st.lists(row, min_size=1, max_size=40))
    metrics = validated(rows, NAMES[:classes])
    true, votes = [each for each, _ in rows], shares(rows, classes)
    probabilities = np.array([[smoothed(share, k, classes) for share in row] for row in votes])
    every = list(range(classes))
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert metrics["log_loss"] == pytest.approx(log_loss(true, probabilities, labels=every))
    given_shares = votes[:, 1] if classes == 2 else votes
    brier = brier_score_loss(true, given_shares, labels=every)
    assert metrics["brier"] == pytest.approx(brier)


def expected_interval(successes: int, rows: int) -> Any:
    """The 95 % interval of a share by statsmodels, None of no rows."""
    if not rows:
        return None
    low, high = proportion_confint(successes, rows, method="wilson")
    return pytest.approx([float(low), float(high)], abs=1e-12)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=60))
def test_scores_of_some_rows_are_those_of_all_metrics(pairs):
    metrics = predicted(pairs)
    found = scores(*zip(*pairs, strict=True))
    assert found == {name: pytest.approx(metrics[name]) for name in ("accuracy", "macro_f1")}


prints = st.lists(st.integers(0, 40).map(lambda n: n * 2**58), max_size=40)


@given(prints.filter(bool), st.lists(prints, max_size=4), st.integers(1, 50))
def test_rows_are_new_whose_fingerprint_no_training_row_has(held_out, trained, most):
    chunks = [np.array(each, np.uint64) for each in trained]
    found = new_rows(np.array(held_out, np.uint64), chunks, most)
    known = {each for some in trained for each in some}
    new = [place for place, each in enumerate(held_out) if each not in known]
    assert found == sorted(sorted(new, key=held_out.__getitem__)[:most])


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=60))
def test_intervals_of_accuracy_precision_and_recall_are_those_of_statsmodels(pairs):
    metrics, counts = predicted(pairs), np.array(predicted(pairs)["confusion_matrix"])
    right = counts.diagonal()
    expected = expected_interval(int(right.sum()), len(pairs))
    assert metrics["intervals"] == {"accuracy": expected}
    rows, guesses = counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist()
    for place, of_class in enumerate(metrics["per_class"].values()):
        of_guesses = expected_interval(int(right[place]), guesses[place])
        assert of_class["precision_interval"] == of_guesses
        assert of_class["recall_interval"] == expected_interval(int(right[place]), rows[place])


@pytest.mark.parametrize(
    ("successes", "rows"), [(0, 1), (1, 1), (0, 50), (50, 50), (35, 38), (1, 1_000_000)]
)
def test_the_interval_of_a_share_is_that_of_statsmodels_and_within_0_and_1(successes, rows):
    found = wilson(successes, rows)
    assert found == expected_interval(successes, rows)
    assert 0 <= found[0] < found[1] <= 1


def test_predictions_are_counted_by_their_share_of_the_vote_the_border_included():
    # Ten neighbours, of which five, seven, nine or all are of the class that wins.
    rows = [(0, [0] * of_winner + [1] * (10 - of_winner)) for of_winner in (5, 7, 9, 10)]
    rows += [(1, near) for _, near in rows[1:]]
    # Their shares are of votes by distance, of which none adds up as it is written.
    validation = Validation(NAMES[:2], dict.fromkeys(NAMES[:2], 5))
    for true, near in rows:
        validation.add(true, *vote(near, [0.49] * 10, "distance"), 10)
    assert validation.metrics()["by_confidence"] == [
        {"at_least": 0.5, "rows": 7, "right": 4},
        {"at_least": 0.7, "rows": 6, "right": 3},
        {"at_least": 0.9, "rows": 4, "right": 2},
        {"at_least": 0.99, "rows": 2, "right": 1},
    ]


def test_top_2_accuracy_is_that_of_scikit_learn_and_there_from_three_classes_on():
    rng = np.random.default_rng(0)
    # Six neighbours: 3, 2 and 1 of three classes, so that there are no ties.
    rows = []
    for _ in range(200):
        first, second, third, _ = rng.permutation(4).tolist()
        rows.append((int(rng.integers(4)), [first] * 3 + [second] * 2 + [third]))
    top_2 = top_k_accuracy_score([true for true, _ in rows], shares(rows, 4), k=2, labels=range(4))
    assert validated(rows)["top_2_accuracy"] == pytest.approx(top_2)
    assert "top_2_accuracy" not in validated([(0, [0]), (1, [1])], ["a", "b"])


def test_no_vote_at_all_costs_a_finite_log_loss():
    assert validated([(1, [0] * 9)], ["a", "b"])["log_loss"] == pytest.approx(np.log(20))


@pytest.mark.parametrize(
    ("shape", "rows"), [([0.5, 0.5], 20), ([0.8, 0.2], 40), ([0.6, 0.3, 0.1], 60), ([0.25] * 4, 30)]
)
def test_kappa_is_by_chance_as_often_as_among_permutations(shape, rows):
    rng = np.random.default_rng(1)
    names = NAMES[: len(shape)]
    true, guessed = (rng.choice(len(shape), rows, p=shape) for _ in range(2))
    guessed = np.where(rng.random(rows) < 0.25, true, guessed)
    metrics = predicted(list(zip(true.tolist(), guessed.tolist(), strict=True)), names)
    right = (true == guessed).sum()
    orders = rng.permuted(np.tile(guessed, (20_000, 1)), axis=1)
    as_good = np.mean((orders == true).sum(axis=1) >= right)
    assert metrics["kappa_p_value"] == pytest.approx(as_good, abs=0.02)


@pytest.mark.parametrize("pairs", [[(0, 0)] * 5, [(0, 1)] * 5, [(0, 0)] * 5 + [(1, 0)]])
def test_predictions_of_one_class_only_are_no_better_than_chance(pairs):
    assert predicted(pairs, ["a", "b"])["kappa_p_value"] >= 0.5


@pytest.mark.parametrize(
    ("wins", "losses"), [(0, 0), (0, 4), (3, 3), (5, 20), (480, 520), (490, 700), (9_000, 9_100)]
)
def test_the_sign_test_is_scipys(wins, losses):
    expected = binomtest(wins, wins + losses, alternative="less").pvalue if wins + losses else 1
    assert sign_test(wins, losses) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("wins", "losses"), [(0, 4), (5, 20), (480, 520)])
def test_of_two_models_the_sign_test_is_mcnemars_one_sided(wins, losses):
    two_sided = mcnemar([[0, wins], [losses, 0]], exact=True).pvalue
    assert sign_test(wins, losses) == pytest.approx(two_sided / 2)


def test_the_baseline_always_predicts_the_class_with_the_most_training_rows():
    # Of the held-out rows "b" has more.
    rows: list[Row] = [(0, [0])] * 3 + [(1, [1])] * 4 + [(1, [0])] * 2
    baseline = validated(rows, ["a", "b"], a=50, b=49)["baseline"]
    assert (baseline["class"], baseline["accuracy"]) == ("a", 3 / 9)
    expected = f1_score([0] * 3 + [1] * 6, [0] * 9, average="macro", zero_division=0)
    assert baseline["macro_f1"] == pytest.approx(expected)
    # Only the model is right on 4 rows, only the baseline on none.
    assert baseline["p_value"] == 1


def test_classes_that_a_file_has_not_do_not_count_and_those_that_it_has_are_noted():
    names = ["a", "gone", "b", "unlucky"]
    metrics = validated([(0, [0]), (2, [2])], names, a=2, b=2, unlucky=2)
    assert (metrics["macro_f1"], metrics["classes"]) == (1.0, ["a", "b"])
    assert metrics["notes"] == [
        '"unlucky" has no row in the test and was never predicted: it is left out.'
    ]


def test_a_class_that_is_never_predicted_has_precision_0_and_a_note():
    metrics = predicted([(0, 0)] * 99 + [(1, 0)], ["negative", "positive"])
    assert metrics["accuracy"] == 0.99
    assert metrics["per_class"]["positive"]["f_score"] == 0
    assert metrics["notes"] == ['"positive" was never predicted: its precision is given as 0.']


def test_there_are_no_metrics_of_no_rows():
    with pytest.raises(ValueError, match="no rows"):
        predicted([])


def test_sums_of_very_many_rows_stay_exact():
    rows: list[Row] = [(0, [0, 0, 1]), (1, [0, 1, 1]), (1, [0, 0, 0])] * 4000
    metrics = validated(rows, ["a", "b"])
    few = validated(rows[:3], ["a", "b"])
    for name in ("log_loss", "brier", "accuracy"):
        assert metrics[name] == pytest.approx(few[name], rel=1e-12)


class Echo:
    """An endpoint each of whose answers has the first feature as the distance of a neighbour."""

    def __init__(self, *, too_few: bool = False) -> None:
        self.requests = 0
        self._too_few = too_few

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.requests += 1
        rows = request["Body"].decode().splitlines()[self._too_few :]
        found = [{"labels": [0.0], "distances": [float(row.partition(",")[0])]} for row in rows]
        return {"Body": io.BytesIO(json.dumps({"predictions": found}).encode())}


def asked(endpoint: Echo, rows: Sequence[Sequence[float]]) -> list[tuple[int, float]]:
    """The true class of each row, whose label is last, and what the endpoint answered."""
    held_out = HeldOut(None, endpoint, "runs", "run", "serverless", "", math.inf)
    return [(row[-1], near.distances[0]) for row, near in held_out.neighbors(rows, k=10_000)]


def test_held_out_rows_are_asked_without_their_label_in_requests_that_keep_their_order():
    rows = [(place, 0.5, place % 7) for place in range(100)]
    endpoint = Echo()
    assert asked(endpoint, rows) == [(place % 7, float(place)) for place in range(100)]
    assert endpoint.requests > 5


def test_an_answer_with_another_number_of_rows_is_an_error():
    with pytest.raises(ValueError, match="3 rows asked, 2 answered"):
        asked(Echo(too_few=True), [(1, 0), (2, 1), (3, 0)])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 1000))
def test_smoothed_shares_sum_to_one_and_are_possible(weights, k):
    total = sum(weights) or 1.0
    shares = (
        [weight / total for weight in weights]
        if sum(weights)
        else [1.0] + [0.0] * (len(weights) - 1)
    )
    probabilities = [smoothed(share, k, len(shares)) for share in shares]
    assert sum(probabilities) == pytest.approx(1)
    assert min(probabilities) > 0
