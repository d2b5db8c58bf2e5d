"""What the command line reads of a run's folder."""

import io
import json
from typing import Any

import boto3
import pytest

from cli import folder
from cli.stack import Stack
from pipeline.schema import Column, Role, Schema

STACK = Stack("inbox", "runs", "arn", "registry", "url", "url", "key")
MONEY = {"thousands": ",", "dressed": True, "missing": ["-"]}


class Runs:
    """The runs bucket."""

    exceptions = type("Exceptions", (), {"NoSuchKey": KeyError})

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def get_object(self, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self._files[Key.removeprefix("runs/r/")].encode())}


@pytest.mark.parametrize(
    ("row", "instance"),
    [
        ('id,7.5,"$1,234.50", yes ,New York', [7.5, 1234.5, "yes", "New York"]),
        ('id,,-,NA,""', [None, None, None, None]),
        ('id,1e3,($12),0,"a\n""b"""', [1000.0, -12.0, "0", 'a\n"b"']),
    ],
)
def test_a_held_out_row_becomes_what_the_api_takes(monkeypatch, row, instance):
    columns = (
        Column("id", Role.IDENTIFIER, ""),
        Column("age", Role.NUMBER, ""),
        Column("fare", Role.NUMBER, "", MONEY),
        Column("alone", Role.BOOLEAN, ""),
        Column("city", Role.CATEGORY, ""),
        Column("label", Role.LABEL, ""),
    )
    schema = Schema("label", ("age", "fare", "alone", "city"), ("a",), columns=columns)
    header = "id,age,fare,alone,city,label,Prediction,Result,Confidence"
    files = {
        "clean/schema.json": json.dumps(schema.as_dict()),
        "validation/predictions.csv": f"{header}\n{row},a,a,True,1.0\n",
    }
    monkeypatch.setattr(boto3, "client", lambda service: Runs(files))
    assert folder.held_out_instance(STACK, "r") == instance
