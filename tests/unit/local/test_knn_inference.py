"""Requests for predictions and their answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.knn.errors import RequestError
from local.knn.inference import answer, parse_accept
from local.knn.model import Model
from local.knn.training import train
from tests.unit.local.test_knn_training import channel

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
HYPERPARAMETERS = {"k": "2", "sample_size": "10", "predictor_type": "classifier"}


@pytest.fixture(scope="module")
def model() -> Model:
    """Two features; label 0 around (0, 0), 1 around (10, 10)."""
    rows = b"0,0,0\n0,1,0\n1,10,10\n1,11,10\n"
    return train(HYPERPARAMETERS, {"train": channel(rows)}, print)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"0,0\n10,10", CSV),
        (b"0,0\r\n10,10\r\n", "text/csv; charset=utf-8"),
        (b'{"instances": [{"features": [0, 0]}, {"features": [10, 10.0]}]}', JSON),
        (
            b'{"instances": [{"data": {"features": {"values": [0, 0]}}},'
            b' {"data": {"features": {"values": [10, 10]}}}]}',
            JSON,
        ),
        (b'{"features": [0, 0]}\n{"data": {"features": {"values": [10, 10]}}}\n', LINES),
    ],
)
def test_every_documented_request_is_answered(model: Model, body: bytes, content_type: str) -> None:
    result, result_type = answer(model, body, content_type, JSON)
    assert result_type == JSON
    assert json.loads(result) == {
        "predictions": [{"predicted_label": 0.0}, {"predicted_label": 1.0}]
    }


def test_json_lines_answer_one_object_a_line(model: Model) -> None:
    result, result_type = answer(model, b"0,0\n10,10", CSV, LINES)
    assert result_type == LINES
    assert result == b'{"predicted_label": 0.0}\n{"predicted_label": 1.0}'


def test_verbose_adds_squared_distances_in_ascending_order_and_labels(model: Model) -> None:
    result, _ = answer(model, b"3,0", CSV, "application/json; verbose=true")
    assert json.loads(result) == {
        "predictions": [{"predicted_label": 0.0, "distances": [4.0, 9.0], "labels": [0.0, 0.0]}]
    }


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/html, application/json"])
def test_json_is_what_one_gets_without_asking(accept: str) -> None:
    assert parse_accept(accept) == (JSON, False)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        (b"1,2,3", CSV, 400, "rows of 3 features, but the model was trained on 2"),
        (b"1,nan", CSV, 400, "line 1, column 2"),
        (b"1,x", CSV, 400, "line 1, column 2"),
        (b"", CSV, 400, "no rows"),
        (b"1,2\n3", CSV, 400, "line 2 has 1 columns"),
        (b"{", JSON, 400, "not valid JSON"),
        (b"[[1, 2]]", JSON, 400, "the body must be"),
        (b'{"instances": [[1, 2]]}', JSON, 400, "instance 0 must be"),
        (b'{"instances": []}', JSON, 400, "no rows"),
        (b'{"instances": [{"features": [1, NaN]}]}', JSON, 400, "NaN is not a finite number"),
        (b'{"instances": [{"features": [1, 1e999]}]}', JSON, 400, "instance 0, feature 1"),
        (b'{"instances": [{"features": [1, "2"]}]}', JSON, 400, "instance 0 must be"),
        (b'{"instances": [{"features": [1, true]}]}', JSON, 400, "instance 0 must be"),
        (
            b'{"instances": [{"features": [1, 2]}, {"features": [1]}]}',
            JSON,
            400,
            "instance 1 has 1",
        ),
        (b'{"features": [1, 2]}\nnope', LINES, 400, "not valid JSON"),
        (b"1,2", "image/png", 415, "Content type 'image/png' is not supported"),
        (b"1,2", "", 415, "is not supported"),
    ],
)
def test_a_bad_request_is_refused_with_what_is_wrong(
    model: Model, body: bytes, content_type: str, status: int, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as refused:
        answer(model, body, content_type, JSON)
    assert refused.value.status == status


def test_an_answer_type_that_is_unknown_is_refused(model: Model) -> None:
    with pytest.raises(RequestError, match="not supported") as refused:
        answer(model, b"0,0", CSV, "text/html")
    assert refused.value.status == 406


@given(body=st.binary(max_size=80), content_type=st.sampled_from([JSON, LINES, CSV]))
def test_any_body_is_either_answered_or_refused(
    model: Model, body: bytes, content_type: str
) -> None:
    try:
        result, _ = answer(model, body, content_type, JSON)
    except RequestError as refused:
        assert refused.status == 400
    else:
        assert json.loads(result)["predictions"]


def test_huge_numbers_and_deep_nesting_are_refused(model: Model) -> None:
    for body in (b'{"instances": [{"features": [1, ' + b"9" * 500 + b"]}]}", b"[" * 100_000):
        with pytest.raises(RequestError):
            answer(model, body, JSON, JSON)
