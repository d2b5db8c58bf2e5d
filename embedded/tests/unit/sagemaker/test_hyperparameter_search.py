"""Which combination of hyperparameters is tried next."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_aws.sagemaker.tuning.gaussian_process import expected_improvement, fit
from embedded_aws.sagemaker.tuning.ranges import CategoricalRange, NumericRange, Range
from embedded_aws.sagemaker.tuning.search import (
    Combination,
    Search,
    Trial,
    make_search,
)

K = NumericRange("k", 1, 1024, "Logarithmic", True)
SAMPLE = NumericRange("sample_size", 256, 20_000, "Logarithmic", True)


def proposals(search: Search, count: int) -> list[Combination | None]:
    """What is proposed when nothing is known of any."""
    return [search.propose([], []) for _ in range(count)]


def test_the_grid_has_every_combination_once_and_then_ends() -> None:
    ranges: list[Range] = [
        CategoricalRange("k", ("1", "3", "5")),
        CategoricalRange("sample_size", ("100", "200")),
    ]
    found = proposals(make_search("Grid", ranges, None), 7)
    assert found[6] is None
    expected = itertools.product(("1", "3", "5"), ("100", "200"))
    assert found[:6] == [{"k": k, "sample_size": size} for k, size in expected]


@pytest.mark.parametrize("strategy", ["Random", "Hyperband", "Bayesian"])
def test_a_seed_repeats_the_search_and_another_doesnt(strategy: str) -> None:
    def search(seed: int | None) -> list[Combination | None]:
        return proposals(make_search(strategy, [K, SAMPLE], seed), 5)

    assert search(1) == search(1)
    assert search(1) != search(2)
    assert search(None) != search(None)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.sampled_from(["Random", "Bayesian"]), st.integers(0, 100))
def test_no_combination_is_proposed_twice_until_all_have_been(
    size: int, strategy: str, seed: int
) -> None:
    ranges: list[Range] = [NumericRange("k", 1, size, "Linear", True)]
    search = make_search(strategy, ranges, seed)
    tried: list[Trial] = []
    for _ in range(size):
        proposed = search.propose(tried, [])
        assert proposed is not None
        tried.append((proposed, -float(proposed["k"])))
    assert {int(combination["k"]) for combination, _ in tried} == set(range(1, size + 1))
    assert search.propose(tried, []) is None


def test_random_draws_cover_a_logarithmic_range_evenly() -> None:
    found = proposals(
        make_search("Random", [NumericRange("r", 1, 1e6, "Logarithmic", False)], 0), 600
    )
    decades = [int(math.log10(float(item["r"]))) for item in found if item]
    assert min(decades.count(decade) for decade in range(6)) > 60


def goodness(combination: Combination) -> float:
    """Best, 0, at k = 37 and sample_size = 9000."""
    k, size = int(combination["k"]), int(combination["sample_size"])
    return -abs(math.log(k / 37)) - 0.3 * abs(math.log(size / 9000))


def best_found(strategy: str, seed: int, budget: int = 20) -> float:
    """The best of as many trials as the budget allows."""
    search = make_search(strategy, [K, SAMPLE], seed)
    tried: list[Trial] = []
    for _ in range(budget):
        proposed = search.propose(tried, [])
        assert proposed is not None
        tried.append((proposed, goodness(proposed)))
    return max(value for _, value in tried)


def test_bayesian_search_finds_better_ones_than_random_search_with_as_many_trials() -> None:
    bayesian = statistics.mean(best_found("Bayesian", seed) for seed in range(6))
    random = statistics.mean(best_found("Random", seed) for seed in range(6))
    assert bayesian > random / 2


def test_trials_that_run_at_a_time_differ() -> None:
    search = make_search("Bayesian", [K, SAMPLE], 0)
    tried: list[Trial] = []
    for _ in range(5):
        proposed = search.propose(tried, [])
        assert proposed is not None
        tried.append((proposed, goodness(proposed)))
    running: list[Combination] = []
    for _ in range(4):
        proposed = search.propose(tried, running)
        assert proposed is not None
        running.append(proposed)
    assert len({int(item["k"]) for item in running}) > 1


def test_the_process_knows_what_it_has_seen_and_is_unsure_elsewhere() -> None:
    x = np.array([[0.1], [0.4], [0.9]])
    y = np.array([1.0, 3.0, 2.0])
    process = fit(x, y)
    mean, deviation = process.predict(x)
    assert mean == pytest.approx(y, abs=0.3)
    _, far = process.predict(np.array([[0.65]]))
    assert far[0] > deviation.max()


def test_nothing_is_expected_where_all_is_known_and_it_is_no_better() -> None:
    process = fit(np.array([[0.1], [0.5], [0.9]]), np.array([1.0, 3.0, 2.0]))
    promise = expected_improvement(process, np.array([[0.1], [0.62]]), 3.0)
    assert promise[0] < promise[1]
    assert (promise >= 0).all()


def test_values_that_are_all_alike_are_no_trouble() -> None:
    process = fit(np.array([[0.1], [0.5]]), np.array([1.0, 1.0]))
    mean, _ = process.predict(np.array([[0.3]]))
    assert mean[0] == pytest.approx(1.0)
