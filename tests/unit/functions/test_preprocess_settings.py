"""Which settings are in force, and what is wrong with others."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Refusal
from pipeline.settings import Settings
from preprocess.settings import JSON_SCHEMA, Given, check_endpoint_kind, resolve_settings
from tests.unit.functions.preprocessing import csv_of, flowers, prepared


def resolved(schema: object = None, metadata: dict[str, str] | None = None, **stack: str) -> Given:
    text = schema if isinstance(schema, str) or schema is None else json.dumps(schema)
    return resolve_settings(stack, text and text.encode(), "iris/schema.json", metadata)


def problem(schema: object = None, metadata: dict[str, str] | None = None, **stack: str) -> str:
    with pytest.raises(Refusal) as refused:
        resolved(schema, metadata, **stack)
    assert refused.value.code == "InvalidSettings"
    assert "docs/datasets.md" in refused.value.remedy
    return refused.value.message


def test_everything_may_be_left_out():
    assert resolved({}) == resolved() == Given(Settings())


def test_each_setting_is_in_the_json_schema_with_the_same_default_and_a_description():
    properties = json.loads(JSON_SCHEMA.read_text())["properties"]
    fields = vars(Settings())
    assert list(properties) == ["$schema", *fields]
    defaults = {name: each["default"] for name, each in properties.items() if "default" in each}
    assert defaults.items() <= fields.items()
    assert all(each["description"] for name, each in properties.items() if name != "$schema")


# --------------------------------------------------------------------------- precedence


def test_the_upload_goes_before_the_schema_and_the_schema_before_the_stack():
    stack = {"k": "3", "seed": "1", "metric": "L2", "minimum_accuracy": "0.5"}
    given = resolved({"k": 5, "seed": 2}, {"k": "7"}, **stack)
    assert (given.settings.k, given.settings.seed, given.settings.metric) == (7, 2, "L2")
    assert given.settings.minimum_accuracy == 0.5
    assert (given.by_schema, given.by_upload) == (("k", "seed"), ("k",))


def test_auto_by_the_upload_takes_a_choice_of_the_schema_back():
    assert resolved({"k": 5}, {"k": "auto"}).settings.k == "auto"


@pytest.mark.parametrize(
    ("metadata", "field", "value"),
    [
        ({"label": "survived"}, "label", "survived"),
        ({"Label": " my label "}, "label", "my label"),
        ({"label": "Gr%C3%B6%C3%9Fe"}, "label", "Größe"),
        ({"label": "100%25"}, "label", "100%"),
        ({"label": "a;b"}, "label", "a;b"),
        ({"ignore": "id;name; ticket no ;"}, "ignore", ("id", "name", "ticket no")),
        ({"ignore": "a%3Bb;c%2Cd"}, "ignore", ("a;b", "c,d")),
        ({"test-fraction": "0.2"}, "test_fraction", 0.2),
        ({"test_fraction": "0.2"}, "test_fraction", 0.2),
        ({"max-test-rows": "500"}, "max_test_rows", 500),
        ({"allow-changes": "TRUE"}, "allow_changes", True),
        ({"allow-changes": "no"}, "allow_changes", False),
        ({"promote": "no"}, "promote", False),
        ({"endpoint-kind": "async"}, "endpoint_kind", "async"),
        ({"maximum-drop": "0.02"}, "maximum_drop", 0.02),
        ({"maximum-drop": "auto"}, "maximum_drop", "auto"),
        ({"k": "5"}, "k", 5),
        ({"sample-size": "auto"}, "sample_size", "auto"),
        ({"thousands": "%20"}, "thousands", " "),
        ({"delimiter": "%09"}, "delimiter", "\t"),
    ],
)
def test_metadata_has_hyphens_semicolons_and_percent_signs(metadata, field, value):
    given = resolved(metadata=metadata)
    assert getattr(given.settings, field) == value
    assert given.by_upload == (field,)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), unique=True
    )
)
def test_any_names_travel_as_metadata(names):
    names = [name for name in dict.fromkeys(each.strip() for each in names) if name]
    text = ";".join(quote(name) for name in names)
    assert text.isascii()
    assert resolved(metadata={"ignore": text}).settings.ignore == tuple(names)


def test_metadata_of_other_tools_is_none_of_ours():
    others = {"s3cmd-attrs": "uid:0", "mtime": "170000", "content-md5": "x", "source": "etl"}
    assert resolved(metadata=others) == Given(Settings())


def test_a_kind_of_endpoint_that_the_stack_can_not_have_is_refused_with_those_that_it_can():
    check_endpoint_kind(Settings(endpoint_kind="async"), ["async", "realtime"])
    with pytest.raises(Refusal) as refused:
        check_endpoint_kind(Settings(endpoint_kind="serverless"), ["async", "realtime"])
    assert refused.value.code == "EndpointKindNotOffered"
    assert "endpoint_kind is serverless" in refused.value.message
    assert "Set endpoint_kind to async or realtime" in refused.value.remedy


# --------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("{", "iris/schema.json is not JSON"),
        ("[" * 100_000, "iris/schema.json is not JSON"),
        ([], "iris/schema.json: it must be object"),
        ({"lable": "x"}, 'there is no setting "lable" (do you mean "label"?); the settings are'),
        ({"missing": "drop"}, '"missing" must be one of'),
        ({"label": "x" * 257}, '"label" must be shorter than or equal to 256'),
        ({"features": ["x" * 257]}, '"features.0" must be shorter than or equal to 256'),
        ({"features": ["x", 5]}, '"features.1" must be string'),
        ({"features": ["x", "x"]}, '"features" must contain unique items'),
        ({"classes": ["a"]}, '"classes" must contain at least 2 items'),
        ({"delimiter": "::"}, '"delimiter" must be one of'),
        ({"k": 0}, '"k"'),
        ({"minimum_accuracy": 1.5}, '"minimum_accuracy" must be smaller than or equal to 1'),
        ({"maximum_drop": 1.5}, '"maximum_drop" must be auto or a number in its range'),
        ({"endpoint_kind": "batch"}, '"endpoint_kind" must be one of'),
        ({"promote": "no"}, '"promote" must be boolean'),
    ],
)
def test_what_is_wrong_in_a_schema_is_named(schema, says):
    assert says in problem(schema)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"lable": "x"}, 'has "lable", which is no setting: it may mean "label"'),
        ({"test-fractions": "0.2"}, 'it may mean "test_fraction"'),
        ({"k": "many"}, 'the upload\'s metadata: "k"'),
        ({"test-fraction": "a fifth"}, '"test_fraction" must be number'),
        ({"missing": "drop"}, '"missing" must be one of'),
        ({"allow-changes": "maybe"}, '"allow_changes" must be boolean'),
    ],
)
def test_what_is_wrong_in_metadata_is_named(metadata, says):
    assert says in problem(metadata=metadata)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"label": "x", "features": ["x"]}, '"features" has "x", which is the label'),
        ({"group": "x", "features": ["x"]}, '"features" has "x", which is the group'),
        ({"label": "x", "ignore": ["x"]}, '"ignore" has "x", which is the label'),
        ({"features": ["x"], "ignore": ["x"]}, 'both "features" and "ignore" have "x"'),
        ({"group": "x", "label": "x"}, '"label" and "group" name the same column'),
        ({"time": "x", "label": "x"}, '"label" and "time" name the same column'),
        ({"group": "g", "time": "t"}, '"group" and "time" ask for two different splits'),
        ({"time": "t", "duplicates": "same_side"}, '"time" and "duplicates" ask for two'),
        ({"decimal": ",", "thousands": ","}, '"decimal" and "thousands" are both ","'),
        ({"decimal": ",", "delimiter": ","}, '"decimal" and "delimiter" are both ","'),
        ({"metric": "COSINE", "weights": "distance"}, '"weights" can be "distance" only with'),
        ({"classes": ["a", " b"]}, '" b" has spaces around it'),
    ],
)
def test_settings_that_contradict_each_other_are_named(settings, says):
    assert says in problem(settings)
    split = [dict([item]) for item in settings.items()]
    if len(split) > 1 and all(isinstance(value, str) for value in split[1].values()):
        assert says in problem(split[0], {k.replace("_", "-"): v for k, v in split[1].items()})


def test_a_time_may_be_a_feature_as_well():
    assert resolved({"time": "t", "features": ["t", "x"]}).settings.features == ("t", "x")


def test_a_message_is_short_whatever_it_quotes():
    assert len(problem({"x" * 300_000: 1})) < 2000
    assert len(Refusal("Code", "x" * 300_000, "None.").message) < 10_000


# --------------------------------------------------------------------------- repeating a run


COLUMNS = flowers(
    90,
    Id=range(90),
    colour=[("red", "blue", "green")[row % 3] for row in range(90)],
    ward=[row % 5 for row in range(90)],
    plan=[("yes", "no")[row % 2] for row in range(90)],
    amount=[f"${row % 50 + 900:,}" for row in range(0, 900, 10)],
    when=[f"2026-01-{row % 28 + 1:02}" for row in range(90)],
)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"categories": ["WARD"], "ignore": ["amount"]},
        {"label": "Plan", "features": ["width", "colour"]},
        {"group": "Ward"},
        {"time": "when", "missing": "mean"},
        {"label": "colour", "classes": ["red", "blue", "green"], "seed": 5},
    ],
)
def test_the_settings_of_a_run_alone_give_the_same_table_again(settings):
    content = csv_of(COLUMNS, ";")
    first = prepared(content, resolved(settings).settings)
    kept = json.loads(json.dumps(first.settings.as_dict()))
    again = prepared(content, resolved(kept).settings)
    assert again.settings == first.settings
    assert [(c.name, c.role, c.format) for c in again.table.columns] == [
        (c.name, c.role, c.format) for c in first.table.columns
    ]
    assert again.table.features == first.table.features
    assert again.clean == first.clean
    assert again.survey.state() == first.survey.state()


def test_the_settings_of_a_run_name_columns_as_the_file_does():
    settings = prepared(csv_of(COLUMNS), Settings(group="WARD", ignore=("ID", "nothing"))).settings
    assert (settings.group, settings.ignore, settings.label) == ("ward", ("Id",), "species")
    assert settings.features == ("length", "width", "colour", "plan", "amount")
    assert settings.categories == ("colour",)
    assert settings.delimiter == ","


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"label": "specie"}, 'The setting "label" names a column "specie", but the file'),
        ({"features": ("length", "z")}, 'The setting "features" names a column "z"'),
        ({"group": "z"}, '"group" names a column "z"'),
        ({"time": "z"}, '"time" names a column "z"'),
        ({"categories": ("z",)}, '"categories" names a column "z"'),
    ],
)
def test_a_column_that_the_settings_name_and_the_file_has_not_is_refused_by_name(settings, says):
    with pytest.raises(Refusal) as refused:
        prepared(csv_of(COLUMNS), Settings(**settings))
    assert refused.value.code == "MissingColumn"
    assert says in refused.value.message


@pytest.mark.parametrize("text", ['{"minimum_accuracy": NaN}', '{"max_rejected_fraction": 1e999}'])
def test_numbers_that_are_not_finite_are_refused(text):
    with pytest.raises(Refusal, match="is not a finite number"):
        resolve_settings({}, text.encode(), "iris/schema.json", {})
    with pytest.raises(Refusal, match="test_fraction"):
        resolve_settings({}, None, metadata={"test-fraction": "nan"})


def test_a_whole_number_may_have_a_point_in_a_schema():
    given = resolve_settings({}, b'{"k": 5.0, "seed": 1.0, "test_fraction": 0.5}').settings
    assert (repr(given.k), repr(given.seed), given.test_fraction) == ("5", "1", 0.5)


def test_a_tab_and_a_space_have_names():
    given = resolve_settings({}, None, metadata={"delimiter": "tab", "thousands": "Space"})
    assert (given.settings.delimiter, given.settings.thousands) == ("\t", " ")
