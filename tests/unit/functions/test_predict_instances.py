"""What clients send: understood by the roles of the features, or refused with a name."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.endpoint import batches
from pipeline.schema import Role
from pipeline.transform import LARGEST, Encoding, Transform
from predict.errors import ApiError
from predict.instances import MAX_INSTANCES, request_to_csv

JSON = "application/json"
NUMBERS = Transform.of_numbers(["length", "width"])


def encoding(name: str, role: Role, values: tuple[str | None, ...] = ()) -> Encoding:
    width = len(values) or 1
    return Encoding(name, role, 30.0, values, (0.0,) * width, (1.0,) * width)


PASSENGERS = Transform(
    (
        encoding("age", Role.NUMBER),
        encoding("alone", Role.BOOLEAN),
        encoding("port", Role.CATEGORY, ("Southampton", "7", None, "")),
    )
)
"""A number, a boolean and a category, which may all be missing."""


def understood(instances: Any, transform: Transform = PASSENGERS) -> list[str]:
    return request_to_csv(JSON, json.dumps({"instances": instances}), transform)


def refused(content_type: str, body: str, transform: Transform = NUMBERS) -> ApiError:
    with pytest.raises(ApiError) as error:
        request_to_csv(content_type, body, transform)
    return error.value


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, '{"instances": [[5.1, 3.5], [4, 2e-1]]}'),
        (JSON, '{"instances": [{"width": 3.5, "length": 5.1}, {"length": 4, "width": 0.2}]}'),
        (JSON, '{"instances": [["5.1", " 3.5 "], ["4", "+.2"]]}'),
        ("text/csv", "5.1,3.5\n4,0.2"),
        ("text/csv; charset=utf-8", "5.1, 3.5\r\n4,0.2\r\n"),
        ("TEXT/CSV", "width,length\n3.5,5.1\n0.2,4\n"),
        ("text/csv", "\ufefflength,width\n5.1,3.5\n\n4,0.2\n"),
    ],
)
def test_each_form_of_a_request_becomes_rows_in_the_order_of_the_features(content_type, body):
    lines = request_to_csv(content_type, body, NUMBERS)
    rows = [[float(field) for field in line.split(",")] for line in lines]
    assert rows == [pytest.approx([5.1, 3.5]), pytest.approx([4, 0.2])]


@pytest.mark.parametrize(
    ("instance", "row"),
    [
        ([22, True, "Southampton"], "22,1,1,0,0,0\n"),
        ([22.5, False, 7], "22.5,0,0,1,0,0\n"),
        (["22", "yes", "7"], "22,1,0,1,0,0\n"),
        ([22, "False", "Cherbourg"], "22,0,0,0,1,0\n"),
        ([22, 1, 7.0], "22,1,0,1,0,0\n"),
        ([22, "0", " Southampton "], "22,0,1,0,0,0\n"),
        ([None, 0, None], "30,0,0,0,0,1\n"),
        (["NA", "n", "#N/A"], "30,0,0,0,0,1\n"),
        ({"port": "7", "alone": "T", "age": 3}, "3,1,0,1,0,0\n"),
    ],
)
def test_values_are_read_by_the_role_of_their_feature(instance, row):
    assert understood([instance]) == [row]


def test_a_missing_boolean_is_imputed_and_a_csv_reads_as_json_does():
    assert understood([[1, None, "7"]]) == ["1,30,0,1,0,0\n"]
    lines = request_to_csv("text/csv", "1,,7\n,no,\n", PASSENGERS)
    assert lines == understood([[1, None, "7"], [None, False, None]])


@pytest.mark.parametrize(
    ("instance", "says"),
    [
        ([22, 2, "7"], 'Instance 1: "alone" is not true or false: 2'),
        ([22, "maybe", "7"], 'Instance 1: "alone" is not true or false: maybe'),
        ([22, [], "7"], 'Instance 1: "alone" is not true or false: []'),
        ([True, True, "7"], 'Instance 1: "age" is not a number: true'),
        (["old", True, "7"], 'Instance 1: "age" is not a number: old'),
        ([1e19, True, "7"], 'Instance 1: "age" is too large: 1e+19'),
        ([22, True, ["7"]], 'Instance 1: "port" is neither a text nor a number: ["7"]'),
        ([22, True, {}], 'Instance 1: "port" is neither a text nor a number: {}'),
        ([22, True], "Instance 1 has 2 values where the model has 3 features: age, alone, port"),
    ],
)
def test_a_value_of_another_type_is_refused_naming_instance_and_feature(instance, says):
    body = json.dumps({"instances": [[22, True, "7"], instance]})
    error = refused(JSON, body, PASSENGERS)
    assert (error.status, error.code) == (400, "InvalidInstance")
    assert says in error.message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"instances": [[1, 2], [1]]}', "Instance 1 has 1 value where the model has 2 features"),
        ('{"instances": [[1, "x"]]}', 'Instance 0: "width" is not a number: x'),
        ('{"instances": [[1, null]]}', 'Instance 0: "width" is missing: null'),
        ('{"instances": [[1, true]]}', 'Instance 0: "width" is not a number: true'),
        ('{"instances": [[1, 1e300]]}', 'Instance 0: "width" is too large: 1e+300'),
        ('{"instances": [[1, NaN]]}', 'Instance 0: "width" is not a number'),
        ('{"instances": [[1, 1e999]]}', 'Instance 0: "width" is too large'),
        ('{"instances": [[1, -%s]]}' % ("9" * 5000), 'Instance 0: "width" is too large'),
        (
            '{"instances": [[1, "1_000"]]}',
            'Instance 0: "width" is not a plain number such as 1234.5: 1_000',
        ),
        ('{"instances": [[1, "45,35"]]}', 'Instance 0: "width" is not a plain number'),
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
    assert len(error.message) < 300


def test_bad_csv_is_refused_naming_instance_and_feature():
    assert 'Instance 1: "length" is not a number: x' in refused("text/csv", "1,2\nx,3\n").message
    assert 'Instance 0: "width" is missing: NA' in refused("text/csv", "1,NA\n").message
    assert "Instance 0 has 3 values" in refused("text/csv", "1,2,3\n").message
    assert refused("text/csv", '"1,2\n').code == "InvalidCsv"
    assert refused("text/csv", "").code == "NoInstances"


@pytest.mark.parametrize("number", [LARGEST, -LARGEST])
def test_a_number_is_too_large_just_beyond_the_largest(number):
    assert understood([[number, 1]], NUMBERS)
    beyond = math.nextafter(number, math.copysign(math.inf, number))
    for text in (str(beyond), str(int(beyond)), f'"{beyond}"'):
        assert "too large" in refused(JSON, f'{{"instances": [[{text}, 1]]}}').message


def test_another_media_type_is_415():
    assert refused("application/xml", "<x/>").status == 415


def test_more_instances_than_are_predicted_at_once_are_413():
    error = refused("text/csv", "1,2\n" * (MAX_INSTANCES + 1))
    assert error.status == 413
    assert "10,001 instances" in error.message


def test_too_many_instances_are_413_before_any_is_looked_at():
    nonsense = [["no", "numbers", "at", "all"]] * (MAX_INSTANCES + 1)
    assert refused(JSON, json.dumps({"instances": nonsense})).status == 413
    assert refused("text/csv", "x\n" * (MAX_INSTANCES + 1)).status == 413


UNUSED = ("survived", "name")
"""The label, and a column that the model leaves out."""


def test_an_object_may_carry_the_other_columns_of_the_training_file():
    row = {"age": 3, "alone": True, "port": "7", "survived": None, "name": {"any": "thing"}}
    lines = request_to_csv(JSON, json.dumps({"instances": [row]}), PASSENGERS, UNUSED)
    assert lines == ["3,1,0,1,0,0\n"]


def test_every_missing_and_every_unknown_name_is_named():
    row = {"age": 3, "Alone": True, "cabin": 1, "name": "x"}
    with pytest.raises(ApiError) as error:
        request_to_csv(JSON, json.dumps({"instances": [row]}), PASSENGERS, UNUSED)
    assert error.value.message == (
        'Instance 0 has no "alone", "port" and has an unknown "Alone", "cabin"; '
        "the features are age, alone, port."
    )


@pytest.mark.parametrize(
    "header",
    ["AGE,Alone,pORT", "Name,Port,SURVIVED,alone,age", "age, alone ,port"],
)
def test_a_csv_header_is_known_in_any_case_and_may_have_other_columns(header):
    values = {"age": "3", "alone": "yes", "port": "7", "name": "x", "survived": ""}
    row = ",".join(values[name.strip().lower()] for name in header.split(","))
    lines = request_to_csv("text/csv", f"{header}\n{row}\n", PASSENGERS, UNUSED)
    assert lines == ["3,1,0,1,0,0\n"]


def test_a_csv_header_may_have_columns_without_a_name():
    lines = request_to_csv("text/csv", ",width,length,\n1,3.5,5.1,\n", NUMBERS, [""])
    assert lines == ["5.0999999,3.5\n"]


def test_a_first_row_of_missing_values_is_no_header():
    assert request_to_csv("text/csv", ",,\n", PASSENGERS, ["", "name"]) == ["30,30,0,0,0,1\n"]


def test_case_counts_in_a_csv_header_where_it_is_all_that_tells_columns_apart():
    transform = Transform.of_numbers(["a", "A"])
    assert request_to_csv("text/csv", "A,a\n1,2\n", transform) == ["2,1\n"]


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("age,alone", 'The header has no "port"'),
        ("age,alone,port,cabin", 'The header has an unknown "cabin"'),
        ("age,alone,port,AGE", "The header names a column twice"),
    ],
)
def test_a_csv_header_that_is_not_the_models_is_refused_naming_what_is_wrong(header, says):
    error = refused("text/csv", f"{header}\n1,yes,7,1\n", PASSENGERS)
    assert (error.status, error.code) == (400, "InvalidCsv")
    assert says in error.message


def test_a_csv_row_that_is_not_as_wide_as_its_header_is_named():
    error = refused("text/csv", "width,length\n1,2\n3\n")
    assert error.message == "Instance 1 has 1 value where the header has 2 names."


class CountedName(str):
    """A name that counts how often it is compared with another."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_each_name_of_an_instance_is_looked_up_once_whatever_the_model_has():
    features = Transform.of_numbers([CountedName(f"x{n}") for n in range(500)])
    unknown = json.dumps({"instances": [{f"y{n}": 0 for n in range(1000)}]})
    CountedName.compared = 0
    error = refused(JSON, unknown, features)
    assert '"x0", "x1"' in error.message
    assert "and 980 more" in error.message
    assert len(error.message) < 1000
    header = ",".join(f"x{n}" for n in reversed(range(500)))
    request_to_csv("text/csv", f"{header}\n{header.replace('x', '')}\n", features)
    assert CountedName.compared < 20_000


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)
instances = st.lists(values, min_size=3, max_size=3)


@given(st.lists(instances | values, min_size=1, max_size=3))
def test_any_json_is_understood_or_refused(given_instances):
    try:
        understood(given_instances)
    except ApiError as error:
        assert error.status == 400


@given(st.text(), st.sampled_from([JSON, "text/csv"]))
def test_any_body_is_understood_or_refused(body, content_type):
    try:
        request_to_csv(content_type, body, NUMBERS)
    except ApiError as error:
        assert error.status == 400


finite = st.floats(-1e17, 1e17).map(np.float32).map(float)


@given(st.lists(st.lists(finite, min_size=2, max_size=2), min_size=1, max_size=20))
def test_numbers_arrive_as_they_were_sent(rows):
    lines = understood(rows, NUMBERS)
    arrived = [[np.float32(field) for field in line.split(",")] for line in lines]
    assert arrived == rows


# ------------------------------------------------------------------------------- large requests


@given(st.lists(st.integers(1, 400_000), max_size=40), st.integers(1, 10**6))
def test_lines_are_asked_in_order_and_in_batches_that_an_endpoint_takes(sizes, k):
    lines = ["x" * size for size in sizes]
    made = list(batches(lines, k))
    assert [line for batch in made for line in batch] == lines
    for batch in made:
        assert batch
        assert sum(map(len, batch)) <= 4_000_000
        # Each neighbour of each line answers with a label and a distance.
        longest = "999.0, " + "1.2345678901234567e-05, "
        assert len(batch) == 1 or len(batch) * k * len(longest) < 4_000_000


def test_ten_thousand_instances_of_41_neighbours_take_a_few_requests():
    lines = ["5.1,3.5,1.4,0.2\n"] * MAX_INSTANCES
    assert 4 <= len(list(batches(lines, 41))) <= 8
    assert len(list(batches(lines, 5))) == 1
