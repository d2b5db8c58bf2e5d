"""Rows of a run's file as the API shows them: held-out ones by page, and a sample of the others."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.schema import Column, Role, Schema
from predict import rows as predict_rows
from predict.errors import ApiError
from predict.rows import MAX_ROWS, held_out_rows, training_sample, value_of
from tabular.numbers import NumberFormat

RUN = "flowers-20261130T120000Z-00000000"
SCHEMA = Schema(
    "kind",
    ("size", "grown"),
    ("a", "b"),
    spellings={"A": "a"},
    columns=(
        Column("note", Role.TEXT, ""),
        Column("size", Role.NUMBER, "", {"decimal": ",", "thousands": ".", "missing": ["none"]}),
        Column("grown", Role.BOOLEAN, ""),
        Column("kind", Role.LABEL, ""),
    ),
)
HEADER = ["note", "size", "grown", "kind", "Prediction", "Result", "Confidence"]


class Files:
    """A run's folder in S3, which counts the bytes that are read."""

    class NoSuchKey(ClientError):
        """There is no such object."""

    exceptions = type("Exceptions", (), {"NoSuchKey": NoSuchKey})

    def __init__(self, **files: bytes) -> None:
        self.files = {f"runs/{RUN}/validation/{name}": body for name, body in files.items()}
        self.read: list[int] = []

    def get_object(self, Bucket: str, Key: str, Range: str = "") -> dict[str, Any]:  # noqa: N803
        if Key not in self.files:
            raise self.NoSuchKey({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        body = self.files[Key]
        if not Range:
            return {"Body": io.BytesIO(body)}
        first, last = map(int, Range.removeprefix("bytes=").split("-"))
        if first >= len(body):
            raise ClientError({"Error": {"Code": "InvalidRange"}}, "GetObject")
        part = body[first : last + 1]
        self.read.append(len(part))
        return {"Body": io.BytesIO(part), "ContentRange": f"bytes {first}-{last}/{len(body)}"}


def predictions(rows: list[list[str]]) -> Files:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
    return Files(**{"predictions.csv": text.getvalue().encode()})


def row(number: int, true: str = "a", predicted: str = "a") -> list[str]:
    note = f'a "quoted" text,\nof two lines with ä, number {number}'
    return [note, f"1.{number:03},5", "yes", true, predicted, str(true == predicted), "0.7500"]


def pages(files: Files, **asked: Any) -> Iterator[dict[str, Any]]:
    answer = held_out_rows(files, "runs", RUN, SCHEMA, **asked)
    yield answer
    while "next" in answer:
        answer = held_out_rows(files, "runs", RUN, SCHEMA, after=answer["next"], **asked)
        yield answer


def test_held_out_rows_come_as_written_and_as_the_api_takes_them():
    (answer,) = pages(predictions([row(7, "A", "b"), ["", "none", "", "b", "b", "True", ""]]))
    assert answer["rows"] == [
        {
            "row": dict(zip(HEADER[:4], row(7, "A"), strict=False)),
            "instance": [1007.5, "yes"],
            "true": "a",
            "predicted": "b",
            "confidence": 0.75,
        },
        {
            "row": {"note": "", "size": "none", "grown": "", "kind": "b"},
            "instance": [None, None],
            "true": "b",
            "predicted": "b",
        },
    ]


@pytest.mark.parametrize("read_bytes", [200, 1_000, 8_000_000])
def test_pages_have_each_row_once_however_little_is_read_at_a_time(monkeypatch, read_bytes):
    monkeypatch.setattr(predict_rows, "READ_BYTES", read_bytes)
    files = predictions([row(number) for number in range(35)])
    found = [each for page in pages(files) for each in page["rows"]]
    assert [each["row"]["size"] for each in found] == [f"1.{number:03},5" for number in range(35)]
    assert max(len(page["rows"]) for page in pages(files)) <= MAX_ROWS
    assert max(files.read) <= read_bytes


def test_a_cell_of_the_confusion_matrix_has_its_rows():
    rows = [row(n, "ab"[n % 2], "ab"[n % 3 == 0]) for n in range(60)]
    found = [
        each for page in pages(predictions(rows), true="a", predicted="b") for each in page["rows"]
    ]
    assert len(found) == sum(each[3:5] == ["a", "b"] for each in rows) == 10
    assert {(each["true"], each["predicted"]) for each in found} == {("a", "b")}


def test_a_long_row_is_cut_and_few_long_rows_fill_an_answer(monkeypatch):
    monkeypatch.setattr(predict_rows, "MAX_ANSWER_CHARACTERS", 500)
    long = [["x" * 10_000, "1", "no", "a", "a", "True", "1.0000"]] * 5
    answers = list(pages(predictions(long)))
    assert [len(answer["rows"]) for answer in answers] == [2, 2, 1]
    assert len(answers[0]["rows"][0]["row"]["note"]) == 200


@pytest.mark.parametrize("after", ["x", "-1", "9" * 20, "100000"])
def test_a_next_that_no_answer_had_is_400(after):
    with pytest.raises(ApiError) as raised:
        held_out_rows(predictions([row(1)]), "runs", RUN, SCHEMA, after=after)
    assert (raised.value.status, raised.value.code) == (400, "InvalidNext")


def test_a_class_that_there_is_not_is_400_and_a_run_without_predictions_404():
    with pytest.raises(ApiError, match="rose") as raised:
        held_out_rows(Files(), "runs", RUN, SCHEMA, true="rose")
    assert raised.value.status == 400
    with pytest.raises(ApiError) as raised:
        held_out_rows(Files(), "runs", RUN, SCHEMA)
    assert (raised.value.status, raised.value.code) == (404, "NoHeldOutRows")


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ({}, ["1", "-2.5", "+.5", "1e-3", "5."]),
        ({"decimal": ","}, ["1,5", "-0,25", "7"]),
        ({"thousands": ","}, ["1,234.5", "-12,345", "12"]),
        ({"thousands": " "}, ["1 234", "1\u202f234.5", "-12\u00a0345"]),
        ({"thousands": "'"}, ["1'234.5"]),
        ({"decimal": ",", "thousands": "."}, ["1.234,5", "-1.234.567,25"]),
        ({"missing": ("none", "-")}, ["none", "-", "4"]),
        (
            {"dressed": True, "thousands": ","},
            ["$1,234.50", "-$5", "$-5", "(12.5)", "($1,000)", "12.5%", "- 3 %", "Rs.100", "kr.5",
             "US$ 7", "5 kr.", "EUR 1,000.25", "Fr. 3", "€ .5", "8 zł"],
        ),
        ({"dressed": True, "decimal": ",", "thousands": "."}, ["1.234,50 €", "-0,5 %", "Kč 12"]),
    ],
)  # fmt: skip
def test_a_number_is_read_as_the_engine_that_checked_it_reads_it(written, texts):
    column = Column("size", Role.NUMBER, "", written)
    for text in texts:
        number = NumberFormat.of(written).parse(text)
        assert number is not None, text
        assert value_of(column, text) == (None if number != number else number), text


def test_training_rows_come_with_what_finds_the_nearest_of_them(monkeypatch):
    monkeypatch.setattr(predict_rows, "MAX_SAMPLE_VALUES", 9)
    sample = {
        "columns": HEADER[:4],
        "rows": [["n", "1,5", "yes", "A"], ["n", "none", "no", "b"], ["n", "2", "no", "b"]],
        "mapped": [[0.123456789, 1.0], [0.0, 0.0], [0.5, 0.0]],
        "classes": [0, 1, 1],
    }
    files = Files(**{"training_sample.json": json.dumps(sample).encode()})
    folder = f"runs/{RUN}"
    with pytest.raises(ApiError) as raised:
        training_sample(files, "runs", RUN, SCHEMA)
    assert (raised.value.status, raised.value.code) == (404, "NoTrainingRows")
    files.files[f"{folder}/transform.json"] = b'{"columns": [{"name": "size"}], "matrix": null}'
    files.files[f"{folder}/choice.json"] = b'{"metric": "L2"}'
    assert training_sample(files, "runs", RUN, SCHEMA) == {
        "features": ["size", "grown"],
        "rows": [[1.5, "yes"], [None, "no"]],
        "mapped": [[0.1234568, 1.0], [0.0, 0.0]],
        "classes": ["a", "b"],
        "metric": "L2",
        "transform": {"columns": [{"name": "size"}], "matrix": None},
    }
