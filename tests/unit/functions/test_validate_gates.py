"""Which models are held back, why, and what the refusal says."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors
from statsmodels.stats.proportion import proportions_ztest

from pipeline.algorithm import vote
from pipeline.errors import Refusal
from pipeline.settings import Settings
from validate.gates import CHANCE, check_gates, check_restored
from validate.metrics import Validation, proportion_test

METRICS: dict[str, Any] = {
    "rows": 40,
    "accuracy": 0.9,
    "macro_f1": 0.85,
    "kappa": 0.7,
    "kappa_p_value": 0.0,
    "baseline": {"class": "a", "accuracy": 0.6, "macro_f1": 0.4, "p_value": 1.0},
    "per_class": {
        "a": {"recall": 0.95, "support": 24},
        "b": {"recall": 0.75, "support": 16},
        "never held out": {"recall": 0.0, "support": 0},
    },
}
SPLIT = {
    "rows": {"train": 120, "test": 40},
    "classes": {"a": {"train": 72, "test": 24}, "b": {"train": 48, "test": 16}},
}
CHOICE = {
    "scores": [
        {"map": "none", "accuracy": {"mean": 0.71}},
        {"map": "none", "accuracy": {"mean": 0.73}},
        {"map": "zscore", "accuracy": {"mean": 0.98}},
    ]
}


def held_back(
    metrics: dict[str, Any] | None = None,
    settings: Settings | None = None,
    live_classes: tuple[str, ...] = (),
    choice: dict[str, Any] = CHOICE,
) -> Refusal | None:
    """Why a model is held back whose metrics differ from `METRICS` in some."""
    try:
        changed = deepcopy(METRICS) | (metrics or {})
        check_gates(changed, settings or Settings(), SPLIT, choice, live_classes)
    except Refusal as refusal:
        return refusal
    return None


def baseline(**changes: float) -> dict[str, Any]:
    return {"baseline": METRICS["baseline"] | changes}


@pytest.mark.parametrize(
    ("passes", "fails", "settings", "code", "says"),
    [
        (
            {"accuracy": 0.8},
            {"accuracy": 0.7999},
            {"minimum_accuracy": 0.8},
            "AccuracyTooLow",
            ["accuracy", "0.7999", "minimum_accuracy is 0.8"],
        ),
        (
            {"macro_f1": 0.8},
            {"macro_f1": 0.7999},
            {"minimum_macro_f1": 0.8},
            "MacroF1TooLow",
            ["macro F1", "0.7999", "minimum_macro_f1 is 0.8"],
        ),
        (
            {"per_class": {"b": {"recall": 0.5, "support": 4}}},
            {"per_class": {"b": {"recall": 0.49, "support": 4}}},
            {"minimum_recall": 0.5},
            "RecallTooLow",
            ["49.0 %", '"b"', "minimum_recall is 50.0 %"],
        ),
        (
            {"rows": 10},
            {"rows": 9},
            {},
            "TooFewTestRows",
            ["Only 9 rows", "minimum_test_rows is 10"],
        ),
        (
            {"macro_f1": 0.41},
            {"macro_f1": 0.4},
            {},
            "NotBetterThanBaseline",
            ["macro F1", "0.4000", 'always predicting "a"'],
        ),
        (
            {"accuracy": 0.5, **baseline(p_value=CHANCE)},
            {"accuracy": 0.5, **baseline(p_value=0.99 * CHANCE)},
            {},
            "NotBetterThanBaseline",
            ["accuracy", "0.5000", "0.6000", 'always predicting "a"'],
        ),
        (
            {"kappa_p_value": 0.99 * CHANCE},
            {"kappa_p_value": CHANCE},
            {},
            "NoBetterThanChance",
            ["90.0 %", "60.0 %", "p = 0.050", "below 0.05"],
        ),
    ],
)
def test_each_gate_passes_and_fails_at_its_border_and_names_itself_and_both_numbers(
    passes, fails, settings, code, says
):
    assert held_back(passes, Settings(**settings)) is None
    refusal = held_back(fails, Settings(**settings))
    assert refusal is not None
    assert refusal.code == code
    assert [text for text in says if text not in refusal.message] == []
    assert refusal.remedy


def test_a_class_that_the_live_model_knows_may_only_go_if_that_is_allowed():
    assert held_back(live_classes=("b", "a")) is None
    refusal = held_back(live_classes=("a", "gone", "b"))
    assert refusal is not None
    assert refusal.code == "LostClass"
    assert '1 of the 3 classes of the live model, such as "gone"' in refusal.message
    assert "--allow-changes" in refusal.remedy
    allowed = Settings(allow_changes=True)
    assert held_back(live_classes=("a", "gone", "b"), settings=allowed) is None


@pytest.mark.parametrize(
    ("share", "recall", "is_told"), [(0.9, 0.0, True), (0.9, 0.1, False), (0.6, 0.0, False)]
)
def test_a_model_that_finds_no_row_of_the_rare_classes_asks_for_more_of_them(
    share, recall, is_told
):
    always = baseline(accuracy=share)
    classes = {"a": {"recall": 1.0, "support": 9}, "b": {"recall": recall, "support": 1}}
    refusal = held_back({"macro_f1": 0.3, "per_class": classes, **always})
    assert refusal is not None
    assert ("Only 10.0 % of the held-out rows" in refusal.remedy) is is_told


def test_what_was_measured_is_said_and_nothing_else_is_advised():
    refusal = held_back({"kappa_p_value": 0.5})
    assert refusal is not None
    assert "at the best k: raw values 0.730, z-scores 0.980." in refusal.remedy
    untried = held_back({"kappa_p_value": 0.5}, choice={"scores": []})
    assert untried is not None
    assert "cross-validation" not in untried.remedy.lower()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        # Of the file's 160 rows 0.13 are 21 rows.
        (
            {"minimum_test_rows": 21, "test_fraction": 0.1},
            "210 rows or more, hold out more of them",
        ),
        ({"minimum_test_rows": 21, "test_fraction": 0.1}, "--set test_fraction=0.14"),
        ({"minimum_test_rows": 500}, "2,000 rows or more, or lower minimum_test_rows"),
        ({"minimum_test_rows": 21, "max_test_rows": 20}, "Raise max_test_rows, which is 20"),
    ],
)
def test_how_to_hold_out_more_rows_is_said_as_it_is_true(settings, says):
    refusal = held_back({"rows": 20}, Settings(**settings))
    assert refusal is not None
    assert says in refusal.remedy


# ------------------------------------------------------------------------------- noise


def trained(
    shape: list[float], held_out: int, seed: int, *, signal: float, k: int
) -> tuple[Refusal | None, dict[str, Any]]:
    """A k-NN of four columns, the first of which tells of the class by `signal`: is it held back?

    Returns the refusal, if any, and the metrics.
    """
    rng = np.random.default_rng(seed)
    rows = 4 * held_out
    labels = rng.choice(len(shape), rows, p=shape)
    features = rng.normal(size=(rows, 4))
    features[:, 0] += signal * labels
    training, test = slice(held_out, None), slice(held_out)
    index = NearestNeighbors(n_neighbors=k).fit(features[training])
    _, near = index.kneighbors(features[test])
    names = [f"class {place}" for place in range(len(shape))]
    counts = np.bincount(labels[training], minlength=len(shape)).tolist()
    validation = Validation(names, dict(zip(names, counts, strict=True)))
    for true, places in zip(labels[test].tolist(), near, strict=True):
        voters = labels[training][places].tolist()
        validation.add(true, *vote(voters, [1.0] * k, "uniform"), k)
    metrics = validation.metrics()
    try:
        check_gates(metrics, Settings(), SPLIT, CHOICE, ())
    except Refusal as refusal:
        return refusal, metrics
    return None, metrics


@pytest.mark.parametrize("k", [1, 9])
@pytest.mark.parametrize(
    "shape",
    [[0.5, 0.5], [0.9, 0.1], [0.7, 0.2, 0.1], [0.25] * 4, [0.6, 0.1, 0.1, 0.1, 0.1]],
    ids=str,
)
def test_noise_is_held_back_nearly_always(shape, k):
    refused = [
        trained(shape, held_out, seed, signal=0, k=k)[0] is not None
        for held_out, seeds in ((25, 60), (100, 60), (400, 20), (2000, 5))
        for seed in range(seeds)
    ]
    assert np.mean(refused) > 0.92


@pytest.mark.parametrize(
    ("shape", "signal", "k", "held_out"),
    [
        ([0.5, 0.5], 0.5, 19, 1000),
        ([0.6, 0.4], 1.0, 19, 300),
        ([0.7, 0.3], 1.4, 19, 300),
        ([0.6, 0.3, 0.1], 1.0, 19, 300),
    ],
    ids=str,
)
def test_an_honest_model_a_few_points_above_the_majority_goes_live(shape, signal, k, held_out):
    above = []
    for seed in range(10):
        refusal, metrics = trained(shape, held_out, seed, signal=signal, k=k)
        assert refusal is None
        above.append(metrics["accuracy"] - metrics["baseline"]["accuracy"])
    assert 0.02 < np.mean(above) < 0.12


def test_a_model_that_finds_a_rare_class_may_be_a_little_less_accurate_than_the_majority():
    """As one is that finds half of the rare rows, at the price of as many false alarms."""
    validation = Validation(["rare", "usual"], {"rare": 300, "usual": 2700})
    for true, guess, rows in ((0, 0, 50), (0, 1, 50), (1, 0, 55), (1, 1, 845)):
        for _ in range(rows):
            validation.add(true, guess, {guess: 1.0}, 1)
    metrics = validation.metrics()
    assert metrics["accuracy"] < metrics["baseline"]["accuracy"]
    check_gates(metrics, Settings(), SPLIT, CHOICE, ())


def live(**changes: Any) -> dict[str, Any]:
    """A live model that was asked about the same rows."""
    asked = {"run": "a-0", "rows": 40, "accuracy": 0.9, "this": {"accuracy": 0.75}}
    return {"live": asked | {"own": {"rows": 50, "accuracy": 0.9}} | changes}


def test_a_model_that_is_worse_than_the_live_one_by_more_than_chance_is_held_back():
    refusal = held_back(live(better=1, worse=7))
    assert refusal.code == "WorseThanLive"
    assert "75.0 % of the 40 held-out rows that neither was trained on" in refusal.message
    assert (
        "the live one on 90.0 %; 7 of them only the live one has right, 1 only this"
        in refusal.message
    )
    assert "--allow-changes" in refusal.remedy
    assert held_back(live(better=1, worse=7), Settings(allow_changes=True)) is None
    assert held_back(live(better=2, worse=7)) is None
    assert held_back(live(better=7, worse=1)) is None


def test_a_maximum_drop_takes_the_place_of_chance():
    lenient, strict = Settings(maximum_drop=0.15), Settings(maximum_drop=0.1499)
    for others in ({"better": 1, "worse": 7}, {"better": 4, "worse": 10}):
        assert held_back(live(**others), lenient) is None
        refusal = held_back(live(**others), strict)
        assert refusal.code == "WorseThanLive"
        assert "right on 75.0 % of the 40" in refusal.message
        assert "the live one on 90.0 %" in refusal.message
        assert "maximum_drop is 15.0 %" in refusal.message
    assert held_back(live(better=4, worse=10), Settings(maximum_drop=0)) is not None
    as_good = live(this={"accuracy": 0.9}, better=3, worse=3)
    assert held_back(as_good, Settings(maximum_drop=0)) is None
    allowed = Settings(maximum_drop=0, allow_changes=True)
    assert held_back(live(better=1, worse=7), allowed) is None


def test_a_maximum_drop_holds_for_models_that_share_no_rows_too():
    own = {"live": {"run": "a-0", "reason": "FewRows", "own": {"rows": 10, "accuracy": 1.0}}}
    assert held_back(own, Settings(maximum_drop=0.1)) is None
    assert held_back(own, Settings(maximum_drop=0.09)).code == "WorseThanLive"


def restored(before: dict[str, Any], **now: Any) -> Refusal | None:
    try:
        check_restored(METRICS | now, METRICS | before, "iris-1")
    except Refusal as refusal:
        return refusal
    return None


def test_a_model_that_is_deployed_again_must_be_as_good_as_it_was():
    assert restored({}) is None
    refusal = restored({"accuracy": 0.925})
    assert refusal.code == "NotAsBefore"
    assert "right on 92.50 % of its 40 held-out rows" in refusal.message
    assert "right on 90.00 % of 40" in refusal.message
    assert "retrain iris-1" in refusal.remedy
    assert restored({"rows": 41}).code == "NotAsBefore"
    # Better is no sign of the same model either.
    assert restored({"accuracy": 0.875}).code == "NotAsBefore"


def test_of_many_rows_one_in_a_thousand_may_differ():
    assert restored({"rows": 20_000, "accuracy": 0.9009}, rows=20_000) is None
    assert restored({"rows": 20_000, "accuracy": 0.9011}, rows=20_000) is not None


def test_no_gate_holds_back_what_passed_all_gates_before():
    assert restored({"macro_f1": 0.1, "kappa_p_value": 1.0}, macro_f1=0.1) is None


@pytest.mark.parametrize("reason", ["FewRows", "NoAnswer", "NoFingerprints"])
def test_models_that_share_no_rows_are_compared_each_on_its_own(reason):
    def own(rows: int, accuracy: float) -> dict[str, Any]:
        of = {"rows": rows, "accuracy": accuracy}
        return {"live": {"run": "a-0", "reason": reason, "own": of}}

    refusal = held_back(own(500, 1.0))
    assert refusal.code == "WorseThanLive"
    assert "that is 40 rows of this file, 500 of the earlier one" in refusal.message
    assert held_back(own(500, 0.92)) is None
    assert held_back(own(10, 1.0)) is None
    assert held_back({"live": {"run": "a-0", "reason": reason, "own": None}}) is None


def test_a_first_model_has_no_live_one_to_be_compared_with():
    assert held_back({"live": None}) is None


@pytest.mark.parametrize(("right", "rows"), [((30, 45), (40, 50)), ((5, 9), (9, 10))])
def test_proportions_are_tested_as_statsmodels_does(right, rows):
    shares = [a / b for a, b in zip(right, rows, strict=True)]
    _, expected = proportions_ztest(right, rows, alternative="smaller")
    assert proportion_test(shares[0], rows[0], shares[1], rows[1]) == pytest.approx(expected)
