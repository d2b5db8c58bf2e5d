"""Rows to score: which of a file can be scored, and what the model sees of them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.endpoint import csv_lines
from pipeline.errors import Refusal
from pipeline.rejects import Reject, as_refusals
from pipeline.schema import Column, Role, Schema
from pipeline.settings import Settings
from pipeline.transform import Encoding, Transform
from score.rows import Batch
from score.words import body, subject
from tabular.text import Text

SCHEMA = Schema(
    label="species",
    features=("length", "price", "kind", "wet"),
    classes=("a", "b"),
    columns=(
        Column("id", Role.IDENTIFIER, ""),
        Column("length", Role.NUMBER, ""),
        Column("price", Role.NUMBER, "", {"decimal": ",", "thousands": ".", "dressed": True}),
        Column("kind", Role.CATEGORY, ""),
        Column("wet", Role.BOOLEAN, ""),
        Column("species", Role.LABEL, ""),
    ),
)
TRANSFORM = Transform(
    (
        Encoding("length", Role.NUMBER, None),
        Encoding("price", Role.NUMBER, 7.0),
        Encoding("kind", Role.CATEGORY, 0.0, ("fir", "oak"), (0.0, 0.0), (1.0, 1.0)),
        Encoding("wet", Role.BOOLEAN, 0.0),
    )
)
HEADER = "length;price;kind;wet\n"


def scored(content: str | bytes, encoding: str | None = None) -> tuple[list[Any], list[Reject]]:
    """Return the rows that can be scored, each with what the model sees, and the others."""
    raw = content.encode() if isinstance(content, str) else content
    rejects: list[Reject] = []
    with as_refusals():
        text = Text([raw], named_gzip=False, encoding=encoding)
        batch = Batch(text, SCHEMA, TRANSFORM, Settings())
        rows = list(batch.rows(rejects.append, time.monotonic() + 60))
    return rows, rejects


def seen(*numbers: float) -> str:
    return ",".join(f"{number:.9g}" for number in numbers) + "\n"


def test_columns_are_found_by_name_in_any_order_and_case():
    rows, rejects = scored("Wet,species,KIND,note,length,price\nyes,b,oak,x,1.5,2\n")
    assert rows == [("yes,b,oak,x,1.5,2", seen(1.5, 2, 0, 1, 1))]
    assert not rejects


def test_columns_that_differ_by_case_only_are_told_apart_by_the_exact_name():
    rows, _ = scored("length,LENGTH,price,kind,wet\n1,2,3,fir,no\n")
    assert rows[0][1] == seen(1, 3, 1, 0, 0)


def test_a_file_without_a_feature_is_refused_and_the_columns_are_named():
    with pytest.raises(Refusal, match='doesn\'t have: "price", "wet"') as refused:
        scored("length,kind,cost\n1,fir,2\n")
    assert refused.value.code == "MissingColumns"
    assert '"cost"' in refused.value.message


def test_numbers_are_read_as_the_training_file_writes_them_and_as_plain_ones():
    rows, rejects = scored(HEADER + "1;1.234,5 €;fir;no\n1;1234.5;fir;no\n1;;fir;no\n")
    assert [line for _, line in rows] == [
        seen(1, 1234.5, 1, 0, 0),
        seen(1, 1234.5, 1, 0, 0),
        seen(1, 7, 1, 0, 0),
    ]
    assert not rejects


def test_a_row_that_cannot_be_scored_is_set_aside_with_its_line_and_the_reason():
    rows, rejects = scored(
        HEADER + "oops;2;fir;no\n;2;fir;no\n1;2\n;;;\n1;2;fir;maybe\n1;2;fir;no\n"
    )
    assert [row for row, _ in rows] == ["1;2;fir;no"]
    assert [(reject.line, reject.reason) for reject in rejects] == [
        (2, '"length" is not a number'),
        (3, '"length" is missing'),
        (4, "has 2 fields where the header has 4"),
        (5, "is empty"),
        (6, '"wet" is not true or false'),
    ]


def test_a_row_comes_back_as_it_was_written():
    rows, _ = scored('length;price;kind;wet\n 1 ;"2";"o""k\nx";no\n')
    assert [row for row, _ in rows] == [' 1 ;"2";"o""k\nx";no']


def test_titles_above_the_header_and_other_encodings_are_no_obstacle():
    rows, _ = scored("sep=;\n\nlength;price;kind;wet;größe\n1;2;fir;no;3\n".encode("utf-16"))
    assert [row for row, _ in rows] == ["1;2;fir;no;3"]


@pytest.mark.parametrize(
    ("content", "code"),
    [("", "EmptyFile"), ("1,2\n3,4\n", "NoHeader"), ("length\n1\n", "OneColumn")],
)
def test_what_is_no_table_is_refused(content, code):
    with pytest.raises(Refusal) as refused:
        scored(content)
    assert refused.value.code == code


def test_a_file_that_takes_too_long_is_refused():
    batch = Batch([f"{HEADER}1;2;fir;no\n".encode()], SCHEMA, TRANSFORM, Settings())
    with pytest.raises(Refusal) as refused:
        list(batch.rows(print, time.monotonic() - 1))
    assert refused.value.code == "TooManyRows"


VALUES = st.tuples(
    st.floats(-1e6, 1e6).map(str) | st.sampled_from(["", "x", "1e30"]),
    # With a point it would be a thousand for the training file.
    st.integers(-1000, 1000).map(str),
    st.sampled_from(["fir", "oak", "elm", ""]),
    st.sampled_from(["yes", "no", "", "perhaps"]),
)


@given(st.lists(VALUES, min_size=1, max_size=30))
def test_the_model_sees_of_a_row_what_it_sees_of_an_instance_of_the_api(table):
    lines = ["length,price,kind,wet", *map(",".join, table)]
    rows, rejects = scored("\n".join(lines) + "\n")
    assert len(rows) + len(rejects) == len(table)
    for row, line in rows:
        assert csv_lines(TRANSFORM.apply([row.split(",")])) == [line]


SCORED = {
    "batch": "iris-20261124T043410Z-2821de5e",
    "dataset": "iris",
    "file": "new.csv",
    "status": "Scored",
    "run": "iris-20261101T000000Z-00000000",
    "rows": 152,
    "scored": 150,
    "set_aside": 2,
    "predicted": {"setosa": 100, "virginica": 50},
}


def test_the_email_tells_what_was_predicted_and_where_the_result_is():
    assert subject(SCORED) == "new.csv: 150 rows scored by iris"
    text = body(SCORED, "s3://runs/batches/iris/x", "https://api.example.com/v1")
    assert "We set 2 rows aside" in text
    assert "  setosa: 100 rows (66.7 %)" in text
    assert f"https://api.example.com/v1/#/iris/batches/{SCORED['batch']}" in text
    assert "aws s3 cp s3://runs/batches/iris/x/result.csv ." in text


def test_the_email_links_to_no_page_where_the_api_has_none():
    text = body(SCORED, "s3://runs/batches/iris/x", "")
    assert "#/" not in text
    assert "aws s3 cp s3://runs/batches/iris/x/result.csv ." in text


def test_the_email_about_a_refused_file_says_why_and_what_to_do():
    error = {"code": "MissingColumns", "message": "No length.", "remedy": "Name it."}
    told = {"file": "new\n.csv", "dataset": "iris", "status": "Refused", "error": error}
    assert subject(told) == "new .csv was not scored"
    assert "Why: No length.\nWhat to do: Name it." in body(told, "s3://runs/x", "https://api")
