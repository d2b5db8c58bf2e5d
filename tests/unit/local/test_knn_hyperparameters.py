"""Hyperparameters of k-NN: what is accepted, what is refused and how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.knn.errors import ClientError
from local.knn.hyperparameters import Hyperparameters, parse_hyperparameters

REQUIRED = {"k": "1", "sample_size": "1000", "predictor_type": "classifier"}


def test_defaults_are_the_documented_ones() -> None:
    assert parse_hyperparameters(REQUIRED) == Hyperparameters(
        k=1,
        predictor_type="classifier",
        sample_size=1000,
        feature_dim=None,
        index_type="faiss.Flat",
        index_metric="L2",
        mini_batch_size=5000,
    )


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_required_hyperparameter_is_named(name: str) -> None:
    given = {key: value for key, value in REQUIRED.items() if key != name}
    with pytest.raises(ClientError, match=f"'{name}' is a required hyperparameter"):
        parse_hyperparameters(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", "0"),
        ("k", "-1"),
        ("k", "1.5"),
        ("k", ""),
        ("sample_size", "many"),
        ("feature_dim", "0"),
        ("mini_batch_size", "0"),
        ("predictor_type", "cluster"),
        ("index_type", "faiss.HNSW"),
        ("index_metric", "L1"),
        ("faiss_index_ivf_nlists", "some"),
        ("faiss_index_pq_m", "5"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ClientError, match=name):
        parse_hyperparameters({**REQUIRED, name: value})


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(ClientError, match="'epochs' was unexpected"):
        parse_hyperparameters({**REQUIRED, "epochs": "3"})


def test_sagemakers_own_hyperparameters_are_passed_over() -> None:
    given = {**REQUIRED, "_tuning_objective_metric": "test:accuracy"}
    assert parse_hyperparameters(given) == parse_hyperparameters(REQUIRED)


def test_k_above_the_sample_size_is_refused() -> None:
    with pytest.raises(ClientError, match=r"k \(5\) must not be greater than sample_size \(4\)"):
        parse_hyperparameters({**REQUIRED, "k": "5", "sample_size": "4"})


def test_a_reduction_target_must_be_below_the_dimension() -> None:
    given = {
        **REQUIRED,
        "feature_dim": "4",
        "dimension_reduction_type": "sign",
        "dimension_reduction_target": "4",
    }
    with pytest.raises(ClientError, match=r"less than feature_dim \(4\)"):
        parse_hyperparameters(given)


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ClientError, match="'pca' is not one of 'sign', 'fjlt'"):
        parse_hyperparameters({**REQUIRED, "dimension_reduction_type": "pca"})


def test_a_reduction_type_needs_a_target() -> None:
    with pytest.raises(ClientError, match="'dimension_reduction_target' is required"):
        parse_hyperparameters({**REQUIRED, "dimension_reduction_type": "fjlt"})


@pytest.mark.parametrize("metric", ["INNER_PRODUCT", "COSINE"])
def test_product_quantisation_takes_no_metric_but_l2(metric: str) -> None:
    with pytest.raises(ClientError, match=r"not supported with faiss\.IVFPQ"):
        parse_hyperparameters({**REQUIRED, "index_type": "faiss.IVFPQ", "index_metric": metric})


@pytest.mark.parametrize(
    "given",
    [
        {"index_type": "faiss.IVFFlat"},
        {"index_metric": "COSINE"},
        {"dimension_reduction_type": "sign", "dimension_reduction_target": "2"},
    ],
)
def test_what_is_documented_but_not_built_is_refused_not_ignored(given: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="not available here"):
        parse_hyperparameters({**REQUIRED, **given})


@given(st.dictionaries(st.sampled_from(["k", "sample_size", "feature_dim"]), st.text()))
def test_any_text_is_either_parsed_or_refused_with_a_client_error(given: dict[str, str]) -> None:
    try:
        parsed = parse_hyperparameters({**REQUIRED, **given})
    except ClientError:
        return
    assert parsed.k >= 1
    assert parsed.sample_size >= parsed.k
