import json

import pytest

from dataset_schema import JSON_SCHEMA, DatasetSchema, parse_dataset_schema
from pipeline.errors import Refusal


def parsed(content: object) -> DatasetSchema:
    text = content if isinstance(content, str) else json.dumps(content)
    return parse_dataset_schema(text.encode(), "iris/schema.json")


def problem(content: object) -> str:
    with pytest.raises(Refusal) as refused:
        parsed(content)
    assert refused.value.code == "InvalidSchema"
    assert refused.value.remedy
    return refused.value.message


def test_everything_may_be_left_out():
    assert parsed({}) == DatasetSchema()


def test_each_field_of_the_json_schema_is_one_of_ours_with_the_same_default():
    properties = json.loads(JSON_SCHEMA.read_text())["properties"]
    fields = DatasetSchema().__dict__
    assert set(properties) - {"$schema"} == set(fields)
    defaults = {name: each["default"] for name, each in properties.items() if "default" in each}
    assert defaults.items() <= fields.items()
    assert all(each["description"] for name, each in properties.items() if name != "$schema")


def test_lists_become_tuples_and_an_editors_schema_is_passed_over():
    content = {"$schema": "dataset.schema.json", "label": "kind", "features": ["x", "y"]}
    assert parsed(content) == DatasetSchema(label="kind", features=("x", "y"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "iris/schema.json is not JSON"),
        ("[" * 100_000, "iris/schema.json is not JSON"),
        ([], "it must be object"),
        ({"lable": "x"}, 'there is no field "lable"; the fields are classes, '),
        ({"missing": "drop"}, 'the field "missing" must be one of'),
        ({"label": "x" * 257}, 'the field "label" must be shorter than or equal to 256'),
        ({"features": ["x" * 257]}, 'the field "features.0" must be shorter than or equal to 256'),
        ({"features": []}, 'the field "features" must contain at least 1 items'),
        ({"features": ["x", 5]}, 'the field "features.1" must be string'),
        ({"features": ["x", "x"]}, 'the field "features" must contain unique items'),
        ({"classes": ["a"]}, 'the field "classes" must contain at least 2 items'),
        ({"delimiter": "::"}, 'the field "delimiter" must be one of'),
        ({"label": "x", "features": ["x"]}, 'the field "features" has "x", which is the label'),
        ({"group": "x", "label": "x"}, 'the fields "group" and "label" name the same column'),
        ({"group": "g", "time": "t"}, 'the fields "group" and "time" ask for two different splits'),
        ({"time": "t", "duplicates": "same_side"}, '"time" and "duplicates" ask for two'),
        ({"decimal": ",", "thousands": ","}, 'the fields "thousands" and "decimal" are both ","'),
        ({"decimal": ",", "delimiter": ","}, 'the fields "decimal" and "delimiter" are both ","'),
        ({"classes": ["a", " b"]}, '" b" has spaces around it'),
    ],
)
def test_an_error_names_the_field(content, says):
    assert says in problem(content)


def test_a_message_is_short_whatever_it_quotes():
    assert len(problem({"x" * 300_000: 1})) < 1000
    assert len(Refusal("Code", "x" * 300_000, "None.").message) < 10_000
