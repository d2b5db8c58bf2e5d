"""Which column is the label: told, remembered, named as labels are, or the only one that can be."""

import random
import shlex
from urllib.parse import unquote

import pytest

from pipeline.settings import Settings
from preprocess.roles import LABEL_NAMES
from preprocess.settings import resolve_settings
from tests.unit.functions.preprocessing import csv_of, flowers, prepared, refusal_of

ROWS = 60


def words(*of: str) -> list[str]:
    return [of[row % len(of)] for row in range(ROWS)]


def numbers(*of: float) -> list[float]:
    return random.Random(len(of)).choices(of, k=ROWS)


def measured(seed: int = 1) -> list[str]:
    return [f"{random.Random(row + seed * 1000).gauss(5, 1):.3f}" for row in range(ROWS)]


def label_of(**columns: object) -> tuple[str, str]:
    found = prepared(csv_of(columns))  # type: ignore[arg-type]
    return found.table.label, found.column(found.table.label).reason


NAMED = ["Species", "LABEL", "Ground Truth", "is-fraud", "Outcome", "Survived", "Churn", "klasse"]


@pytest.mark.parametrize("name", [*NAMED, *sorted(LABEL_NAMES)])
def test_a_label_is_found_by_its_name_in_any_case_beside_words_and_small_numbers(name):
    found = label_of(colour=words("red", "blue"), **{name: words("a", "b", "c")}, n=numbers(1, 2))
    assert found == (name, "is called as labels are")


@pytest.mark.parametrize("values", [(0, 1), (1.0, 2.0, 3.0), (0.5, 1.5), tuple(range(25))])
def test_a_column_of_numbers_is_the_label_if_it_is_called_so(values):
    assert label_of(x=measured(), kind=words("a", "b"), target=numbers(*values))[0] == "target"


def test_the_only_column_of_words_is_the_label():
    why = "is the only column that can be the label"
    assert label_of(x=measured(), n=numbers(1, 2), type=words("a", "b")) == ("type", why)
    assert label_of(n=numbers(1, 2), ok=words("True", "False"), x=measured()) == ("ok", why)
    many = [f"kind {row // 2}" for row in range(ROWS)]
    assert label_of(x=measured(), kind=many) == ("kind", why)


def test_the_only_column_of_a_few_whole_numbers_is_the_label_if_all_others_measure():
    assert label_of(x=measured(), digit=numbers(0, 1, 2), z=measured(2))[0] == "digit"
    assert label_of(x=measured(), age=numbers(*range(21, 60)), sex=numbers(1, 2))[0] == "sex"


def test_a_column_that_identifies_rows_or_is_empty_or_constant_or_a_date_is_no_label():
    columns = {
        "id": range(ROWS),
        "name": [f"A{row}" for row in range(ROWS)],
        "x": measured(),
        "class": [""] * ROWS,
        "target": ["same"] * ROWS,
        "day": [f"2026-01-{row % 9 + 1:02}" for row in range(ROWS)],
        "kind": words("a", "b"),
    }
    assert label_of(**columns)[0] == "kind"


def test_a_label_that_most_rows_have_not_got_yet_is_the_label_by_its_name():
    columns = flowers(ROWS)
    columns["species"] = [s if row < 25 else "" for row, s in enumerate(columns["species"])]
    found = prepared(csv_of(columns))
    assert (found.table.label, found.survey.profile.kept) == ("species", 25)
    assert found.survey.profile.rejects == {"missing label": 35}


def test_a_y_beside_an_x_is_a_coordinate():
    at = {"x": numbers(*range(9)), "y": numbers(*range(8))}
    assert label_of(**at, kind=words("a", "b"))[0] == "kind"
    assert label_of(x1=measured(), y=numbers(0, 1), kind=words("a", "b"))[0] == "y"
    # But it is the label if there is no other.
    assert label_of(x=numbers(1, 2, 3), y=numbers(0, 1))[0] == "y"
    assert refusal_of(csv_of({"x": measured(), "y": measured(2)})).code == "NoLabel"


@pytest.mark.parametrize("beside", [{"x": measured()}, {"kind": words("a", "b")}], ids=list)
def test_measured_numbers_that_are_called_as_labels_are_refused_and_nothing_else_is_learned(beside):
    refusal = refusal_of(csv_of({**beside, "target": measured(2)}))
    assert refusal.code == "ContinuousLabel"
    assert 'column "target", holds measured numbers' in refusal.message


@pytest.mark.parametrize("values", [(0, 1), (1, 2)])
def test_a_last_column_of_two_numbers_is_as_likely_the_label_as_one_of_words(values):
    columns = {"age": measured(), "sex": words("f", "m"), "sick": numbers(*values)}
    refusal = refusal_of(csv_of(columns))
    assert refusal.code == "AmbiguousLabel"
    assert '"sex", "sick"' in refusal.message
    assert label_of(**{name: columns[name] for name in ("age", "sick", "sex")})[0] == "sex"


def commands(remedy: str) -> tuple[list[str], list[str]]:
    """Return the two commands that a refusal offers."""
    drop, copy = [line for line in remedy.splitlines() if line.startswith("    ")]
    return shlex.split(drop), shlex.split(copy)


@pytest.mark.parametrize("name", ["kind", "Größe in %", "it's; so", "a,b=c", "ярлык"])
@pytest.mark.parametrize("of_words", [True, False])
def test_what_is_ambiguous_is_refused_with_the_commands_that_settle_it(name, of_words):
    values = words("a", "b", "c") if of_words else numbers(1, 2, 3)
    content = csv_of({"x": measured(), "first one": values, name: values})
    refusal = refusal_of(content)
    assert refusal.code == "AmbiguousLabel"
    assert f'"first one", "{name}"' in refusal.message
    drop, copy = commands(refusal.remedy)
    assert drop == ["knn", "drop", "rows.csv", "--label", name]
    assert copy[:6] == ["aws", "s3", "cp", "rows.csv", "s3://inbox/rows.csv", "--metadata"]
    key, _, value = copy[6].partition("=")
    # A comma separates keys for the command line of AWS, and metadata is ASCII.
    assert "," not in value
    assert value.isascii()
    settings = resolve_settings({}, metadata={key: value}).settings
    assert prepared(content, settings).table.label == name == unquote(value)


def test_without_a_column_that_can_be_the_label_each_is_told_what_it_is():
    refusal = refusal_of(csv_of({"id": range(ROWS), "x": measured(), "z": measured(2)}))
    assert refusal.code == "NoLabel"
    assert '"id" counts the rows; "x" holds numbers; "z" holds numbers.' in refusal.message
    assert commands(refusal.remedy)[0][-2:] == ["--label", "z"]


def test_the_label_that_the_settings_name_is_taken_whatever_it_looks_like():
    content = csv_of(flowers(ROWS, cut=words("fair", "good")))
    assert prepared(content, Settings(label="CUT")).table.label == "cut"
    assert refusal_of(content, Settings(label="cot")).message.endswith('Do you mean "cut"?')
    empty = csv_of(flowers(ROWS, cut=[""] * ROWS))
    assert 'column "cut", has no class' in refusal_of(empty, Settings(label="cut")).message


def test_the_label_of_the_live_model_is_remembered():
    live = prepared(csv_of(flowers(ROWS, kind=words("a", "b"))), Settings(label="kind")).schema
    again = csv_of(flowers(ROWS, kind=words("a", "b")) | {"species": words("s", "v")})
    found = prepared(again, live=live)
    assert (found.table.label, found.column("kind").reason) == (
        "kind",
        "is the label of the live model",
    )


def test_a_file_without_the_label_of_the_live_model_is_refused_unless_changes_are_allowed():
    live = prepared(csv_of(flowers(ROWS))).schema
    columns = flowers(ROWS)
    columns["kind"] = columns.pop("species")
    refusal = refusal_of(csv_of(columns), live=live)
    assert refusal.code == "NoLabel"
    assert 'lacks "species", which the live model predicts' in refusal.message
    allowed = prepared(csv_of(columns), Settings(allow_changes=True), live=live)
    assert (
        allowed.table.label
        == prepared(csv_of(columns), Settings(label="kind"), live=live).table.label
    )
