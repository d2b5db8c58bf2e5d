"""Indexes: metrics against numpy, quantizers against the flat index, and too little data."""

from typing import Any

import faiss
import numpy as np
import pytest
from sklearn.datasets import load_digits

from embedded_aws.knn.errors import ClientError, DataError
from embedded_aws.knn.hyperparameters import Hyperparameters
from embedded_aws.knn.model import Model, build_model
from embedded_aws.knn.rows import Matrix


def parameters(k: int = 3, **given: Any) -> Hyperparameters:
    return Hyperparameters(k=k, predictor_type="classifier", sample_size=10_000, **given)


def random_rows(n: int, d: int, seed: int = 0) -> Matrix:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def model_of(rows: Matrix, k: int = 3, **given: Any) -> Model:
    """A model whose labels are the numbers of the rows, so that they name the neighbours."""
    return build_model(parameters(k, **given), rows, np.arange(len(rows), dtype=np.float32))


DISTANCES = {
    "L2": lambda q, x: np.square(q[:, None] - x[None]).sum(axis=2),
    "INNER_PRODUCT": lambda q, x: -q @ x.T,
    "COSINE": lambda q, x: (
        1 - (q / np.linalg.norm(q, axis=1)[:, None]) @ (x / np.linalg.norm(x, axis=1)[:, None]).T
    ),
}


@pytest.mark.parametrize("queries", [1, 50], ids=["one", "many"])
@pytest.mark.parametrize("index_type", ["faiss.Flat", "faiss.IVFFlat"])
@pytest.mark.parametrize("metric", DISTANCES)
def test_distances_are_as_numpy_computes_them_and_ascend(
    metric: str, index_type: str, queries: int
) -> None:
    rows, asked = random_rows(300, 8), random_rows(queries, 8, seed=1)
    # All lists are looked through, so an inverted file is as exact as a flat index.
    model = model_of(rows, k=5, index_metric=metric, index_type=index_type, nprobe=100)
    found = model.predict(asked)
    exact = DISTANCES[metric](asked.astype(np.float64), rows.astype(np.float64))
    nearest = np.argsort(exact, axis=1)[:, :5]
    assert found.labels.tolist() == nearest.tolist()
    assert np.allclose(found.distances, np.take_along_axis(exact, nearest, axis=1), atol=1e-4)
    assert (np.diff(found.distances, axis=1) >= 0).all()


def test_a_row_of_zeros_is_at_a_right_angle_to_all_others() -> None:
    model = model_of(np.array([[0, 0], [1, 0], [0, 2]], np.float32), index_metric="COSINE")
    found = model.predict(np.array([[0, 0], [3, 0]], np.float32))
    assert found.distances.tolist() == [[1, 1, 1], [0, 1, 1]]


def recall(model: Model, exact: Model, asked: Matrix) -> float:
    """The share of the true neighbours that are found."""
    found, true = (m.predict(asked).labels.tolist() for m in (model, exact))
    hits = sum(len(set(f) & set(t)) for f, t in zip(found, true, strict=True))
    return hits / sum(map(len, true))


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({"index_type": "faiss.IVFFlat"}, 0.95),
        ({"index_type": "faiss.IVFFlat", "index_metric": "COSINE"}, 0.95),
        ({"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": 200}, 0.7),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 16}, 0.7),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 12}, 0.6),
        ({"dimension_reduction_type": "sign", "dimension_reduction_target": 48}, 0.4),
        ({"dimension_reduction_type": "fjlt", "dimension_reduction_target": 48}, 0.4),
    ],
    ids=str,
)
def test_what_is_approximate_finds_most_of_the_neighbours(
    given: dict[str, Any], least: float
) -> None:
    digits = load_digits().data.astype(np.float32)
    rows, asked = digits[:1500], digits[1500:]
    exact = model_of(rows, k=10, index_metric=given.get("index_metric", "L2"))
    assert recall(model_of(rows, k=10, **given), exact, asked) >= least


def test_the_number_of_lists_is_the_root_of_the_sample() -> None:
    assert model_of(random_rows(400, 4), index_type="faiss.IVFFlat").index.nlist == 20


def test_the_number_of_lists_can_be_chosen_and_five_are_looked_through() -> None:
    model = model_of(random_rows(400, 4), index_type="faiss.IVFFlat", faiss_index_ivf_nlists=8)
    assert (model.index.nlist, model.index.nprobe) == (8, 5)


@pytest.mark.parametrize("index_type", ["faiss.IVFFlat", "faiss.IVFPQ"])
def test_there_are_k_neighbours_even_where_five_lists_hold_fewer(index_type: str) -> None:
    model = model_of(
        random_rows(300, 4),
        k=200,
        index_type=index_type,
        faiss_index_ivf_nlists=30,
        faiss_index_pq_m=2,
    )
    found = model.predict(random_rows(40, 4, seed=1))
    assert all(len(set(row)) == 200 for row in found.labels.tolist())
    assert np.isfinite(found.distances).all()


@pytest.mark.parametrize("index_type", ["faiss.IVFFlat", "faiss.IVFPQ"])
def test_training_on_few_rows_prints_no_warnings_of_the_library(
    index_type: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model_of(random_rows(300, 4), index_type=index_type, faiss_index_pq_m=2)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        (2, {}, r"2 rows, fewer than k \(3\)"),
        (
            10,
            {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": 11},
            r"faiss_index_ivf_nlists \(11\) must not be greater than .* rows \(10\)",
        ),
        (
            255,
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 2},
            "needs a sample of at least 256 rows to train its codes, but there are 255",
        ),
    ],
)
def test_too_little_data_is_refused_with_how_much_is_needed(
    rows: int, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        model_of(random_rows(rows, 4), **given)


def test_a_sample_that_just_does_is_indexed() -> None:
    assert model_of(random_rows(3, 4), index_type="faiss.IVFFlat").index.ntotal == 3
    assert model_of(random_rows(256, 4), index_type="faiss.IVFPQ", faiss_index_pq_m=2).index.d == 4


def test_features_are_padded_with_zeros_where_the_parts_do_not_divide_them() -> None:
    rows = random_rows(300, 6)
    model = model_of(rows, index_type="faiss.IVFPQ", faiss_index_pq_m=4)
    assert (model.feature_dim, model.index.d) == (6, 8)
    whole = model_of(np.pad(rows, ((0, 0), (0, 2))), index_type="faiss.IVFPQ", faiss_index_pq_m=4)
    asked = random_rows(30, 6, seed=1)
    padded = np.pad(asked, ((0, 0), (0, 2)))
    assert model.predict(asked).labels.tolist() == whole.predict(padded).labels.tolist()


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
def test_a_reduction_target_is_raised_until_the_parts_divide_it(kind: str) -> None:
    model = model_of(
        random_rows(300, 10),
        dimension_reduction_type=kind,
        dimension_reduction_target=9,
        index_type="faiss.IVFPQ",
        faiss_index_pq_m=4,
    )
    assert model.reduction is not None
    assert (model.feature_dim, model.reduction.target_dim, model.index.d) == (10, 12, 12)
    assert model.predict(random_rows(2, 10)).labels.shape == (2, 3)


@pytest.mark.parametrize("metric", DISTANCES)
def test_distances_are_those_of_the_reduced_vectors(metric: str) -> None:
    rows, asked = random_rows(50, 16), random_rows(4, 16, seed=1)
    model = model_of(
        rows,
        k=4,
        index_metric=metric,
        dimension_reduction_type="sign",
        dimension_reduction_target=5,
    )
    assert model.reduction is not None
    assert model.index.d == 5
    exact = np.sort(DISTANCES[metric](model.reduction(asked), model.reduction(rows)), axis=1)
    assert np.allclose(model.predict(asked).distances, exact[:, :4], atol=1e-4)


@pytest.mark.parametrize("index_type", ["faiss.Flat", "faiss.IVFFlat"])
@pytest.mark.parametrize("queries", [1, 50], ids=["one", "many"])
def test_a_distance_beyond_single_precision_is_refused_not_guessed(
    queries: int, index_type: str
) -> None:
    model = model_of(random_rows(30, 4), index_type=index_type)
    with pytest.raises(DataError, match="does not fit into a 32-bit float: scale the features"):
        model.predict(np.full((queries, 4), 3e38, np.float32))


def test_the_indexes_are_faiss_own() -> None:
    rows = random_rows(300, 4)
    kinds = {
        "faiss.Flat": faiss.IndexFlat,
        "faiss.IVFFlat": faiss.IndexIVFFlat,
        "faiss.IVFPQ": faiss.IndexIVFPQ,
    }
    for index_type, kind in kinds.items():
        model = model_of(rows, index_type=index_type, faiss_index_pq_m=2)
        assert isinstance(model.index, kind)


@pytest.mark.parametrize("dim", [3, 4, 8])
def test_a_tree_finds_what_a_look_at_all_rows_finds(
    dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(random_rows(3000, dim), k=7)
    asked = random_rows(200, dim, seed=1)
    expected = model.predict(asked)
    monkeypatch.setattr("embedded_aws.knn.model.TREE_PAIRS", 0)
    found = model.predict(asked)
    assert np.allclose(found.distances, expected.distances, atol=1e-5)
    # Rounding to 32 bits swaps neighbours that are equally far but for the last digit.
    assert (found.labels == expected.labels).mean() > 0.99


def test_a_tree_finds_rows_that_are_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(np.ones((100, 2), np.float32), k=5)
    monkeypatch.setattr("embedded_aws.knn.model.TREE_PAIRS", 0)
    found = model.predict(np.zeros((30, 2), np.float32))
    assert found.distances.tolist() == [[2.0] * 5] * 30
    assert all(len(set(row)) == 5 for row in found.labels.tolist())


def test_a_tree_refuses_distances_too_large_for_a_float(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(np.array([[1e30], [-1e30], [0]], np.float32), k=2)
    monkeypatch.setattr("embedded_aws.knn.model.TREE_PAIRS", 0)
    with pytest.raises(DataError):
        model.predict(np.array([[1e30]] * 30, np.float32))
