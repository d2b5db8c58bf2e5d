import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances import MAX_INSTANCES, MAX_REQUEST_BYTES, BadRequest, request_to_csv

FEATURES = ("length", "width")
JSON = "application/json"


def refused(content_type: str, body: str) -> BadRequest:
    with pytest.raises(BadRequest) as error:
        request_to_csv(content_type, body, FEATURES)
    return error.value


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, '{"instances": [[5.1, 3.5], [4, 2e-1]]}'),
        (JSON, '{"instances": [{"width": 3.5, "length": 5.1}, {"length": 4, "width": 0.2}]}'),
        ("text/csv", "5.1,3.5\n4,0.2"),
        ("text/csv; charset=utf-8", "5.1, 3.5\r\n4,0.2\r\n"),
        ("TEXT/CSV", "width,length\n3.5,5.1\n0.2,4\n"),
    ],
)
def test_each_form_of_a_request_becomes_rows_in_the_order_of_the_features(content_type, body):
    assert request_to_csv(content_type, body, FEATURES) == b"5.1,3.5\n4,0.2\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"instances": [[1, 2], [1]]}', "Instance 1 has 1 value where the model has 2 features"),
        ('{"instances": [[1, "x"]]}', 'Instance 0: "width" is not a number: x'),
        ('{"instances": [[1, null]]}', 'Instance 0: "width" is not a number: null'),
        ('{"instances": [[1, true]]}', 'Instance 0: "width" is not a number: true'),
        ('{"instances": [[1, 1e300]]}', 'Instance 0: "width" is too large for a 32-bit float'),
        ('{"instances": [[1, NaN]]}', 'Instance 0: "width" is not a number'),
        ('{"instances": [[1, 1e999]]}', 'Instance 0: "width" is not a number'),
        ('{"instances": [[1, [2]]]}', 'Instance 0: "width" is not a number'),
        ('{"instances": [{"length": 1}]}', 'Instance 0 has no "width"'),
        ('{"instances": [{"length": 1, "width": 2, "depth": 3}]}', 'unknown "depth"'),
        ('{"instances": [5]}', "Instance 0 must be a list"),
        ('{"instances": []}', "no instance"),
        ('{"rows": [[1, 2]]}', '"instances"'),
        ("[[1, 2]]", '"instances"'),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_json_is_refused_naming_instance_and_feature(body, says):
    error = refused(JSON, body)
    assert error.status == 400
    assert says in error.message


def test_bad_csv_is_refused_naming_instance_and_feature():
    assert 'Instance 1: "length" is not a number: x' in refused("text/csv", "1,2\nx,3\n").message
    assert "Instance 0 has 3 values" in refused("text/csv", "1,2,3\n").message
    assert refused("text/csv", '"1,2\n').code == "InvalidCsv"
    assert refused("text/csv", "").code == "NoInstances"


def test_another_media_type_is_415():
    assert refused("application/xml", "<x/>").status == 415


def test_more_than_an_endpoint_takes_is_413():
    long = f"1.{'5' * 1000}"
    assert refused("text/csv", f"{long},{long}\n" * (MAX_REQUEST_BYTES // 2000)).status == 413


def test_more_instances_than_fit_into_an_answer_are_413():
    error = refused("text/csv", "1,2\n" * (MAX_INSTANCES + 1))
    assert error.status == 413
    assert "10,001 instances" in error.message


@given(st.text(), st.sampled_from([JSON, "text/csv"]))
def test_any_body_is_understood_or_refused(body, content_type):
    try:
        request_to_csv(content_type, body, FEATURES)
    except BadRequest as error:
        assert error.status == 400


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(finite, min_size=2, max_size=2), min_size=1, max_size=20))
def test_numbers_arrive_as_they_were_sent(instances):
    rows = request_to_csv(JSON, json.dumps({"instances": instances}), FEATURES).decode()
    arrived = [[float(field) for field in line.split(",")] for line in rows.splitlines()]
    assert arrived == instances
