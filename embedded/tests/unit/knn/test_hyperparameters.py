"""Hyperparameters of k-NN: what is accepted, what is refused and how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_aws.knn.errors import ClientError
from embedded_aws.knn.hyperparameters import Hyperparameters, parse_hyperparameters

REQUIRED = {"k": "1", "sample_size": "1000", "predictor_type": "classifier"}
REDUCED = {"dimension_reduction_type": "sign", "dimension_reduction_target": "4"}


def test_defaults_are_the_documented_ones() -> None:
    assert parse_hyperparameters(REQUIRED) == Hyperparameters(
        k=1,
        predictor_type="classifier",
        sample_size=1000,
        feature_dim=None,
        dimension_reduction_type=None,
        dimension_reduction_target=None,
        index_type="faiss.Flat",
        index_metric="L2",
        faiss_index_ivf_nlists=None,
        faiss_index_pq_m=None,
        mini_batch_size=5000,
        nprobe=5,
    )


def test_all_hyperparameters_are_taken() -> None:
    given = {
        "feature_dim": "20",
        "k": "3",
        "predictor_type": "regressor",
        "sample_size": "500",
        "dimension_reduction_type": "fjlt",
        "dimension_reduction_target": "10",
        "index_type": "faiss.IVFPQ",
        "index_metric": "L2",
        "faiss_index_ivf_nlists": "7",
        "faiss_index_pq_m": "4",
        "mini_batch_size": "64",
        "epochs": "1",
    }
    assert parse_hyperparameters(given) == Hyperparameters(
        k=3,
        predictor_type="regressor",
        sample_size=500,
        feature_dim=20,
        dimension_reduction_type="fjlt",
        dimension_reduction_target=10,
        index_type="faiss.IVFPQ",
        index_metric="L2",
        faiss_index_ivf_nlists=7,
        faiss_index_pq_m=4,
        mini_batch_size=64,
    )


@pytest.mark.parametrize("name", ["feature_dim", "faiss_index_ivf_nlists"])
def test_auto_is_as_if_it_were_left_out(name: str) -> None:
    assert parse_hyperparameters({**REQUIRED, name: "auto"}) == parse_hyperparameters(REQUIRED)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_required_hyperparameter_is_named(name: str) -> None:
    given = {key: value for key, value in REQUIRED.items() if key != name}
    with pytest.raises(ClientError) as refused:
        parse_hyperparameters(given)
    assert str(refused.value) == (
        f"No value(s) were specified for '{name}' which are required hyperparameter(s) "
        f"(caused by ValidationError)\n\nCaused by: '{name}' is a required property"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", "0"),
        ("k", "-1"),
        ("k", "1.5"),
        ("k", ""),
        ("k", "auto"),
        ("k", "1_0"),
        ("k", "٣"),
        ("k", "9" * 5000),
        ("sample_size", "many"),
        ("feature_dim", "0"),
        ("mini_batch_size", "0"),
        ("dimension_reduction_target", "0"),
        ("faiss_index_ivf_nlists", "some"),
        ("_faiss_index_nprobe", "0"),
    ],
)
def test_a_value_that_is_no_positive_integer_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ClientError, match=f"is not valid for the '{name}' hyperparameter"):
        parse_hyperparameters({**REQUIRED, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("predictor_type", "cluster"),
        ("index_type", "faiss.HNSW"),
        ("index_metric", "L1"),
        ("index_metric", "l2"),
        ("dimension_reduction_type", "pca"),
        ("faiss_index_pq_m", "5"),
    ],
)
def test_a_value_that_is_not_among_the_choices_is_refused(name: str, value: str) -> None:
    with pytest.raises(
        ClientError,
        match=f"The value '{value}' is not valid for the '{name}' hyperparameter which accepts "
        "one of the following: '",
    ):
        parse_hyperparameters({**REQUIRED, name: value})


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(
        ClientError, match=r"Additional hyperparameters are not allowed \('depth' was unexpected\)"
    ):
        parse_hyperparameters({**REQUIRED, "depth": "3"})


def test_sagemakers_own_hyperparameters_are_passed_over() -> None:
    given = {**REQUIRED, "_tuning_objective_metric": "test:accuracy"}
    assert parse_hyperparameters(given) == parse_hyperparameters(REQUIRED)


def test_k_above_the_sample_size_is_refused() -> None:
    with pytest.raises(ClientError, match=r"k \(5\) must not be greater than sample_size \(4\)"):
        parse_hyperparameters({**REQUIRED, "k": "5", "sample_size": "4"})


@pytest.mark.parametrize("feature_dim", ["4", "3"])
def test_a_reduction_target_must_be_below_the_dimension(feature_dim: str) -> None:
    with pytest.raises(ClientError, match=rf"less than feature_dim \({feature_dim}\)"):
        parse_hyperparameters({**REQUIRED, **REDUCED, "feature_dim": feature_dim})


def test_a_reduction_type_needs_a_target() -> None:
    with pytest.raises(ClientError, match="'dimension_reduction_target' is required"):
        parse_hyperparameters({**REQUIRED, "dimension_reduction_type": "fjlt"})


@pytest.mark.parametrize("metric", ["INNER_PRODUCT", "COSINE"])
def test_product_quantisation_takes_no_metric_but_l2(metric: str) -> None:
    given = {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "2", "index_metric": metric}
    with pytest.raises(ClientError, match=r"not supported with index_type 'faiss\.IVFPQ'"):
        parse_hyperparameters({**REQUIRED, **given})


def test_product_quantisation_needs_its_number_of_parts() -> None:
    with pytest.raises(ClientError, match="'faiss_index_pq_m' is required"):
        parse_hyperparameters({**REQUIRED, "index_type": "faiss.IVFPQ"})


@given(st.dictionaries(st.sampled_from(["k", "sample_size", "feature_dim"]), st.text()))
def test_any_text_is_either_parsed_or_refused_with_a_client_error(given: dict[str, str]) -> None:
    try:
        parsed = parse_hyperparameters({**REQUIRED, **given})
    except ClientError:
        return
    assert parsed.k >= 1
    assert parsed.sample_size >= parsed.k
