import io
import json
import math
import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from embedded.tests.unit.knn.test_recordio import dense_records
from embedded_aws.knn.recordio import read_record_batches
from pipeline.algorithm import FLAT_ROWS, index_of, memory_mb, sizes_for
from pipeline.errors import Refusal
from pipeline.recordio import read_records
from pipeline.schema import Column, Role, Schema
from pipeline.settings import Settings
from pipeline.transform import Transform
from split import duplicates, sides
from split.plan import Plan
from split.sides import held_out_counts
from split.write import Records
from tests.unit.functions.splitting import Split, split

ROOT = Path(__file__).parents[3]
SDK = ROOT / ".venv-sdk-v2/bin/python"
IRIS = (ROOT / "data/iris.csv").read_text().splitlines()[1:]
IRIS_COLUMNS = dict.fromkeys("abcd", Role.NUMBER) | {"Species": Role.LABEL}
LABELS = st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=4, max_size=80).filter(
    lambda labels: min(Counter(labels).values()) > 1 and len(set(labels)) > 1
)


def rows_of(labels: Sequence[int], *, seed: int = 0) -> list[str]:
    """Rows of which each is another, with the labels given."""
    draw = random.Random(seed)
    return [f"class {n},{number},{draw.random():.3f}" for number, n in enumerate(labels)]


def beside(rows: Sequence[str], values: Sequence[object]) -> list[str]:
    """Rows with one more column."""
    return [f"{row},{value}" for row, value in zip(rows, values, strict=True)]


def row_of(label: int, features: str) -> tuple[float, ...]:
    """What SageMaker reads of a row."""
    return tuple(np.array([label, *features.split(",")], np.float32).tolist())


def labels_of(rows: Sequence[str]) -> Counter[str]:
    return Counter(row.partition(",")[0] for row in rows)


GROUPED = {"label": Role.LABEL, "n": Role.NUMBER, "x": Role.NUMBER, "who": Role.IDENTIFIER}
TIMED = {"label": Role.LABEL, "n": Role.NUMBER, "x": Role.NUMBER, "at": Role.DATE}


# --- records ---------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_records_are_read_back_exactly_and_are_those_that_the_sdk_writes(width, rows, seed):
    draw = np.random.default_rng(seed)
    bits = draw.integers(0, 2**32, (rows, width), dtype=np.uint32)
    # Neither infinite nor NaN: all bits of the exponent are not set.
    values = np.where(bits >> 23 & 0xFF == 0xFF, bits & 0x7FFFFF, bits).view(np.float32)
    labels = draw.integers(0, 1000, rows)
    names = tuple(f"x{n}" for n in range(width))
    columns = tuple(Column(name, Role.NUMBER, "") for name in names)
    writer = Records(Schema("", names, (), columns=columns), Transform.of_numbers(names))
    seen = np.column_stack([values, labels.astype(np.float32)])
    written = writer.of(seen, np.arange(rows)).tobytes()
    assert written == dense_records(values, labels.astype(np.float32))
    batches = list(read_record_batches(io.BytesIO(written), "train.pbr"))
    found = [np.concatenate(each) for each in zip(*batches, strict=True)]
    assert found[0].view(np.uint32).tolist() == values.view(np.uint32).tolist()
    assert found[1].tolist() == labels.tolist()
    again = np.array(list(read_records(io.BytesIO(written), width)), np.float32)
    assert again[:, :-1].tobytes() == values.tobytes()
    assert again[:, -1].tolist() == labels.tolist()


@pytest.mark.skipif(not SDK.exists(), reason="there is no .venv-sdk-v2: make .venv-sdk-v2/stamp")
def test_the_sagemaker_sdk_reads_the_records_of_a_split(tmp_path):
    result = split(IRIS, columns=IRIS_COLUMNS)
    (tmp_path / "train.pbr").write_bytes(result.records)
    program = (
        "import json, sys; from sagemaker.amazon.common import read_records;"
        "tensors = [(r.label['values'], r.features['values'])"
        " for r in read_records(open(sys.argv[1], 'rb'))];"
        "print(json.dumps([[*y.float32_tensor.values, *x.float32_tensor.values]"
        " for y, x in tensors]))"
    )
    read = subprocess.run(
        [SDK, "-c", program, tmp_path / "train.pbr"], check=True, stdout=subprocess.PIPE, text=True
    )
    assert [tuple(row) for row in json.loads(read.stdout.splitlines()[-1])] == result.train


def test_records_of_another_width_are_not_read():
    written = dense_records(np.ones((3, 4), np.float32), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="no records of 5 features"):
        list(read_records(io.BytesIO(written), 5))


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
    result = split(IRIS, columns=IRIS_COLUMNS)
    assert Counter(row.rpartition(",")[2] for row in result.held_out) == {
        "setosa": 13,
        "versicolor": 13,
        "virginica": 12,
    }
    places = [IRIS.index(row) for row in result.held_out if IRIS.count(row) == 1]
    assert places == sorted(places)
    classes = ["setosa", "versicolor", "virginica"]
    left = list(IRIS)
    for line, row in zip(result.test, result.held_out, strict=True):
        features, _, label = row.rpartition(",")
        assert line == row_of(classes.index(label), features)
        left.remove(row)
    for line, row in zip(result.train, left, strict=True):
        features, _, label = row.rpartition(",")
        assert line == row_of(classes.index(label), features)


@pytest.mark.parametrize(
    "counts",
    [[178, 182, 177, 183, 181], [60, 4000], [20_000, 2, 900], [300] * 20],
    ids=["digits", "few and many", "a class of two", "20 classes"],
)
def test_the_split_is_exact_for_each_class_of_any_size(counts, monkeypatch):
    monkeypatch.setattr(sides, "_DRAWN_AT_ONCE", 1000)
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    random.Random(0).shuffle(labels)
    for seed, fraction in enumerate([0.25, 0.01, 0.9]):
        result = split(rows_of(labels), parts=3, seed=seed, test_fraction=fraction)
        expected = held_out_counts(counts, fraction, 10**9)
        by_class = {f"class {n}": held for n, held in enumerate(expected)}
        assert labels_of(result.held_out) == by_class
        assert {n: s["test"] for n, s in result.summary["classes"].items()} == by_class


@given(st.integers(1, 300), st.integers(0, 2**63), st.data())
def test_the_cut_leaves_just_as_many_rows_of_a_class_below_it(count, seed, data):
    wanted = data.draw(st.integers(0, count - 1))
    draw = sides.Draw(seed, 2)
    numbers = draw.numbers(1, np.arange(count))
    assert np.count_nonzero(numbers < np.uint64(draw.cut(1, count, wanted))) == wanted


@settings(max_examples=40)
@given(LABELS, st.integers(1, 5), st.integers(5, 300))
def test_a_row_has_its_side_however_the_file_is_cut(labels, parts, chunk):
    rows = rows_of(labels)
    assert split(rows, parts=parts, chunk=chunk).everything == split(rows).everything


def test_the_same_seed_gives_the_same_split_and_another_another():
    def held_out(seed: int) -> list[str]:
        return split(IRIS, columns=IRIS_COLUMNS, seed=seed).held_out

    assert held_out(1) == held_out(1) != held_out(2)


def test_every_row_is_as_likely_as_any_other_to_be_held_out():
    rows = rows_of([0, 1] * 10)
    times = Counter(row for seed in range(400) for row in split(rows, seed=seed).held_out)
    for row in rows:
        share = {"class 0": 0.3, "class 1": 0.2}[row.partition(",")[0]]
        assert abs(times[row] - 400 * share) < 5 * math.sqrt(400 * share * (1 - share))


def test_all_spellings_of_a_class_are_of_it():
    rows = rows_of([0, 1] * 10)
    spelled = [row.replace("class 0", "Class 0") if n % 3 else row for n, row in enumerate(rows)]
    result = split(spelled, spellings={"Class 0": "class 0"})
    assert (result.train, result.test) == (split(rows).train, split(rows).test)
    assert set(result.held_out) <= set(spelled)


def test_the_only_row_of_its_class_is_on_neither_side():
    rows = rows_of([0, 1] * 10 + [2] + [0, 1] * 10)
    result = split(rows, classes=("class 0", "class 1"), parts=3)
    assert labels_of(result.held_out) == {"class 0": 5, "class 1": 5}
    assert len(result.train) == 30
    assert 20 not in {row[1] for row in result.train + result.test}


def test_rows_that_get_lost_on_the_way_stop_the_run():
    plan = Plan(schema=None, settings=Settings(), parts=[[10, 10]])
    written = {"sides": np.array([[7, 7], [3, 2]]), **duplicates.Duplicates(20).arrays()}
    with pytest.raises(AssertionError, match="rows to split"):
        plan.summary([written], 1)


# --- duplicates ------------------------------------------------------------------------------


def in_both(result: Split) -> int:
    seen = set(map(tuple, result.trained.tolist()))
    return sum(tuple(row) in seen for row in result.tested.tolist())


def test_held_out_rows_that_are_in_the_training_rows_too_are_counted():
    rows = ["a,1,1"] * 8 + ["b,2,2"] * 8 + ["a,3,4", "b,3,4"] * 4
    result = split(rows)
    assert result.summary["duplicates"] == {
        "held_out_rows_in_training": in_both(result),
        "is_exact": True,
    }
    assert in_both(result)


def test_rows_are_the_same_to_the_model_whatever_it_is_not_told():
    """The name of a passenger tells rows apart, but the model doesn't know it."""
    columns = {"name": Role.TEXT, "label": Role.LABEL, "sex": Role.CATEGORY, "age": Role.NUMBER}
    rows = [f"{n},{'ab'[n % 2]},{'mf'[n % 2]},30" for n in range(40)]
    found = split(rows, columns=columns).summary["duplicates"]
    assert found["held_out_rows_in_training"] == 10


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", '"a"', " a", "b"]),
            st.sampled_from(["1", "2", "10", " 1", '"1"', "1e1", "+2", ""]),
            st.sampled_from(["5", '"5"', "6 ", "6"]),
        ),
        min_size=8,
        max_size=60,
    ).filter(lambda rows: min(Counter(r[0].strip(' "') for r in rows).values()) > 1),
    st.integers(1, 4),
    st.integers(20, 200),
)
def test_duplicates_are_counted_alike_however_rows_are_written_and_cut(rows, parts, chunk):
    assume(len({r[0].strip(' "') for r in rows}) > 1)
    lines = [",".join(row) for row in rows]
    asked = {"test_fraction": 0.5}
    try:
        whole = split(lines, **asked)
    except Refusal:
        return
    assert split(lines, parts=parts, chunk=chunk, **asked).everything == whole.everything
    plain = [line.replace('"', "").replace(" ", "") for line in lines]
    assert split(plain, **asked).summary == whole.summary


def test_wide_rows_that_differ_in_where_a_one_stands_are_no_duplicates():
    columns = 600
    rows = [
        f"{'ab'[one % 2]}," + ",".join("01"[place == one] for place in range(columns))
        for one in range(columns)
    ]
    found = split(rows).summary["duplicates"]
    assert found == {"held_out_rows_in_training": 0, "is_exact": True}


def test_of_many_rows_a_sample_tells_about_how_many_are_duplicates(monkeypatch):
    monkeypatch.setattr(duplicates, "MAX_ROWS", 5_000)
    rows = [f"{'ab'[n % 2]},{n // 4},{n // 4}" for n in range(40_000)]
    result = split(rows)
    found = result.summary["duplicates"]
    assert not found["is_exact"]
    assert found["held_out_rows_in_training"] == pytest.approx(in_both(result), rel=0.1)


@settings(max_examples=40)
@given(LABELS, st.integers(1, 4))
def test_equal_rows_stay_on_one_side_when_asked(labels, parts):
    rows = [f"class {label},{number % 5},1" for number, label in enumerate(labels)]
    try:
        result = split(rows, parts=parts, duplicates="same_side")
    except Refusal:
        return
    assert not set(result.train) & set(result.test)
    assert in_both(result) == 0
    assert len(result.train) + len(result.test) == len(rows)
    assert split(rows, duplicates="same_side").held_out == result.held_out


def test_rows_without_equals_are_held_out_exactly_though_equals_would_stay_together():
    result = split(rows_of([0] * 40 + [1] * 60), duplicates="same_side")
    assert labels_of(result.held_out) == {"class 0": 10, "class 1": 15}


def test_a_class_of_equal_rows_is_trained_on_though_it_can_not_be_tested():
    rows = ["class 0,1,1"] * 2 + rows_of([1] * 60 + [2] * 60)
    classes = split(rows, duplicates="same_side").summary["classes"]
    assert classes["class 0"] == {"train": 2, "test": 0}


@pytest.mark.parametrize("seed", range(4))
def test_a_class_of_two_different_rows_is_on_both_sides_however_often_each_comes(seed):
    rows = ["class 0,1,1"] * 4 + ["class 0,2,2"] * 4 + rows_of([1] * 60)
    classes = split(rows, duplicates="same_side", seed=seed).summary["classes"]
    assert classes["class 0"] == {"train": 4, "test": 4}


def test_equal_rows_are_not_held_out_if_less_than_half_of_a_class_is_left_then():
    rows = ["class 0,1,1"] * 9 + ["class 0,2,2"] + rows_of([1] * 60)
    for seed in range(8):
        classes = split(rows, duplicates="same_side", seed=seed).summary["classes"]
        assert classes["class 0"]["train"] >= 9


def test_rows_of_which_none_can_be_held_out_are_refused():
    with pytest.raises(Refusal) as refused:
        split(["a,1,1"] * 2 + ["b,2,2"] * 2, duplicates="same_side")
    assert refused.value.code == "TooFewGroups"
    assert "equal rows" in refused.value.remedy


# --- groups ----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(LABELS, st.integers(3, 12), st.integers(1, 4))
def test_rows_of_one_group_stay_on_one_side(labels, groups, parts):
    rows = beside(rows_of(labels), [f"patient {n % groups}" for n in range(len(labels))])
    try:
        result = split(rows, columns=GROUPED, parts=parts, group="who")
    except Refusal as refusal:
        assert refusal.code == "TooFewGroups"
        return
    side = {}
    for row in rows:
        group = row.rpartition(",")[2]
        assert side.setdefault(group, row in result.held_out) == (row in result.held_out)
    assert split(rows, columns=GROUPED, group="who").everything == result.everything


def test_groups_are_chosen_so_that_each_class_is_held_out_in_about_its_share():
    # Patients with one diagnosis each, as many rows as they happen to have.
    draw = random.Random(0)
    patients = [(n, n % 3, draw.randint(1, 9)) for n in range(300)]
    pairs = [(patient, label) for patient, label, rows in patients for _ in range(rows)]
    rows = beside(rows_of([label for _, label in pairs]), [patient for patient, _ in pairs])
    result = split(rows, columns=GROUPED, group="who")
    every = labels_of(rows)
    for label, count in labels_of(result.held_out).items():
        assert count / every[label] == pytest.approx(0.25, abs=0.02)


def split_of_groups(groups: list[dict[int, int]]) -> dict[str, dict[str, int]]:
    """The rows of each class on either side, of groups that are given by their rows by class."""
    pairs = [
        (group, label)
        for group, classes in enumerate(groups)
        for label, rows in classes.items()
        for _ in range(rows)
    ]
    rows = beside(rows_of([label for _, label in pairs]), [group for group, _ in pairs])
    classes: dict[str, dict[str, int]] = split(rows, columns=GROUPED, group="who").summary[
        "classes"
    ]
    return classes


def test_a_group_that_goes_to_the_other_side_for_one_class_takes_no_other_classs_last_one():
    groups = [{0: 2, 1: 3}, {2: 1, 0: 1}, {1: 1, 2: 1}, {0: 3, 1: 1}]
    for of_class in split_of_groups(groups).values():
        assert of_class["train"]
        assert of_class["test"]


@settings(max_examples=200)
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
    assert all(of_class["train"] for of_class in classes.values())


def test_a_single_group_cannot_be_split():
    with pytest.raises(Refusal) as refused:
        split(beside(rows_of([0, 1] * 5), ["all"] * 10), columns=GROUPED, group="who")
    assert refused.value.code == "TooFewGroups"


# --- time ------------------------------------------------------------------------------------

START = datetime(2024, 2, 28, 22, tzinfo=UTC)
WRITTEN = {
    "whole numbers": str,
    "fractions below zero": lambda n: f"{n / 8 - 3:.3f}",
    "days": lambda n: f"{START + timedelta(days=n):%Y-%m-%d}",
    "times": lambda n: (START + timedelta(minutes=n)).isoformat(),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@settings(max_examples=20)
@given(labels=LABELS, parts=st.integers(1, 4), times=st.sampled_from([3, 40, 10_000]))
def test_the_last_rows_by_time_are_held_out_and_rows_of_one_time_stay_together(
    written, labels, parts, times
):
    draw = random.Random(len(labels))
    when = [draw.randrange(times) for _ in labels]
    rows = beside(rows_of(labels), map(written, when))
    try:
        result = split(rows, columns=TIMED, parts=parts, time="at")
    except Refusal as refusal:
        assert refusal.code in ("OneClassToTrainOn", "OneTime")
        return
    held_out = [row in result.held_out for row in rows]
    first = min(time for time, is_held_out in zip(when, held_out, strict=True) if is_held_out)
    assert held_out == [time >= first for time in when]
    wanted = math.ceil(len(rows) / 4)
    # No other time would bring the rows nearer to their share.
    shares = [sum(time >= each for time in when) for each in set(when)]
    nearest = min(abs(share - wanted) for share in shares if share < len(rows))
    assert abs(sum(held_out) - wanted) == nearest
    assert split(rows, columns=TIMED, time="at").everything == result.everything


def test_times_are_read_as_their_column_writes_numbers():
    columns = TIMED | {"at": Column("at", Role.IGNORED, "", {"decimal": ","})}
    rows = [row.replace(",", ";") for row in rows_of([0, 1] * 8)]
    timed = [f"{row};{n // 2},{n % 2 * 5}" for n, row in enumerate(rows)]
    result = split(timed[::-1], columns=columns, delimiter=";", time="at")
    assert result.held_out == timed[:11:-1]


def test_a_class_that_comes_up_only_at_the_end_may_be_in_the_test_alone():
    rows = beside(rows_of([0, 1] * 6 + [2] * 4), range(16))
    result = split(rows, columns=TIMED, time="at")
    assert result.summary["classes"]["class 2"] == {"train": 0, "test": 4}


def test_training_rows_of_one_class_are_refused():
    rows = beside(rows_of([0] * 12 + [1] * 4), range(16))
    with pytest.raises(Refusal) as refused:
        split(rows, columns=TIMED, time="at")
    assert refused.value.code == "OneClassToTrainOn"


def test_rows_of_one_time_are_refused():
    with pytest.raises(Refusal) as refused:
        split(beside(rows_of([0, 1] * 6), ["2024-02-29"] * 12), columns=TIMED, time="at")
    assert refused.value.code == "OneTime"
    assert '"at"' in refused.value.message


# --- passes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "passes"),
    [({}, 0), ({"group": "at"}, 1), ({"duplicates": "same_side"}, 1), ({"time": "at"}, 4)],
)
def test_a_split_takes_as_many_passes_as_it_must_know_of_all_rows(asked, passes):
    rows = beside(rows_of([0, 1] * 20), [1.7e9 + 7 * n for n in range(40)])
    assert split(rows, columns=TIMED, parts=3, **asked).passes == passes


# --- enough rows -----------------------------------------------------------------------------


def test_fewer_training_rows_than_neighbours_are_refused_with_what_to_do():
    rows = rows_of([0, 1] * 4)
    assert len(split(rows, k=6).train) == 6
    with pytest.raises(Refusal) as refused:
        split(rows, k=7)
    assert refused.value.code == "FewerRowsThanK"
    assert "6 rows to train on, but k is 7" in refused.value.message
    assert "set k to 6 at most" in refused.value.remedy


def test_a_sample_without_a_row_to_train_on_is_refused():
    rows = beside(rows_of([0, 1] * 20), range(40))
    with pytest.raises(Refusal) as refused:
        split(rows[::-1], columns=TIMED, time="at", sampled=8)
    assert refused.value.code == "TooFewRowsToTrainOn"


# --- the index -------------------------------------------------------------------------------


def test_the_index_takes_all_rows_that_the_endpoints_memory_holds_at_the_models_width():
    assert index_of(1000, 4, Settings(), 2048) == {
        "sample_size": "1000",
        "index_type": "faiss.Flat",
    }
    narrow, wide = (
        int(index_of(10**9, width, Settings(), 2048)["sample_size"]) for width in (4, 799)
    )
    assert narrow == pytest.approx(160 * wide, rel=1e-4)
    assert wide * 800 * 4 < 2048 * 2**20 / 2
    assert int(index_of(10**9, 4, Settings(), 4096)["sample_size"]) == pytest.approx(2 * narrow)


def test_a_large_index_is_an_inverted_file_and_settings_go_first():
    assert index_of(FLAT_ROWS + 1, 4, Settings(), 4096)["index_type"] == "faiss.IVFFlat"
    told = Settings(sample_size=500, index_type="faiss.IVFPQ")
    assert index_of(1000, 4, told, 4096) == {"sample_size": "500", "index_type": "faiss.IVFPQ"}


@pytest.mark.parametrize(
    ("size", "megabytes"),
    [
        ("1024", 1024),
        ("ml.t2.medium", 4096),
        ("ml.c5.large", 4096),
        ("ml.m5.xlarge", 8192),
        ("ml.c5.2xlarge", 16384),
        ("ml.m5.24xlarge", 196608),
    ],
)
def test_the_memory_of_an_endpoint_is_what_its_type_has_at_least(size, megabytes):
    assert memory_mb(size) == megabytes


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("serverless", ("2048", "ml.m5.xlarge")),
        ("async", ("ml.m5.large", "ml.m5.xlarge")),
        ("realtime", ("ml.m5.large", "ml.m5.xlarge")),
        (None, ("2048", "ml.m5.large", "ml.m5.xlarge")),
    ],
)
def test_an_index_has_to_fit_the_kind_of_endpoint_and_the_training_instance(kind, sizes):
    assert sizes_for(kind, "2048", "ml.m5.large", "ml.m5.xlarge") == sizes
