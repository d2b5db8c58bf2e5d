"""Reservoir sampling."""

from collections.abc import Iterator

import numpy as np

from embedded_aws.knn.rows import Matrix, Vector
from embedded_aws.knn.sample import reservoir_sample


def batches(n: int, size: int) -> Iterator[tuple[Matrix, Vector]]:
    """Rows 0 … n-1, each with its number as feature and label."""
    for start in range(0, n, size):
        numbers = np.arange(start, min(n, start + size), dtype=np.float32)
        yield numbers[:, None], numbers


def test_data_that_fits_is_kept_whole_and_in_order() -> None:
    features, labels = reservoir_sample(batches(10, 3), 10)
    assert labels.tolist() == list(range(10))
    assert features[:, 0].tolist() == list(range(10))


def test_a_sample_has_the_size_asked_for_and_no_row_twice() -> None:
    features, labels = reservoir_sample(batches(1000, 7), 100)
    assert len(set(labels.tolist())) == 100
    assert (features[:, 0] == labels).all()


def test_the_same_data_gives_the_same_sample() -> None:
    _, first = reservoir_sample(batches(1000, 50), 10)
    _, second = reservoir_sample(batches(1000, 50), 10)
    assert first.tolist() == second.tolist()


def test_late_rows_are_as_likely_as_early_ones() -> None:
    _, labels = reservoir_sample(batches(100_000, 1000), 10_000)
    # The mean of a uniform sample of 0 … 99,999: standard error 275 for 10,000 rows.
    assert abs(labels.mean() - 50_000) < 4 * 275


def test_memory_follows_the_data_not_the_sample_size() -> None:
    features, _ = reservoir_sample(batches(10, 5), 10**12)
    assert len(features) == 10


def test_no_rows_give_an_empty_sample() -> None:
    features, labels = reservoir_sample(iter(()), 10)
    assert len(features) == 0
    assert len(labels) == 0
