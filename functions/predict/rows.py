"""Rows of a run's file, for those who try its model: held-out rows, and a sample of the others."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline import layout
from pipeline.objects import read_json_if_there
from pipeline.schema import Column, Role, Schema
from pipeline.transform import MISSING
from predict.errors import ApiError, Code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_ROWS = 10
"""Of an answer."""

READ_BYTES = 8_000_000
"""Of a file, for one answer: what holds ``next`` goes on from there."""

MAX_ANSWER_CHARACTERS = 500_000
MAX_SAMPLE_VALUES = 100_000
"""Of the training rows of an answer: what was written, and what the model sees of it."""

_SHOWN = 200
"""Characters of a value as it was written."""

_NUMBER = re.compile(r"[+-]?\s*(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CURRENCY = re.compile(r"(?<![0-9.])[^\W\d_]+\.?")
_SPACES = re.compile("[ \u00a0\u202f\u2009]")

# The whole process has one limit; Preprocess checked the rows.
csv.field_size_limit(1 << 30)


def held_out_rows(
    s3: S3Client,
    bucket: str,
    run: str,
    schema: Schema,
    *,
    true: str | None = None,
    predicted: str | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    """Return some held-out rows with what was predicted of them, or those that go on after others.

    Parameters
    ----------
    true, predicted
        Classes that the rows have, if not any.
    after
        The ``next`` of the answer before: where in the file a row begins.
    """
    for name in (true, predicted):
        if name is not None and name not in schema.classes:
            raise ApiError(400, Code.INVALID_CLASS, f'There is no class "{name[:_SHOWN]}".')
    start = end = _offset(after)
    data, size = _read(s3, bucket, layout.RunFolder(run) / layout.PREDICTIONS, start)
    rows: list[dict[str, Any]] = []
    characters = 0
    for fields, after_row in _records(data, start, is_last=start + len(data) == size):
        end = after_row
        found = _held_out(fields, schema)
        if found and true in (None, found["true"]) and predicted in (None, found["predicted"]):
            rows.append(found)
            characters += len(json.dumps(found))
            if len(rows) == MAX_ROWS or characters > MAX_ANSWER_CHARACTERS:
                break
    return {"rows": rows, **({"next": str(end)} if start < end < size else {})}


def _offset(after: str | None) -> int:
    if after is None:
        return 0
    if after.isascii() and after.isdecimal() and len(after) < 16:
        return int(after)
    raise _not_next()


def _not_next() -> ApiError:
    return ApiError(400, Code.INVALID_NEXT, '"next" is not what an answer had as "next".')


def _read(s3: S3Client, bucket: str, key: str, start: int) -> tuple[bytes, int]:
    """Return what a file has from a byte on, within bounds, and how many bytes it has in all."""
    try:
        part = f"bytes={start}-{start + READ_BYTES - 1}"
        answer = s3.get_object(Bucket=bucket, Key=key, Range=part)
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "NoSuchKey":
                message = "The run has no held-out rows that were predicted."
                raise ApiError(404, Code.NO_HELD_OUT_ROWS, message) from None
            case "InvalidRange":
                raise _not_next() from None
        raise
    return answer["Body"].read(), int(answer["ContentRange"].rpartition("/")[2])


def _records(data: bytes, start: int, *, is_last: bool) -> Iterator[tuple[list[str], int]]:
    """Yield the rows of a part of a CSV, each with the byte of the file that comes after it.

    What may go on after the part is left out.
    """
    at = 0

    def lines() -> Iterator[str]:
        nonlocal at
        for line in io.BytesIO(data):
            at += len(line)
            yield line.decode(errors="replace")

    try:
        for fields in csv.reader(lines()):
            if is_last or at < len(data):
                yield fields, start + at
    except csv.Error:
        raise _not_next() from None


def _held_out(row: list[str], schema: Schema) -> dict[str, Any] | None:
    """Return a row of ``validation/predictions.csv``; None for what is none."""
    columns = schema.columns
    # The header, or what comes of a "next" that is made up.
    if len(row) != len(columns) + 3:
        return None
    label = schema.class_of(row[schema.places[schema.label]].strip())
    if label < 0:
        return None
    predicted, _, confidence = row[len(columns) :]
    return {
        "row": {column.name: text[:_SHOWN] for column, text in zip(columns, row, strict=False)},
        "instance": _instance(row, schema),
        "true": schema.classes[label],
        "predicted": predicted,
        **({"confidence": float(confidence)} if confidence else {}),
    }


def _instance(row: list[str], schema: Schema) -> list[str | float | None]:
    """Return the features of a row, as the API takes them."""
    return [value_of(schema.column(n), row[schema.places[n]].strip()) for n in schema.features]


def value_of(column: Column, text: str) -> str | float | None:
    """Return what stands in a field of a checked row as the API takes it; None is missing."""
    if text.lower() in MISSING:
        return None
    if column.role is not Role.NUMBER:
        return text
    return _number(text, column.format or {})


def _number(text: str, written: Mapping[str, Any]) -> float | None:
    """Return the number in a field that is known to hold one, or a word for none.

    The engine that reads files tells numbers from other texts. That needs numpy; this doesn't.
    """
    if text in written.get("missing", ()):
        return None
    decimal, thousands = written.get("decimal", "."), written.get("thousands")
    if written.get("dressed"):
        text = _CURRENCY.sub("", text)
    if thousands == " ":
        text = _SPACES.sub("", text)
    elif thousands and thousands != decimal:
        text = text.replace(thousands, "")
    match = _NUMBER.search(text.replace(decimal, "."))
    if match is None:
        return None
    number = float(_SPACES.sub("", match[0]))
    is_negative = text.startswith("(") or "-" in text[: match.start()]
    return -abs(number) if is_negative else number


def training_sample(s3: S3Client, bucket: str, run: str, schema: Schema) -> dict[str, Any]:
    """Return training rows drawn at random, and what a client needs to find the nearest of them.

    `mapped` is what the model sees of each row, and `transform` how that comes of it.
    """

    def read(name: str) -> Any:
        return read_json_if_there(s3, bucket, layout.RunFolder(run) / name)

    sample, transform, choice = map(read, (layout.TRAINING_SAMPLE, layout.TRANSFORM, layout.CHOICE))
    # A run that is being prepared has some of them, one of an earlier release none.
    if not (sample and transform and choice):
        raise ApiError(404, Code.NO_TRAINING_ROWS, "The run has no sample of its training rows.")
    width = len(schema.features) + len(next(iter(sample["mapped"]), ()))
    most = max(1, MAX_SAMPLE_VALUES // width)
    return {
        "features": list(schema.features),
        "rows": [_instance(row, schema) for row in sample["rows"][:most]],
        "mapped": [[float(f"{n:.7g}") for n in row] for row in sample["mapped"][:most]],
        "classes": [schema.classes[place] for place in sample["classes"][:most]],
        "metric": choice["metric"],
        "transform": transform,
    }
