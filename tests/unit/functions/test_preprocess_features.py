"""Features keep their order and their types for the life of a dataset."""

import pytest

from pipeline.schema import Column, Role, Schema
from pipeline.settings import Settings
from tests.unit.functions.preprocessing import csv_of, flowers, prepared, refusal_of

ROWS = 60
COLUMNS = flowers(
    ROWS,
    colour=[("red", "blue", "green")[row % 3] for row in range(ROWS)],
    plan=[("True", "False")[row % 2] for row in range(ROWS)],
)
LIVE = prepared(csv_of(COLUMNS)).schema


def test_known_features_keep_their_places_and_new_ones_follow():
    new = {"depth": [row / 4 for row in range(ROWS)]}
    columns = new | {name: COLUMNS[name] for name in reversed(COLUMNS)}
    found = prepared(csv_of(columns), live=LIVE)
    assert found.table.features == ("length", "width", "colour", "plan", "depth")
    assert found.column("depth").reason == "holds numbers"
    assert found.column("width").reason == "is a feature of the live model"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"width": None}, 'the file lacks the column "width"'),
        ({"colour": [""] * ROWS}, 'the column "colour" has no value at all'),
        ({"length": ["long", "short"] * 30}, '"length" was of the type number and is now category'),
        ({"plan": ["a", "b", "c"] * 20}, '"plan" was of the type boolean and is now category'),
        ({"width": ["yes", "no"] * 30}, '"width" was of the type number and is now boolean'),
        ({"width": [10.0**30 * row for row in range(ROWS)]}, "too large for a 32-bit float"),
    ],
)
def test_a_file_that_would_break_clients_is_refused_unless_changes_are_allowed(changes, says):
    columns = {name: v for name, v in (COLUMNS | changes).items() if v is not None}
    refusal = refusal_of(csv_of(columns), live=LIVE)
    assert (refusal.code, says in refusal.message) == ("IncompatibleFeatures", True), (
        refusal.message
    )
    assert "allow-changes=true" in refusal.remedy
    allowed = prepared(csv_of(columns), Settings(allow_changes=True, label="species"), live=LIVE)
    assert allowed.table.label == "species"


@pytest.mark.parametrize(
    "changes",
    [
        {"width": [3] * ROWS},
        {"width": ["", "", 1.5] * 20},
        {"width": list(range(ROWS))},
        {"width": [f"${row:,}" for row in range(900, 900 + 10 * ROWS, 10)]},
        {"plan": ["False"] * ROWS},
        {"plan": [row % 2 for row in range(ROWS)]},
        {"colour": ["red"] * ROWS},
        {"colour": [f"colour {row}" for row in range(ROWS)]},
        {"colour": ["", "", "red"] * 20},
    ],
)
def test_a_known_feature_stays_what_it_was_though_by_itself_it_would_be_left_out(changes):
    found = prepared(csv_of(COLUMNS | changes), live=LIVE)
    assert found.table.features == LIVE.features
    for name in LIVE.features:
        assert found.column(name).role is LIVE.column(name).role
    assert not found.rejects


def test_a_feature_of_the_live_model_that_is_named_as_the_label_is_refused():
    refusal = refusal_of(csv_of(COLUMNS), Settings(label="colour"), live=LIVE)
    assert 'the column "colour" is the label as the settings say' in refusal.message


def test_settings_that_name_the_features_in_another_order_are_refused():
    other = Settings(features=("width", "length", "colour", "plan"))
    assert "in another order" in refusal_of(csv_of(COLUMNS), other, live=LIVE).message
    same = Settings(features=(*LIVE.features,))
    assert prepared(csv_of(COLUMNS), same, live=LIVE).table.features == LIVE.features
    fewer = Settings(features=LIVE.features[:2])
    assert refusal_of(csv_of(COLUMNS), fewer, live=LIVE).code == "IncompatibleFeatures"


def test_a_live_model_of_a_release_without_roles_has_numbers_as_features():
    schema = {"label": "species", "features": ["length", "width"], "classes": ["setosa"]}
    live = Schema.from_dict(schema)
    assert live.column("length") == Column("length", Role.NUMBER, "")
    found = prepared(csv_of(COLUMNS), live=live)
    assert found.table.features == ("length", "width", "colour", "plan")


def test_the_settings_choose_features_and_the_rest_is_ignored_with_the_reason():
    found = prepared(csv_of(COLUMNS), Settings(features=("plan", "Length")))
    assert found.table.features == ("plan", "length")
    assert found.column("width") == Column(
        "width", Role.IGNORED, "is not among the features of the settings"
    )
    assert found.column("width").role is Role.IGNORED


def test_without_any_feature_a_file_is_refused_with_what_each_column_is():
    refusal = refusal_of(csv_of({"id": range(ROWS), "species": COLUMNS["species"]}))
    assert refusal.code == "NoFeatures"
    assert '"id" counts the rows.' in refusal.message
