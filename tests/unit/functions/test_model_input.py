"""What the model is asked is what it has learned from: in Validate and in Predict."""

import json

import pytest

from batches import batches
from instances import BadRequest, request_to_csv
from pipeline.transform import FeatureTransform, Transform

SCALED = Transform((FeatureTransform("5", 5.0, 2.0), FeatureTransform("1", 0.0, 4.0)))
FEATURES = ("length", "width")


def test_held_out_rows_are_asked_transformed_and_kept_as_they_were():
    (batch,) = batches(["1,7,2\n", "0,,8e-1\n"], SCALED)
    assert batch.body == b"1.00000000,0.50000000\n0.00000000,0.20000000\n"
    assert batch.features == [["7", "2"], ["", "8e-1"]]
    assert batch.labels == [1, 0]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps({"instances": [[7, 2], [None, 0.8]]})),
        ("application/json", json.dumps({"instances": [[7, 2], {"width": 0.8, "length": None}]})),
        ("text/csv", "7,2\nNA,0.8\n"),
        ("text/csv", "width,length\n2,7\n0.8,\n"),
    ],
)
def test_requests_are_transformed_and_missing_values_imputed(content_type, body):
    rows = request_to_csv(content_type, body, FEATURES, SCALED, imputes=True)
    assert rows == b"1.00000000,0.50000000\n0.00000000,0.20000000\n"


def test_without_imputation_a_missing_value_is_refused():
    for transform in (None, SCALED):
        with pytest.raises(BadRequest) as refused:
            request_to_csv("text/csv", "7,NA\n", FEATURES, transform)
        assert 'Instance 0: "width" is not a number: NA' in refused.value.message


def test_a_value_is_checked_before_it_is_transformed():
    with pytest.raises(BadRequest) as refused:
        request_to_csv("text/csv", "7,1e39\n", FEATURES, SCALED, imputes=True)
    assert "too large for a 32-bit float" in refused.value.message
