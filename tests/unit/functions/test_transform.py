"""What the model sees of a row is the same in Split, by numpy, and in Predict, by Python."""

import csv
import io
import json
import math
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import transform as pipeline_transform
from pipeline.endpoint import csv_lines
from pipeline.schema import Column, Role, Schema
from pipeline.transform import (
    FARTHEST,
    GRAIN,
    LARGEST,
    BadValue,
    Encoding,
    Transform,
)
from split.encode import Encoder, mapped
from split.labelled import read_rows
from tabular import numbers

NUMBERS = st.one_of(
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.2f}"),
    st.integers(-50, 50).map(str),
    st.floats(-LARGEST, LARGEST).map(repr),
    st.sampled_from(["5.", ".5", "-0", "+3", "1e3", "-1e-30", "0.30000000000000004", "1E-320"]),
)
MISSING = st.sampled_from(["", "NA", "nan", "?", "#N/A", "None"])
BOOLEANS = st.sampled_from(["true", "False", "YES", "n", "t", "F", "0", "1"])
WORDS = st.sampled_from(["red", "Red", "blue", "1", "1.0", "-2.0", "0.10", "ä ö", "a,b", "Z"])
TEXTS = {Role.NUMBER: NUMBERS, Role.BOOLEAN: BOOLEANS, Role.CATEGORY: WORDS}

anything = st.floats(-1e6, 1e6)
factors = st.sampled_from([1.0, 0.1, 3.0, 1e-300, 1e-9, 7e5]) | st.floats(1e-3, 1e3)
roles = st.sampled_from(list(TEXTS))
weights = st.integers(-(2**18), 2**18).map(lambda n: n * GRAIN)


@st.composite
def encodings(draw: st.DrawFn) -> Encoding:
    role = draw(roles)
    values = ()
    if role is Role.CATEGORY:
        words = st.lists(WORDS.map(pipeline_transform.category_of), max_size=4, unique=True)
        values = (*draw(words), *draw(st.sampled_from([(), (None,), ("",), (None, "")])))
        values = values or ("red",)
    width = len(values) or 1
    fill = draw(st.sampled_from([0.0, 1.0])) if role is Role.BOOLEAN else draw(anything)
    offsets = draw(st.lists(anything, min_size=width, max_size=width))
    scales = draw(st.lists(factors, min_size=width, max_size=width))
    return Encoding("", role, fill, values, tuple(offsets), tuple(scales))


@st.composite
def transforms(draw: st.DrawFn) -> Transform:
    found = draw(st.lists(encodings(), min_size=1, max_size=5))
    named = [Encoding(**vars(each) | {"name": f"x{n}"}) for n, each in enumerate(found)]
    width = sum(len(each.offsets) for each in named)
    row = st.lists(weights, min_size=width, max_size=width).map(tuple)
    matrix = draw(st.none() | st.lists(row, min_size=1, max_size=4).map(tuple))
    return Transform(tuple(named), matrix)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Transform, list[list[str]]]:
    transform = draw(transforms())
    row = st.tuples(*(TEXTS[each.role] | MISSING for each in transform.encodings)).map(list)
    return transform, draw(st.lists(row, min_size=1, max_size=12))


def as_split_sees(transform: Transform, rows: list[list[str]]) -> np.ndarray:
    """What numpy makes of rows that stand in a file, behind a label."""
    columns = [Column(each.name, each.role, "") for each in transform.encodings]
    names = tuple(each.name for each in transform.encodings)
    schema = Schema("label", names, ("a",), {}, (Column("label", Role.LABEL, ""), *columns))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(["a", *row] for row in rows)
    encoder, found = Encoder(schema, transform), []
    for each in read_rows(schema, [text.getvalue().encode()]):
        found.append(np.zeros((len(each.labels), transform.feature_dim), np.float32))
        encoder.model_input(each.rows, found[-1])
    return np.concatenate(found)


def bits(rows: Any) -> list[list[int]]:
    return np.array(rows, np.float32).view(np.uint32).tolist()


@settings(max_examples=300)
@given(tables())
def test_python_and_numpy_give_the_same_floats_bit_for_bit(table):
    transform, rows = table
    assert bits(transform.apply(rows)) == bits(as_split_sees(transform, rows))


@settings(max_examples=100)
@given(tables())
def test_values_of_json_give_what_their_texts_do(table):
    transform, rows = table

    def value(role: Role, text: str) -> Any:
        if text.lower() in pipeline_transform.MISSING:
            return None
        if role is Role.BOOLEAN:
            return bool(pipeline_transform.BOOLEANS[text.lower()])
        return float(text) if role is Role.NUMBER or text in ("1", "1.0", "-2.0") else text

    typed = [
        [value(each.role, text) for each, text in zip(transform.encodings, row, strict=True)]
        for row in rows
    ]
    assert bits(transform.apply(json.loads(json.dumps(typed)))) == bits(transform.apply(rows))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 12, 80]))
def test_sums_are_exact_as_long_as_they_are_below_the_limit(seed, width):
    draw = np.random.default_rng(seed)
    matrix = np.rint(draw.uniform(-1, 1, (12, width)) / GRAIN) * GRAIN
    scores = draw.standard_cauchy((width, 20))
    # Of many columns not all are as far away as can be.
    scores *= np.minimum(1, 2**16 / width / np.abs(scores).max())
    told = tuple(Encoding(f"x{n}", Role.NUMBER, None) for n in range(width))
    transform = Transform(told, tuple(map(tuple, matrix.tolist())))
    assert bits(transform.apply(scores.T.tolist())) == bits(mapped(scores, transform.matrix))


@given(st.integers(0, 2**32 - 1))
def test_beyond_it_they_differ_by_a_unit_in_the_last_place_at_most(seed):
    draw = np.random.default_rng(seed)
    width = 400
    matrix = np.rint(draw.uniform(-1, 1, (12, width)) / GRAIN) * GRAIN
    scores = draw.uniform(-FARTHEST, FARTHEST, (width, 20))
    told = tuple(Encoding(f"x{n}", Role.NUMBER, None) for n in range(width))
    transform = Transform(told, tuple(map(tuple, matrix.tolist())))
    asked, learned = np.array(transform.apply(scores.T.tolist())), mapped(scores, transform.matrix)
    assert (np.abs(asked - learned) <= np.spacing(np.abs(learned))).all()


@settings(max_examples=100)
@given(tables())
def test_whatever_is_sent_the_model_sees_numbers_whose_squares_are_finite(table):
    transform, rows = table
    seen = np.array(transform.apply(rows), np.float32)
    assert np.isfinite(seen * seen).all()


@given(st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=1))
def test_rows_of_csv_are_the_same_floats_when_they_are_read(rows):
    lines = csv_lines([tuple(array("f", row)) for row in rows])
    read = np.array([line.split(",") for line in lines], np.float32)
    np.testing.assert_array_equal(read, np.array(rows, np.float32))


@given(transforms())
def test_a_transform_goes_through_json_unchanged(transform):
    assert Transform.from_dict(json.loads(json.dumps(transform.as_dict()))) == transform


def test_a_transform_of_an_earlier_release_is_understood():
    earlier = {"a": {"fill": "5", "offset": 5.0, "scale": 2.0}, "b": {"fill": None}}
    transform = Transform.from_dict({"features": earlier})
    assert [list(row) for row in transform.apply([[7, "1.5"], [None, 2]])] == [[1, 1.5], [0, 2]]
    with pytest.raises(BadValue, match="is missing"):
        transform.apply([[7, ""]])


def test_numbers_as_they_are_have_no_transform():
    transform = Transform.of_numbers(["a", "b"])
    assert transform.is_plain
    assert transform.feature_dim == 2
    assert [list(row) for row in transform.apply([["1e2", 3]])] == [[100, 3]]


def test_both_ways_of_reading_know_the_same_words_for_missing_values():
    assert pipeline_transform.MISSING == numbers.MISSING


ALL = Transform(
    (
        Encoding("size", Role.NUMBER, None),
        Encoding("alive", Role.BOOLEAN, None),
        Encoding("colour", Role.CATEGORY, None, ("red", None), (0.0, 0.0), (1.0, 1.0)),
    )
)
NESTED = [[], [1], {}, {"a": [1]}, [[[]]]]


@pytest.mark.parametrize(
    ("column", "values", "why"),
    [
        ("size", [1e300, -1e300, 10**400, -(10**19), "1e19", "1" * 30], "is too large"),
        ("size", [math.inf, -math.inf, "inf", "1e999"], "is too large"),
        ("size", ["", None, " NA ", "?"], "is missing"),
        (
            "size",
            ["1_000", "0x10", "٣", "1,5", "1 2", "nan(1)", "--1"],
            "is not a plain number such as 1234.5",
        ),
        ("size", ["red", True, False, math.nan, *NESTED], "is not a number"),
        ("alive", ["", None, "null"], "is missing"),
        (
            "alive",
            ["maybe", 2, -1, 0.5, "yes no", math.nan, math.inf, *NESTED],
            "is not true or false",
        ),
        ("colour", ["", None, "n/a"], "is missing"),
        ("colour", [math.nan, math.inf, -math.inf, *NESTED], "is neither a text nor a number"),
    ],
)
def test_a_value_that_a_column_cannot_have_is_refused_with_its_row_and_column(column, values, why):
    good: list[Any] = [1, True, "red"]
    place = ["size", "alive", "colour"].index(column)
    for value in values:
        bad = [*good[:place], value, *good[place + 1 :]]
        with pytest.raises(BadValue) as refused:
            ALL.apply([good, good, bad, good])
        assert (refused.value.row, refused.value.column, refused.value.why) == (2, column, why), (
            value
        )


@pytest.mark.parametrize("text", ["1_000", "٣", "inf", "1e999", "-1e19", "nan(1)", "", "x"])
def test_a_text_among_texts_is_read_as_strictly_as_one_alone(text):
    size = Transform((Encoding("size", Role.NUMBER, None),))
    assert size.apply([["1"], [" 2.5 "]]) == [(1.0,), (2.5,)]
    with pytest.raises(BadValue) as refused:
        size.apply([["1"], [text], ["2"]])
    assert refused.value.row == 1


def test_whole_numbers_stand_among_others_however_large():
    size = Transform((Encoding("size", Role.NUMBER, None),))
    assert size.apply([[1], [2.5], [10**18]]) == [(1.0,), (2.5,), (float(np.float32(1e18)),)]
    for number in (10**19, 10**400):
        with pytest.raises(BadValue, match="too large"):
            size.apply([[1], [number]])


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", " true ", "YES", "t", "Y", "1.0"], ids=repr)
def test_what_is_true_may_be_written_in_many_ways(value):
    ((_, alive, *_),) = ALL.apply([[1, value, "red"]])
    assert alive == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [("red", [1, 0]), (" red ", [1, 0]), ("Red", [0, 1]), (7, [0, 1]), (True, [0, 1])],
)
def test_a_value_that_is_not_listed_is_one_of_the_others(value, expected):
    ((_, _, *colour),) = ALL.apply([[1, 0, value]])
    assert colour == expected


@pytest.mark.parametrize("value", [3, 3.0, "3", "3.0", " 3 "])
def test_a_whole_number_that_is_a_category_may_have_a_point(value):
    """pandas writes 3.0 if one is missing, and JSON has one kind of number."""
    deck = Encoding("deck", Role.CATEGORY, 0.0, ("3", ""), (0.0, 0.0), (1.0, 1.0))
    assert list(Transform((deck,)).apply([[value]])[0]) == [1, 0]
    assert list(Transform((deck,)).apply([[None]])[0]) == [0, 1]
