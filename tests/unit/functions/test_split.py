import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

import steps
from held_out_counts import held_out_counts
from pipeline.errors import Refusal
from pipeline.keys import number_key
from tests.unit.functions import splitting
from tests.unit.functions.preprocessing import prepared
from tests.unit.functions.splitting import group_keys, split

IRIS = prepared((Path(__file__).parents[3] / "data/iris.csv").read_bytes()).clean.splitlines()
LABELS = st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=4, max_size=80).filter(
    lambda labels: min(Counter(labels).values()) > 1 and len(set(labels)) > 1
)


def rows_of(labels: list[int], *, seed: int = 0) -> list[str]:
    """Rows of which each is another, with the labels given."""
    draw = random.Random(seed)
    return [f"{label},{number},{draw.random():.3f}" for number, label in enumerate(labels)]


def classes_of(rows: list[str]) -> Counter[int]:
    return Counter(int(row.partition(",")[0]) for row in rows)


# --- how many --------------------------------------------------------------------------------


def test_iris_is_split_into_112_and_38_rows():
    assert held_out_counts([50, 50, 50], 0.25, 10**6) == [13, 13, 12]


@given(st.lists(st.integers(2, 500), min_size=2, max_size=8), st.floats(0.01, 0.99))
def test_the_total_is_scikit_learns_and_every_class_is_on_both_sides(counts, fraction):
    held_out = held_out_counts(counts, fraction, 10**9)
    assert all(1 <= held < count for held, count in zip(held_out, counts, strict=True))
    # scikit-learn refuses to leave nothing to train on.
    assume(math.ceil(sum(counts) * fraction) < sum(counts))
    _, test = train_test_split(range(sum(counts)), test_size=fraction)
    assert abs(sum(held_out) - len(test)) <= len(counts)


def test_a_class_without_rows_has_none_to_hold_out():
    assert held_out_counts([10, 0, 10], 0.25, 10**6) == [3, 0, 2]


def test_of_a_large_file_only_so_many_rows_are_held_out_in_the_classes_shares():
    assert held_out_counts([600_000, 300_000, 100_000], 0.25, 1000) == [600, 300, 100]


# --- which -----------------------------------------------------------------------------------


def test_the_split_is_exact_for_each_class_and_keeps_order_and_text():
    result = split(IRIS)
    assert classes_of(result.test) == {0: 13, 1: 13, 2: 12}
    assert sorted(result.train + result.test) == sorted(IRIS)
    places = [IRIS.index(row) for row in result.test if IRIS.count(row) == 1]
    assert places == sorted(places)


@pytest.mark.parametrize("drawn_at_once", [0, 1 << 28], ids=["by the parts", "at once"])
@pytest.mark.parametrize(
    "counts",
    [[178, 182, 177, 183, 181], [60, 4000], [20_000, 2, 900], [300] * 20],
    ids=["digits", "few and many", "a class of two", "20 classes"],
)
def test_the_split_is_exact_for_each_class_of_any_size(counts, drawn_at_once, monkeypatch):
    monkeypatch.setattr(steps, "DRAWN_AT_ONCE", drawn_at_once)
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    random.Random(0).shuffle(labels)
    for seed, fraction in enumerate([0.25, 0.01, 0.9]):
        result = split(
            rows_of(labels), classes=len(counts), parts=3, seed=seed, test_fraction=fraction
        )
        held_out = held_out_counts(counts, fraction, 10**9)
        assert classes_of(result.test) == dict(enumerate(held_out))


@settings(max_examples=40, deadline=None)
@given(LABELS, st.integers(1, 5), st.integers(5, 300))
def test_a_row_has_its_side_however_the_file_is_cut(labels, parts, chunk):
    rows = rows_of(labels)
    whole = split(rows)
    cut = split(rows, parts=parts, chunk=chunk)
    assert (cut.train, cut.test, cut.summary) == (whole.train, whole.test, whole.summary)


@settings(max_examples=20, deadline=None)
@given(LABELS, st.integers(1, 5))
def test_of_very_many_rows_the_parts_draw_the_numbers_and_the_split_is_the_same(labels, parts):
    rows = rows_of(labels)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(steps, "DRAWN_AT_ONCE", 0)
        by_parts = split(rows, parts=parts)
    assert replace(by_parts, passes=0) == split(rows)


def test_the_same_seed_gives_the_same_split_and_another_another():
    assert split(IRIS, seed=1).test == split(IRIS, seed=1).test != split(IRIS, seed=2).test


def test_every_row_is_as_likely_as_any_other_to_be_held_out():
    rows = rows_of([0, 1] * 10)
    times = Counter(row for seed in range(1000) for row in split(rows, seed=seed).test)
    for row in rows:
        share = {"0": 0.3, "1": 0.2}[row[0]]
        assert abs(times[row] - 1000 * share) < 5 * math.sqrt(1000 * share * (1 - share))


# --- duplicates ------------------------------------------------------------------------------


def test_held_out_rows_that_are_in_the_training_rows_too_are_counted():
    rows = ["0,1,1"] * 8 + ["1,2,2"] * 8 + rows_of([0, 1] * 4)
    result = split(rows)
    seen = set(result.train)
    assert result.summary["duplicates"] == {
        "held_out_rows_in_training": sum(row in seen for row in result.test),
        "is_exact": True,
    }


def test_wide_rows_that_differ_in_where_a_one_stands_are_no_duplicates():
    columns = 600
    rows = [
        f"{one % 2}," + ",".join("01"[place == one] for place in range(columns))
        for one in range(columns)
    ]
    found = split(rows, classes=2).summary["duplicates"]
    assert found == {"held_out_rows_in_training": 0, "is_exact": True}


def test_of_many_rows_a_sample_tells_about_how_many_are_duplicates(monkeypatch):
    import duplicates

    monkeypatch.setattr(duplicates, "MAX_ROWS", 5_000)
    rows = [f"{n % 2},{n // 4},{n // 4}" for n in range(40_000)]
    result = split(rows, classes=2)
    seen = set(result.train)
    expected = sum(row in seen for row in result.test)
    found = result.summary["duplicates"]
    assert not found["is_exact"]
    assert found["held_out_rows_in_training"] == pytest.approx(expected, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(LABELS, st.integers(1, 4))
def test_equal_rows_stay_on_one_side_when_the_schema_asks(labels, parts):
    rows = [f"{label},{number % 5},1" for number, label in enumerate(labels)]
    try:
        result = split(rows, parts=parts, duplicates="same_side")
    except Refusal:
        return
    assert not set(result.train) & set(result.test)
    assert sorted(result.train + result.test) == sorted(rows)
    assert split(rows, duplicates="same_side").test == result.test


def test_rows_without_equals_are_held_out_exactly_though_equals_would_stay_together():
    result = split(rows_of([0] * 40 + [1] * 60), duplicates="same_side")
    assert classes_of(result.test) == {0: 10, 1: 15}


def test_a_class_of_equal_rows_is_trained_on_though_it_can_not_be_tested():
    rows = ["0,1,1"] * 2 + rows_of([1] * 60 + [2] * 60)
    classes = split(rows, duplicates="same_side").summary["classes"]
    assert classes["class 0"] == {"train": 2, "test": 0}


@pytest.mark.parametrize("seed", range(4))
def test_a_class_of_two_different_rows_is_on_both_sides_however_often_each_comes(seed):
    rows = ["0,1,1"] * 4 + ["0,2,2"] * 4 + rows_of([1] * 60)
    classes = split(rows, classes=2, duplicates="same_side", seed=seed).summary["classes"]
    assert classes["class 0"] == {"train": 4, "test": 4}


def test_equal_rows_are_not_held_out_if_less_than_half_of_a_class_is_left_then():
    rows = ["0,1,1"] * 9 + ["0,2,2"] + rows_of([1] * 60)
    for seed in range(8):
        classes = split(rows, classes=2, duplicates="same_side", seed=seed).summary["classes"]
        assert classes["class 0"]["train"] >= 9


def test_rows_of_which_none_can_be_held_out_are_refused_for_what_the_split_goes_by():
    with pytest.raises(Refusal) as refused:
        split(["0,1,1"] * 2 + ["1,2,2"] * 2, classes=2, duplicates="same_side")
    assert refused.value.code == "TooFewDifferentRows"
    assert '"duplicates"' in refused.value.remedy


# --- groups ----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(LABELS, st.integers(3, 12), st.integers(1, 4))
def test_rows_of_one_group_stay_on_one_side(labels, groups, parts):
    rows = rows_of(labels)
    of_rows = [number % groups for number in range(len(rows))]
    try:
        result = split(rows, keys=group_keys(of_rows), parts=parts, group="who")
    except Refusal as refusal:
        assert refusal.code == "TooFewGroups"
        return
    side = {}
    held_out = set(result.test)
    for row, group in zip(rows, of_rows, strict=True):
        assert side.setdefault(group, row in held_out) == (row in held_out)
    assert split(rows, keys=group_keys(of_rows), group="who").test == result.test


def test_groups_are_chosen_so_that_each_class_is_held_out_in_about_its_share():
    # Patients with one diagnosis each, as many rows as they happen to have.
    draw = random.Random(0)
    patients = [(n, n % 3, draw.randint(1, 9)) for n in range(300)]
    pairs = [(patient, label) for patient, label, rows in patients for _ in range(rows)]
    rows = rows_of([label for _, label in pairs])
    result = split(rows, keys=group_keys([patient for patient, _ in pairs]), group="patient")
    every = classes_of(rows)
    for label, count in classes_of(result.test).items():
        assert count / every[label] == pytest.approx(0.25, abs=0.02)


def split_of_groups(groups: list[dict[int, int]]) -> dict[str, dict[str, int]]:
    """The rows of each class on either side, of groups that are given by their rows by class."""
    pairs = [
        (group, label)
        for group, classes in enumerate(groups)
        for label, rows in classes.items()
        for _ in range(rows)
    ]
    rows = rows_of([label for _, label in pairs])
    keys = group_keys([group for group, _ in pairs])
    return split(rows, keys=keys, group="who").summary["classes"]


def test_a_group_that_goes_to_the_other_side_for_one_class_takes_no_other_classs_last_one():
    groups = [{0: 2, 1: 3}, {2: 1, 0: 1}, {1: 1, 2: 1}, {0: 3, 1: 1}]
    for sides in split_of_groups(groups).values():
        assert sides["train"]
        assert sides["test"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 2), st.sampled_from([1, 2, 8]), min_size=1, max_size=2),
        min_size=2,
        max_size=7,
    )
)
def test_every_class_has_rows_to_train_on_whatever_groups_it_is_in(groups):
    try:
        classes = split_of_groups(groups)
    except Refusal as refusal:
        assert refusal.code == "TooFewGroups"
        return
    assert all(sides["train"] for sides in classes.values())


def test_a_single_group_cannot_be_split():
    with pytest.raises(Refusal) as refused:
        split(rows_of([0, 1] * 5), keys=group_keys([1] * 10), group="who")
    assert refused.value.code == "TooFewGroups"


# --- time ------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(LABELS, st.integers(1, 5), st.sampled_from([1, 3, 1000]))
def test_the_last_rows_by_time_are_held_out_exactly(labels, parts, times):
    rows = rows_of(labels)
    draw = random.Random(len(rows))
    keys = [draw.randrange(times) << 40 for _ in rows]
    try:
        result = split(rows, keys=keys, parts=parts, time="at")
    except Refusal as refusal:
        assert refusal.code == "OneClassToTrainOn"
        return
    order = sorted(range(len(rows)), key=lambda number: (keys[number], number))
    first = len(rows) - -(-len(rows) // 4)
    assert result.train == [rows[number] for number in sorted(order[:first])]
    assert result.test == [rows[number] for number in sorted(order[first:])]


def test_other_rows_than_the_last_by_time_are_never_taken_for_a_split(monkeypatch):
    proceed = steps.proceed

    def one_too_many(task, state, partials):
        after = proceed(task, state, partials)
        cuts = tuple(replace(cut, key=cut.key - 1) for cut in after.cuts)
        return replace(after, cuts=cuts)

    monkeypatch.setattr(splitting, "proceed", one_too_many)
    with pytest.raises(AssertionError, match="4 rows to hold out, 5 held out"):
        split(rows_of([0, 1] * 8), keys=range(16), time="at", classes=2)


def test_a_class_that_comes_up_only_at_the_end_may_be_in_the_test_alone():
    rows = rows_of([0, 1] * 6 + [2] * 4)
    result = split(rows, keys=range(16), time="at")
    assert result.summary["classes"]["class 2"] == {"train": 0, "test": 4}


def test_training_rows_of_one_class_are_refused():
    with pytest.raises(Refusal) as refused:
        split(rows_of([0] * 12 + [1] * 4), keys=range(16), time="at", classes=2)
    assert refused.value.code == "OneClassToTrainOn"


# --- passes ----------------------------------------------------------------------------------

AT_MOST_4 = {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("asked", "features", "passes"),
    [
        ({}, 2, {0}),
        ({"group": "who"}, 2, {1}),
        ({"duplicates": "same_side"}, 2, AT_MOST_4),
        ({"time": "at"}, 2, AT_MOST_4),
        ({"standardisation": "zscore"}, 2, {1}),
        ({"missing": "mean"}, 2, {1}),
        ({"missing": "median"}, 2, {5}),
        ({"missing": "median", "standardisation": "zscore"}, 32, {5}),
        ({"missing": "median"}, 33, {6}),
        ({"missing": "median"}, 256, {6}),
        ({"missing": "median"}, 1024, {7}),
        ({"time": "at", "missing": "median", "standardisation": "minmax"}, 2, {6, 7, 8, 9}),
    ],
)
def test_what_a_schema_asks_for_takes_as_many_passes_as_the_documentation_says(
    asked, features, passes
):
    draw = random.Random(0)
    rows = [
        f"{n % 2}," + ",".join(f"{draw.gauss(0, 5):.6f}" for _ in range(features))
        for n in range(40)
    ]
    keys = (
        [number_key(1.7e9 + 7 * n) for n in range(40)] if {"time", "group"} & set(asked) else None
    )
    assert split(rows, keys=keys, classes=2, **asked).passes in passes


# --- enough rows -----------------------------------------------------------------------------


def test_fewer_training_rows_than_neighbours_are_refused_with_what_to_do():
    rows = rows_of([0, 1] * 4)
    assert len(split(rows, neighbours=6, classes=2).train) == 6
    with pytest.raises(Refusal) as refused:
        split(rows, neighbours=7, classes=2)
    assert refused.value.code == "FewerRowsThanK"
    assert "6 rows to train on, fewer than the 7 neighbours" in refused.value.message
    assert "lower K" in refused.value.remedy
