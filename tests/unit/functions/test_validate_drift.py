"""The population stability index against numpy and SciPy, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from pipeline.schema import Role
from validate.drift import binned, index_by_chance, stability_index


def index(role: Role, before: list, now: list) -> float:
    return stability_index(*binned(role, before, now))


def test_the_index_is_what_it_is_by_hand():
    # (0.5 - 0.4) ln(0.5 / 0.4) + (0.5 - 0.6) ln(0.5 / 0.6)
    assert index(Role.CATEGORY, ["a", "b"] * 10, ["a"] * 8 + ["b"] * 12) == pytest.approx(
        0.1 * np.log(1.25) + 0.1 * np.log(1.2)
    )
    # Two shares that change places: twice (0.9 - 0.1) ln 9.
    counts = np.array([90.0, 10.0]), np.array([10.0, 90.0])
    assert stability_index(*counts) == pytest.approx(1.6 * np.log(9))


def test_of_numbers_the_bins_are_those_of_numpys_histogram_between_deciles():
    draw = np.random.default_rng(0)
    before, now = draw.normal(size=1000), draw.normal(0.5, 1.5, size=800)
    edges = [-np.inf, *np.percentile(before, range(10, 100, 10)), np.inf]
    p, q = (np.histogram(each, edges)[0] / len(each) for each in (before, now))
    found = index(Role.NUMBER, before.tolist(), now.tolist())
    assert found == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert found > 0.25


@given(st.lists(st.one_of(st.none(), st.floats(-1e18, 1e18)), min_size=1, max_size=50))
def test_rows_that_have_not_changed_have_an_index_of_0(values):
    assert index(Role.NUMBER, values, values * 3) == pytest.approx(0)


def test_missing_values_have_a_bin_of_their_own():
    many = [float(n) for n in range(100)]
    before, now = binned(Role.NUMBER, [*many, *[None] * 10], [*many, *[None] * 40])
    assert (before[-1], now[-1]) == (10, 40)
    assert binned(Role.NUMBER, [None] * 3, [1.0, None])[0].tolist() == [0, 3]
    assert index(Role.CATEGORY, ["a", "NA"], ["?", "a"]) == 0
    assert index(Role.BOOLEAN, ["yes", ""], ["true", "true"]) > 0


def test_a_number_of_few_values_has_fewer_bins():
    before, now = binned(Role.NUMBER, [0.0] * 50 + [1.0] * 50, [0.0] * 10 + [1.0] * 90)
    used = before + now > 0
    assert before[used].tolist() == [50, 50]
    assert now[used].tolist() == [10, 90]


def test_whole_numbers_and_booleans_are_the_same_however_they_are_written():
    assert index(Role.CATEGORY, ["1.0", "2"], ["1", "2.0"]) == 0
    assert index(Role.BOOLEAN, ["yes", "No"], ["1", "f"]) == 0


def test_rare_values_of_a_category_share_a_bin_and_new_ones_are_in_it():
    common = [f"v{n}" for n in range(20)] * 5
    before, now = binned(Role.CATEGORY, [*common, "rare", "once"], [*common, "new"])
    assert before.tolist() == [5] * 20 + [0, 2]
    assert now.tolist() == [5] * 20 + [0, 1]


def test_an_empty_bin_counts_as_half_a_row():
    found = index(Role.CATEGORY, ["a"] * 99 + ["b"], ["a"] * 100)
    assert found == pytest.approx((0.99 - 1) * np.log(0.99) + (0.01 - 0.005) * np.log(2))


def test_by_chance_the_index_is_as_high_as_said_one_time_in_twenty():
    before, now = np.full(10, 30.0), np.full(10, 20.0)
    expected = chi2.ppf(0.95, 9) * (1 / 300 + 1 / 200)
    assert index_by_chance(before, now) == pytest.approx(expected, rel=0.001)
    assert index_by_chance(np.array([5.0, 0]), np.array([7.0, 0])) == 0
    draw = np.random.default_rng(0)
    shares = [
        index(Role.NUMBER, draw.normal(size=500).tolist(), draw.normal(size=400).tolist())
        > chi2.ppf(0.95, 9) * (1 / 500 + 1 / 400)
        for _ in range(1000)
    ]
    assert np.mean(shares) == pytest.approx(0.05, abs=0.02)
