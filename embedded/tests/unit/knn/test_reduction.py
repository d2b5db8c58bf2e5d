"""Dimension reduction against its definitions, and against the promise that it makes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_aws.knn.reduction import Reduction, walsh_hadamard
from embedded_aws.knn.rows import Matrix


def random_rows(n: int, d: int) -> Matrix:
    return np.random.default_rng(1).standard_normal((n, d)).astype(np.float32)


def hadamard(width: int) -> Matrix:
    """Sylvester's construction."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < width:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


@pytest.mark.parametrize("width", [1, 2, 8, 64])
def test_the_transform_is_sylvesters_matrix(width: int) -> None:
    rows = random_rows(5, width)
    expected = rows @ hadamard(width)
    walsh_hadamard(rows)
    assert np.allclose(rows, expected, atol=1e-4)


def test_sign_is_a_matrix_of_signs_over_the_root_of_the_target() -> None:
    reduction = Reduction("sign", 3, 20, 10)
    matrix = reduction(np.eye(20, dtype=np.float32)) * np.sqrt(10)
    assert matrix.shape == (20, 10)
    assert np.allclose(np.abs(matrix), 1)
    assert abs(matrix.sum()) < 4 * np.sqrt(200)
    rows = random_rows(7, 20)
    assert np.allclose(reduction(rows), rows @ matrix / np.sqrt(10), atol=1e-5)


@pytest.mark.parametrize(("d", "t"), [(20, 10), (16, 15), (3, 2), (16, 24)])
def test_fjlt_is_a_sample_of_the_transform_of_random_signs(d: int, t: int) -> None:
    reduction = Reduction("fjlt", 3, d, t)
    width = 1 << (max(d, t) - 1).bit_length()
    sampled = reduction.sampled(width).tolist()
    assert len(set(sampled)) == t
    assert np.abs(reduction.signs).tolist() == [1] * d
    matrix = np.diag(reduction.signs) @ hadamard(width)[:d, sampled] / np.sqrt(t)
    rows = random_rows(7, d)
    assert np.allclose(reduction(rows), rows @ matrix, atol=1e-5)


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
def test_distances_are_nearly_kept(kind: str) -> None:
    # Johnson–Lindenstrauss: for t = 256 the ratio of squared distances is 1 with a standard
    # deviation of about √(2/t) = 0.09; that of all of 190 pairs stays within 5 of them.
    rows = random_rows(20, 1000)
    reduced = Reduction(kind, 3, 1000, 256)(rows)
    pairs = np.triu_indices(20, 1)
    before = np.square(rows[pairs[0]] - rows[pairs[1]]).sum(axis=1)
    after = np.square(reduced[pairs[0]] - reduced[pairs[1]]).sum(axis=1)
    assert np.abs(after / before - 1).max() < 5 * np.sqrt(2 / 256)
    assert abs((after / before).mean() - 1) < 0.05


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
def test_a_spike_is_kept_as_well_as_a_plain(kind: str) -> None:
    spike = np.zeros((1, 1000), np.float32)
    spike[0, 123] = 8
    assert np.isclose(np.square(Reduction(kind, 3, 1000, 256)(spike)).sum(), 64, rtol=1e-4)


@given(st.sampled_from(["sign", "fjlt"]), st.integers(2, 70), st.integers(0, 1000), st.data())
def test_the_same_seed_gives_the_same_linear_map(
    kind: str, d: int, seed: int, data: st.DataObject
) -> None:
    t = data.draw(st.integers(1, d - 1))
    rows = random_rows(4, d)
    reduced = Reduction(kind, seed, d, t)(rows)
    assert reduced.shape == (4, t)
    assert reduced.dtype == np.float32
    assert reduced.tolist() == Reduction(kind, seed, d, t)(rows).tolist()
    total = Reduction(kind, seed, d, t)(rows[:1] + 2 * rows[1:2])
    assert np.allclose(total, reduced[:1] + 2 * reduced[1:2], atol=1e-3)


def test_the_stream_of_a_seed_stays_as_it_is_in_the_models_that_there_are() -> None:
    signs = [1, 1, 1, 1, 1, -1, -1, -1]
    assert Reduction("sign", 3, 8, 1).signs.ravel().tolist() == signs
    assert Reduction("fjlt", 3, 6, 4).signs.tolist() == signs[:6]
    assert Reduction("fjlt", 3, 6, 4).sampled(8).tolist() == [3, 6, 0, 4]
