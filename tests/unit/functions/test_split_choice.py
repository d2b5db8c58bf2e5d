"""How columns become numbers, and which distance, k and weights are chosen for them."""

import json
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from pipeline.schema import Role
from pipeline.settings import Settings
from pipeline.transform import Encoding
from split import choose as choosing
from split import maps
from split.choose import KS, METRICS, WEIGHTS, Choice, choose, votes
from split.maps import MAPS
from tests.unit.functions.splitting import Split, split

SCALERS = {"zscore": StandardScaler(), "minmax": MinMaxScaler()}


def rows_of(values: np.ndarray, labels: Sequence[object]) -> list[str]:
    """Rows of a file: the label, then numbers; a missing number is an empty text."""
    texts = np.where(np.isnan(values), "", values.astype(str))
    return [",".join([str(label), *row]) for label, row in zip(labels, texts, strict=True)]


def values_of(rows: Sequence[str]) -> np.ndarray:
    fields = [row.split(",")[1:] for row in rows]
    return np.array([[float(text or "nan") for text in row] for row in fields])


def trained_on(rows: Sequence[str], result: Split) -> list[str]:
    held_out = set(result.held_out)
    return [row for row in rows if row not in held_out]


def chosen_for(
    values: np.ndarray, labels: np.ndarray, order: np.ndarray | None = None, **asked: Any
) -> Choice:
    """What is chosen for training rows of numbers."""
    encodings = [Encoding(f"x{n}", Role.NUMBER, None) for n in range(values.shape[1])]
    choice, _ = choose(encodings, values, labels, Settings(**asked), order)
    return choice


def two_classes(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """A column that tells two classes apart, mostly; the classes; more random numbers."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    return draw.normal(size=rows) + 3 * labels, labels, draw


@pytest.fixture
def quick(monkeypatch):
    """For what doesn't depend on how well maps are learned."""
    monkeypatch.setattr(maps, "_TREES", 10)
    monkeypatch.setattr(maps, "_FOLD_NCA_ITERATIONS", 3)


# --- columns as numbers ----------------------------------------------------------------------


@pytest.mark.parametrize("name", SCALERS)
def test_scaled_columns_are_scikit_learns_of_the_training_rows(name):
    draw = np.random.default_rng(0)
    rows = rows_of(draw.normal([5, -300, 0], [1e-3, 80, 7], (200, 3)), list("ab") * 100)
    result = split(rows, standardisation=name)
    scaler = SCALERS[name].fit(values_of(trained_on(rows, result)))
    for seen, written in ((result.train, trained_on(rows, result)), (result.test, result.held_out)):
        found = np.array(seen)[:, 1:]
        expected = scaler.transform(values_of(written))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strategy", ["median", "mean"])
@pytest.mark.parametrize("fraction", [0.25, 0.26])
def test_missing_numbers_become_what_scikit_learn_imputes(strategy, fraction):
    draw = np.random.default_rng(1)
    values = draw.exponential(10, (200, 4))
    values[draw.random(values.shape) < 0.2] = np.nan
    rows = rows_of(values, list("ab") * 100)
    result = split(rows, missing=strategy, test_fraction=fraction)
    imputer = SimpleImputer(strategy=strategy).fit(values_of(trained_on(rows, result)))
    fills = [encoding.fill for encoding in result.transform.encodings]
    np.testing.assert_allclose(fills, imputer.statistics_)
    np.testing.assert_allclose(
        result.tested[:, 1:], imputer.transform(values_of(result.held_out)), rtol=1e-6
    )


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", MAPS)
def test_rows_held_out_change_nothing_that_is_learned(name):
    value, labels, _ = two_classes(80)
    columns = {
        "label": Role.LABEL,
        **{"x": Role.NUMBER, "y": Role.NUMBER, "z": Role.BOOLEAN, "w": Role.CATEGORY},
    }

    def written(n: int, factor: float, colour: str) -> str:
        y = "" if n % 7 == 0 else n % 11 * factor
        return f"{'ab'[labels[n]]},{value[n] * factor},{y},{n % 3 % 2},{colour}"

    rows = [written(n, 1, "red" if n % 3 else "blue") for n in range(80)]
    found = split(rows, columns=columns, standardisation=name)
    spoiled = [
        written(n, -1e6, "mauve") if row in found.held_out else row for n, row in enumerate(rows)
    ]
    assert spoiled != rows
    again = split(spoiled, columns=columns, standardisation=name)
    assert (again.transform, again.choice) == (found.transform, found.choice)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1, 1e-12, 1e15 / 3])
def test_a_column_of_one_value_is_not_divided_by_its_spread(name, constant):
    value, labels, _ = two_classes(60)
    values = np.stack([value, np.full(60, constant)], axis=1)
    result = split(rows_of(values, labels), standardisation=name)
    assert np.isfinite(result.trained).all()
    assert result.choice.columns == pytest.approx({"x1": 1, "x2": 0})
    if name in SCALERS:
        assert result.transform.encodings[1].scales == (1.0,)
        assert np.ptp(result.trained[:, 2]) == 0


def encoded_as(values: Sequence[str], role: Role = Role.CATEGORY, **asked: Any) -> Encoding:
    """How a column is encoded; all values are in the training rows, each class in both halves."""
    columns = {"label": Role.LABEL, "value": role, "x": Role.NUMBER}
    rows = [f"a,{value},{n}" for n, value in enumerate(values)]
    rows += [f"b,{value},{n}" for n, value in enumerate(values)]
    # Of many rows that are the same on both sides, one of each class is held out.
    (encoding, _) = split(rows, columns=columns, max_test_rows=2, **asked).transform.encodings
    return encoding


def test_frequent_values_get_a_column_each_rare_ones_share_one_and_missing_ones_have_their_own():
    values = ["red"] * 200 + ["blue"] * 90 + ["mauve", "pink", "puce"] + [""] * 5
    assert encoded_as(values).values == ("red", "blue", None, "")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["red"] * 20 + ["blue"] * 10 + ["green"] * 8, ("red", "blue", "green")),
        (["red"] * 20 + ["blue"] * 10, ("red",)),
        (["red"] * 20 + [""] * 10, ("red",)),
        (["1.0"] * 20 + ["1"] * 20 + ["2.0"] * 10 + ["3"] * 9, ("1", "2", "3")),
        (["red"] * 20 + ["blue"] * 10 + ["NA", "?", "None"] * 3, ("red", "blue", "")),
    ],
)
def test_two_columns_of_a_category_that_say_the_same_are_one(values, expected):
    assert encoded_as(values).values == expected


def test_a_category_of_many_values_has_columns_for_the_twenty_that_come_most_often():
    values = [f"v{n:02}" for n in range(30) for _ in range(40 - n)]
    assert encoded_as(values).values == (*(f"v{n:02}" for n in range(20)), None)


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (["a"] * 50 + ["b"] * 30, ("a", "b")),
        (["a"] * 200 + ["b"] * 90 + [""] * 5 + ["rare", "rarer"], ("a", "b")),
        (["a"] * 50 + [""] * 30, ("a",)),
    ],
)
def test_the_frequent_values_of_a_category_are_kept_though_two_are_one_number(values, categories):
    assert encoded_as(values).categories == categories


def test_each_value_is_a_one_in_its_own_column():
    columns = {"label": Role.LABEL, "colour": Role.CATEGORY}
    colours = [*["red"] * 12, *["blue"] * 10, *["green"] * 8, *[""] * 6]
    rows = [f"{'ab'[n % 2]},{colour}" for n, colour in enumerate(colours)]
    result = split(rows, columns=columns)
    (encoding,) = result.transform.encodings
    for line, row in zip(result.tested, result.held_out, strict=True):
        assert line[1:].tolist() == [row.split(",")[1] == value for value in encoding.values]


@pytest.mark.parametrize(("values", "fill"), [("1110", 1.0), ("1000", 0.0)])
def test_a_missing_boolean_becomes_what_is_more_frequent(values, fill):
    assert encoded_as([*values * 10, "", "NA"], Role.BOOLEAN).fill == fill


def test_nothing_is_imputed_where_rows_with_missing_values_are_refused():
    values = ["red"] * 20 + ["blue"] * 10
    assert encoded_as(values, missing="refuse").fill is None
    assert encoded_as(["1"] * 20, Role.NUMBER, missing="refuse").fill is None


# --- what is chosen --------------------------------------------------------------------------


def test_one_column_that_matters_among_many_that_do_not_gets_the_importance_or_nca():
    value, labels, draw = two_classes(150)
    choice = chosen_for(np.column_stack([value, draw.normal(size=(150, 15))]), labels, k=9)
    assert choice.chosen.map in ("importance", "nca")
    assert choice.columns["x0"] > 0.5


def test_classes_that_only_a_slanted_direction_tells_apart_get_nca():
    draw = np.random.default_rng(2)
    labels = np.arange(150) % 2
    noise, seen = draw.normal(0, 5, 150), draw.normal(0, 0.3, 150) + labels
    choice = chosen_for(np.stack([noise + seen, noise - seen], axis=1), labels, k=5)
    assert choice.chosen.map == "nca"


def test_columns_of_different_units_are_scaled():
    value, labels, draw = two_classes(100)
    values = np.stack([value, draw.normal(0, 1e6, 100)], axis=1)
    assert chosen_for(values, labels, k=5).chosen.map != "none"


def test_of_maps_that_are_as_good_the_simplest_wins():
    draw = np.random.default_rng(0)
    labels = np.arange(120) % 3
    values = draw.normal(size=(120, 2)) + np.stack([labels, -labels], axis=1)
    choice = chosen_for(values, labels)
    assert choice.chosen.map == "none"
    score = {(each["map"], each["k"], each["weights"]): each["brier"] for each in choice.scores}
    means = {key: brier["mean"] for key, brier in score.items()}
    best = choice.best
    assert means[best.map, best.k, best.weights] == min(means.values())
    # Of its own map it is the best one, whatever is simpler there.
    own = min((key for key in means if key[0] == "none"), key=means.__getitem__)
    assert own == (choice.chosen.map, choice.chosen.k, choice.chosen.weights)


@pytest.mark.parametrize("difference", [0.9, 1.1])
def test_as_good_is_what_is_within_one_standard_error_row_by_row(difference):
    draw = np.random.default_rng(0)
    simple, better = (choosing.Candidate(name, "L2", "uniform", 5) for name in ("none", "zscore"))
    losses, noise = draw.random(100), draw.normal(size=100)
    noise = (noise - noise.mean()) / noise.std() / 100
    # 100 rows whose differences spread by 0.01: the standard error is 0.001.
    worse = losses + noise + difference * 0.001
    results = {simple: [np.stack([worse, worse])], better: [np.stack([losses, losses])]}
    best, chosen = choosing._best_and_simplest(results)
    assert best == better
    assert chosen == (simple if difference < 1 else better)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "fixed",
    [{"k": 7}, {"weights": "distance"}, {"standardisation": "minmax"}, {"metric": "L2"}],
    ids=str,
)
def test_what_is_set_is_kept_and_the_rest_is_chosen(fixed):
    value, labels, draw = two_classes(100)
    choice = chosen_for(np.stack([value, draw.normal(size=100)], axis=1), labels, **fixed)
    open_to = {"map": set(MAPS), "metric": {"L2"}, "weights": set(WEIGHTS), "k": set(KS)}
    open_to |= {name.replace("standardisation", "map"): {value} for name, value in fixed.items()}
    assert choice.by == "cross-validation"
    for name, values in open_to.items():
        assert {score[name] for score in choice.scores} == values
        assert getattr(choice.chosen, name) in values


def test_if_all_is_set_nothing_is_cross_validated():
    value, labels, _ = two_classes(100)
    asked = {"standardisation": "minmax", "k": 4, "weights": "distance", "metric": "L2"}
    choice = chosen_for(value[:, None], labels, **asked)
    assert vars(choice.chosen) == {"map": "minmax", "k": 4, "weights": "distance", "metric": "L2"}
    assert (choice.by, choice.folds, choice.best, list(choice.scores)) == ("settings", 0, None, [])


def test_too_few_rows_for_two_folds_get_z_scores():
    choice = chosen_for(np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([0, 1]))
    assert (choice.by, choice.chosen.map, choice.chosen.k) == ("default", "zscore", 1)


@pytest.mark.usefixtures("quick")
def test_no_more_neighbours_vote_than_half_of_the_rows():
    value, labels, _ = two_classes(20)
    assert {score["k"] for score in chosen_for(value[:, None], labels).scores} == {1, 3, 5, 7, 9}


def metrics_of(choice: Choice) -> set[tuple[str, str, str]]:
    return {(s["map"], s["metric"], s["weights"]) for s in choice.scores}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("columns", "competes"), [(7, False), (8, True)])
def test_the_cosine_competes_with_raw_values_of_eight_numbers_or_more(columns, competes):
    _, labels, draw = two_classes(40)
    choice = chosen_for(draw.normal(size=(40, columns)), labels, k=3)
    cosine = {each for each in metrics_of(choice) if each[1] == "COSINE"}
    assert cosine == ({("none", "COSINE", "uniform")} if competes else set())


def test_the_cosine_does_not_compete_where_a_column_is_a_category():
    columns = {"label": Role.LABEL, "colour": Role.CATEGORY}
    columns |= {f"x{n}": Role.NUMBER for n in range(9)}
    draw = np.random.default_rng(0)
    first = [f"{'ab'[n % 2]},{'rgb'[n % 3]}" for n in range(60)]
    rows = rows_of(draw.normal(size=(60, 9)), first)
    asked = {"standardisation": "none", "k": 3, "weights": "uniform", "metric": "auto"}
    assert split(rows, columns=columns, **asked).choice.by == "settings"


@pytest.mark.usefixtures("quick")
def test_the_cosine_that_is_set_goes_with_any_map_and_never_weighs_votes():
    _, labels, draw = two_classes(40)
    choice = chosen_for(draw.normal(size=(40, 3)), labels, k=3, metric="COSINE")
    assert metrics_of(choice) == set(product(MAPS, ["COSINE"], ["uniform"]))


def test_directions_that_tell_classes_apart_get_the_cosine():
    draw = np.random.default_rng(0)
    labels = np.arange(300) % 3
    directions = draw.random((3, 12))[labels] + draw.normal(0, 0.15, (300, 12))
    values = directions * draw.lognormal(0, 1.5, (300, 1))
    assert chosen_for(values, labels, standardisation="none").chosen.metric == "COSINE"
    assert "COSINE" in METRICS


# --- how it is measured ----------------------------------------------------------------------


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("name", [*SCALERS, "none"])
def test_scores_are_scikit_learns_of_a_pipeline_in_the_same_folds(name, weights):
    value, labels, draw = two_classes(150, seed=4)
    values = np.stack([value, draw.normal(0, 4, 150)], axis=1)
    scores = chosen_for(values, labels, seed=9, weights=weights, standardisation=name).scores
    assert [score["k"] for score in scores] == list(KS)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=9).split(values, labels))
    for score in scores:
        model = KNeighborsClassifier(score["k"], weights=weights)
        model = make_pipeline(SCALERS[name], model) if name in SCALERS else model
        brier, accuracy = [], []
        for training, validation in folds:
            model.fit(values[training], labels[training])
            shares = model.predict_proba(values[validation])
            brier.append(brier_score_loss(labels[validation], shares[:, 1]))
            accuracy.append(model.score(values[validation], labels[validation]))
        for found, expected in ((score["brier"], brier), (score["accuracy"], accuracy)):
            assert found == pytest.approx({"mean": np.mean(expected), "std": np.std(expected)})


@pytest.mark.usefixtures("quick")
def test_the_file_of_the_choice_has_mean_and_spread_of_every_candidate():
    value, labels, draw = two_classes(60)
    choice = chosen_for(np.stack([value, draw.normal(size=60)], axis=1), labels)
    held = json.loads(json.dumps(choice.as_dict()))
    candidates = [(s["map"], s["metric"], s["weights"], s["k"]) for s in held["scores"]]
    assert candidates == list(product(MAPS, ["L2"], WEIGHTS, [k for k in KS if k <= 30]))
    for score in held["scores"]:
        assert set(score["brier"]) == set(score["accuracy"]) == {"mean", "std"}
    assert {name: held[name] for name in ("map", "k", "weights", "metric")} == vars(choice.chosen)
    assert held["best"] == vars(choice.best)
    assert (held["rows"], held["folds"]) == (60, 5)
    assert sum(held["columns"].values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["importance", "nca"])
def test_random_labels_are_not_guessed_better_than_by_chance_as_each_map_is_fitted_in_its_fold(
    name,
):
    draw = np.random.default_rng(0)
    values, labels = draw.normal(size=(100, 40)), draw.permutation(np.arange(100) % 2)
    choice = chosen_for(values, labels, standardisation=name, k=5, metric="L2")
    assert max(score["accuracy"]["mean"] for score in choice.scores) < 0.6


@pytest.mark.usefixtures("quick")
def test_the_same_rows_and_seed_give_the_same_choice():
    value, labels, draw = two_classes(90)
    rows = rows_of(np.column_stack([value, draw.normal(size=(90, 3))]), labels)
    asked = {"standardisation": "auto", "weights": "auto"}

    def chosen(seed: int) -> tuple[Any, ...]:
        result = split(rows, seed=seed, **asked)
        return result.choice, result.transform

    assert chosen(3) == chosen(3) != chosen(4)


def test_of_more_rows_than_can_be_looked_at_each_class_has_its_share(monkeypatch):
    monkeypatch.setattr(choosing, "MAX_ROWS", 40)
    asked: list[np.ndarray] = []
    monkeypatch.setattr(choosing, "choose", lambda *given: asked.append(given[2]) or choose(*given))
    labels = ["a"] * 300 + ["b"] * 98 + ["c"] * 2
    split(rows_of(np.arange(400.0)[:, None], labels), test_fraction=0.5)
    (kept,) = asked
    assert np.bincount(kept).tolist() == [29, 10, 1]


# --- folds -----------------------------------------------------------------------------------


@pytest.fixture
def compared(monkeypatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each comparison in a fold: the rows it trains on, and those it asks about."""
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    nearest: Callable[..., Any] = choosing.nearest

    def spied(training: np.ndarray, asked: np.ndarray, *others: Any) -> Any:
        seen.append((training, asked))
        return nearest(training, asked, *others)

    monkeypatch.setattr(choosing, "nearest", spied)
    return seen


RAW = {"standardisation": "none", "weights": "uniform", "metric": "L2"}


def test_every_row_is_asked_about_once_and_each_class_in_its_share(compared):
    labels = np.array([0] * 50 + [1] * 25)
    chosen_for(np.arange(75.0)[:, None], labels, **RAW)
    assert len(compared) == 5
    assert sorted(np.concatenate([asked for _, asked in compared]).ravel()) == list(range(75))
    for training, asked in compared:
        assert not set(training.ravel()) & set(asked.ravel())
        assert np.bincount(labels[asked.ravel().astype(int)]).tolist() == [10, 5]


@pytest.mark.parametrize("asked", [{"group": "who"}, {"duplicates": "same_side"}], ids=str)
def test_rows_that_stay_together_in_the_split_stay_together_in_the_folds(asked, compared):
    columns = {"label": Role.LABEL, "x": Role.NUMBER, "who": Role.IDENTIFIER}
    rows = [f"{'ab'[n // 2 % 2]},{n % 40},{n % 40}" for n in range(160)]
    split(rows, columns=columns, **RAW, k="auto", **asked)
    assert len(compared) == 5
    for training, validated in compared:
        assert not set(training.ravel()) & set(validated.ravel())


def test_if_the_split_goes_by_time_folds_ask_about_later_times_only(compared):
    columns = {"label": Role.LABEL, "x": Role.NUMBER, "at": Role.DATE}
    days = np.random.default_rng(0).permutation(np.arange(120) // 4)
    rows = [f"{'ab'[n % 2]},{day},2024-03-{day + 1:02}" for n, day in enumerate(days)]
    split(rows, columns=columns, **RAW, k="auto", time="at")
    assert len(compared) == 5
    for training, asked in compared:
        assert training.max() < asked.min()


# --- votes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("k", [1, 2, 5, 12])
def test_shares_of_many_votes_are_scikit_learns_probabilities(weights, k):
    draw = np.random.default_rng(k)
    training, labels = draw.normal(size=(200, 3)), draw.integers(0, 4, 200)
    # Some rows are training rows themselves, and one of them is there twice.
    training[1] = training[0]
    asked = np.concatenate([draw.normal(size=(100, 3)), training[:20]])
    model = KNeighborsClassifier(k, weights=weights, algorithm="brute").fit(training, labels)
    distances, places = model.kneighbors(asked)
    found, winners = votes(labels[places], distances, weights, 4)
    expected = model.predict_proba(asked)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(found[np.arange(len(asked)), winners], expected.max(axis=1))


@pytest.mark.parametrize(
    ("labels", "distances", "weights", "winner"),
    [
        ([2, 0], [1.0, 2.0], "uniform", 2),
        ([2, 0, 0, 2, 1], [1.0, 2.0, 3.0, 4.0, 5.0], "uniform", 2),
        # A third three times over makes one as well, but for rounding.
        ([1, 0, 0, 0], [1.0, 3.0, 3.0, 3.0], "distance", 1),
    ],
)
def test_a_tie_of_votes_goes_to_the_class_of_the_nearest_neighbour(
    labels, distances, weights, winner
):
    asked = np.array([labels]), np.array([distances]), weights
    assert votes(*asked, classes=3)[1].tolist() == [winner]


def test_rows_close_together_far_from_zero_are_told_apart_by_32_bit_floats():
    draw = np.random.default_rng(0)
    offsets = np.array([500_000, 5_400_000])
    values = draw.normal(size=(200, 2)) * 150
    labels = (values[:, 0] > 0).astype(int)
    rows = [
        f"{'ab'[n]},{a:.1f},{b:.1f}" for n, (a, b) in zip(labels, values + offsets, strict=True)
    ]
    result = split(rows, **RAW)
    seen = result.trained[:, 1:]
    found = [each.offsets[0] for each in result.transform.encodings]
    np.testing.assert_allclose(found, offsets, atol=50)
    assert np.abs(seen).max() < 1_000
    # Near zero numbers are copied as they are.
    assert split(
        [f"{'ab'[n]},{a:.1f},{b:.1f}" for n, (a, b) in zip(labels, values, strict=True)], **RAW
    ).transform.is_plain


def test_a_thousand_neighbours_take_no_more_memory_than_their_labels():
    labels = np.random.default_rng(0).integers(0, 3, (1200, 999))
    shares, winners = votes(labels, np.ones(labels.shape), "uniform", 3)
    np.testing.assert_allclose(shares, np.array([(labels == n).mean(axis=1) for n in range(3)]).T)
    assert (shares[np.arange(1200), winners] == shares.max(axis=1)).all()


def test_no_more_neighbours_vote_than_rows_are_indexed():
    rows = [f"{'ab'[n % 2]},{n % 7}.5,{n % 11}" for n in range(200)]
    assert split(rows, k="auto", sample_size=4).choice.chosen.k <= 4
