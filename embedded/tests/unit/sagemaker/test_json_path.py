"""The JSONPath expressions of batch transform's filters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_aws.sagemaker.transform.json_path import (
    JsonPathError,
    NotFoundError,
    UnsupportedError,
    compile_path,
    unexpected_character,
)

RECORD = {"id": 7, "features": [5.1, 3.5, 1.4], "nested": {"a": {"b": 1}, "c": 2}}


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("$", RECORD),
        ("$.id", 7),
        ("$['id']", 7),
        ("$.features[0]", 5.1),
        ("$.features[-1]", 1.4),
        ("$['id','features']", {"id": 7, "features": [5.1, 3.5, 1.4]}),
        ("$.nested.['a','c']", {"a": {"b": 1}, "c": 2}),
        ("$.nested.*", [{"b": 1}, 2]),
        ("$.nested[*]", [{"b": 1}, 2]),
        ("$.features[0,2]", [5.1, 1.4]),
    ],
)
def test_the_documented_operators_select_what_they_say(expression: str, selected: Any) -> None:
    assert compile_path(expression).select(RECORD) == selected


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("$[0]", 0),
        ("$[-1]", 5),
        ("$[1:]", [1, 2, 3, 4, 5]),
        ("$[1:4]", [1, 2, 3, 4]),
        ("$[:5]", [0, 1, 2, 3, 4, 5]),
        ("$[0,4:]", [0, 4, 5]),
        ("$[0,-1]", [0, 5]),
        ("$[:-2]", [0, 1, 2, 3, 4]),
    ],
)
def test_columns_are_counted_from_0_and_slices_include_their_end(
    expression: str, columns: int | list[int]
) -> None:
    assert compile_path(expression).select(list(range(6))) == columns


@given(st.lists(st.integers(), min_size=1), st.data())
def test_a_slice_is_all_from_its_first_to_its_last(row: list[int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(row) - 1))
    last = data.draw(st.integers(first, len(row) - 1))
    assert compile_path(f"$[{first}:{last}]").select(row) == row[first : last + 1]
    backwards = f"$[{first - len(row)}:{last - len(row)}]"
    assert compile_path(backwards).select(row) == row[first : last + 1]


def test_what_follows_several_elements_applies_to_each() -> None:
    value = {"rows": [{"x": [1, 2]}, {"x": [3, 4]}]}
    assert compile_path("$.rows[*].x").select(value) == [[1, 2], [3, 4]]
    assert compile_path("$.rows[0:1].x[1]").select(value) == [2, 4]
    assert compile_path("$.rows.*.x[*]").select(value) == [1, 2, 3, 4]


@pytest.mark.parametrize("expression", ["$[6]", "$[-7]", "$[2:6]", "$.name", "$['a','b']"])
def test_what_is_not_there_is_an_error(expression: str) -> None:
    with pytest.raises(NotFoundError):
        compile_path(expression).select(list(range(6)))


def test_several_ranges_are_refused_once_they_are_applied() -> None:
    path = compile_path("$[0:2,246:]")
    with pytest.raises(UnsupportedError, match=r"Format \[0:2,246:\] is not supported"):
        path.select(list(range(300)))


@pytest.mark.parametrize(
    ("expression", "character"),
    [("$['a_b']", "_"), ('$["a"]', '"'), ("$.\u00e9", "\u00e9"), ("$['a-1', 'b'].*[0:-1]", None)],
)
def test_only_operators_letters_and_digits_are_known(
    expression: str, character: str | None
) -> None:
    assert unexpected_character(expression) == character


@pytest.mark.parametrize(
    "expression",
    ["", "features", "$.", "$[", "$[]", "$..id", "$[?(@.a)]", "$[1:2:3]", "$['a','b'].c", "$[a]"],
)
def test_anything_else_is_no_expression(expression: str) -> None:
    with pytest.raises(JsonPathError):
        compile_path(expression)


@given(st.text(max_size=63))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        compile_path(text)
    except JsonPathError as error:
        assert str(error)
