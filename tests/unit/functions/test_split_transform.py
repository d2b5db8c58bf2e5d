import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tests.unit.functions.splitting import Split, split

NUMBERS = st.one_of(
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.2f}"),
    st.integers(-50, 50).map(str),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["5.", ".5", "-0", "1" * 25, "-1e-30", "3e38", "0.30000000000000004"]),
)


def rows_of(numbers: list[list[str]]) -> list[str]:
    return [f"{place % 2},{','.join(row)}" for place, row in enumerate(numbers)]


def features_of(rows: list[str]) -> np.ndarray:
    return np.array([[float(x) if x else np.nan for x in row.split(",")[1:]] for row in rows])


def with_missing(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    row = st.lists(values, min_size=2, max_size=2).filter(any)
    return st.lists(row, min_size=8, max_size=60)


@settings(max_examples=30, deadline=None)
@given(
    with_missing(NUMBERS | st.just("")),
    st.sampled_from(["mean", "median"]),
    st.sampled_from(["none", "zscore", "minmax"]),
    st.integers(1, 3),
)
def test_rows_are_written_as_the_transform_gives_them_one_by_one(numbers, missing, scaling, parts):
    """What Split writes is what Validate and Predict will ask the model."""
    result = split(rows_of(numbers), parts=parts, missing=missing, standardisation=scaling)
    assert result.transform
    for original, written in zip(result.originals, result.test, strict=True):
        label, *features = original.split(",")
        assert written == ",".join([label, *result.transform.apply(features)])
    whole = split(rows_of(numbers), missing=missing, standardisation=scaling)
    assert (whole.train, whole.test) == (result.train, result.test)


def learned_from(result: Split, rows: list[str]) -> np.ndarray:
    """The original training rows: those that are not held out."""
    left = list(result.originals)
    return features_of([row for row in rows if row not in left or left.remove(row)])


NUMERIC = [[f"{(7 * n) % 23}.{n % 10}", str((n * n) % 50)] for n in range(60)]


@pytest.mark.parametrize(
    ("scaling", "scaler"), [("zscore", StandardScaler()), ("minmax", MinMaxScaler())]
)
def test_scaling_is_scikit_learns_learned_from_the_training_rows_alone(scaling, scaler):
    rows = rows_of(NUMERIC)
    result = split(rows, classes=2, standardisation=scaling)
    train = learned_from(result, rows)
    scaler.fit(train)
    expected = scaler.transform(features_of(result.originals))
    if scaling == "zscore":
        # Ours is the deviation of the sample, n - 1, as in the profile.
        expected *= np.sqrt((len(train) - 1) / len(train))
    np.testing.assert_allclose(features_of(result.test), expected, atol=1e-7)


@pytest.mark.parametrize("missing", ["mean", "median"])
def test_missing_values_get_scikit_learns_mean_or_median_of_the_training_rows(missing):
    numbers = [[x if n % 5 else "", y] for n, (x, y) in enumerate(NUMERIC)]
    rows = rows_of(numbers)
    result = split(rows, classes=2, missing=missing)
    imputer = SimpleImputer(strategy=missing).fit(learned_from(result, rows))
    np.testing.assert_allclose(
        features_of(result.test), imputer.transform(features_of(result.originals)), rtol=1e-12
    )


def test_numbers_without_a_missing_value_stay_as_they_were_written():
    numbers = [["05.10", "1e1"]] * 12 + [["", "2"]] * 4
    result = split(rows_of(numbers), classes=2, missing="mean")
    assert "0,05.10,1e1" in result.train


def test_the_median_is_exact_however_many_rows_there_are():
    values = [(n * 7919) % 30_011 / 8 for n in range(30_000)]
    rows = rows_of([[repr(value), "1"] for value in values] + [["", "1"]] * 2)
    result = split(rows, classes=2, missing="median", parts=3)
    learned = learned_from(result, rows)[:, 0]
    assert result.transform
    fill = float(result.transform.features[0].fill or "nan")
    assert fill == statistics.median(learned[~np.isnan(learned)].tolist())


def test_a_feature_of_one_value_is_not_divided_by_zero():
    for scaling in ("zscore", "minmax"):
        result = split(rows_of([["4", str(n)] for n in range(12)]), standardisation=scaling)
        assert {row.split(",")[1] for row in result.train} == {"0.00000000"}
