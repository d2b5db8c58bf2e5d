"""A run's folder: the files that it has left, as its user looks at them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import boto3

from cli.errors import Problem
from cli.stack import Stack
from pipeline import layout
from pipeline.schema import Column, Role, Schema

HEAD_BYTES = 2 * 1024 * 1024
"""Enough for a header and the first row of any table here."""

csv.field_size_limit(1 << 30)  # the whole process has one limit; HEAD_BYTES bounds what is read


def read_json(stack: Stack, run: str, name: str) -> Any:
    """Return what a JSON file of a run holds, None if the run didn't get that far."""
    text = _read(stack, run, name)
    return None if text is None else json.loads(text)


def held_out_instance(stack: Stack, run: str) -> list[Any]:
    """Return the features of the first row that the run was validated on, as the API takes them."""
    schema = Schema.from_dict(read_json(stack, run, layout.SCHEMA))
    text = _read(stack, run, layout.PREDICTIONS, last_byte=HEAD_BYTES) or ""
    _, row = islice(csv.reader(io.StringIO(text)), 2)
    return [_value(schema.column(n), row[schema.places[n]].strip()) for n in schema.features]


def _value(column: Column, text: str) -> Any:
    """Return what stands in a field as the API takes it; None is missing."""
    from tabular.numbers import NumberFormat, is_missing

    if is_missing(text):
        return None
    if column.role is not Role.NUMBER:
        return text
    number = NumberFormat.of(column.format).parse(text)
    return None if number is None or math.isnan(number) else number


def fetch_report(stack: Stack, run: str, into: Path) -> Path:
    """Write a run's report to ``<into>/reports/<run>.html`` and return the path.

    The API that it names is the one that answers from here.

    Raises
    ------
    Problem
        There is no such report.
    """
    text = _read(stack, run, layout.REPORT)
    if text is None:
        raise Problem(f"There is no report for a run {run}.")
    page = into / "reports" / f"{run}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text.replace(stack.named_api_url, stack.api_url))
    return page


def files(stack: Stack, run: str, into: Path | None) -> Iterator[tuple[str, int]]:
    """Yield key and size of each file of a run; with `into`, fetch them first.

    Raises
    ------
    Problem
        The run has no files.
    """
    s3 = boto3.client("s3")
    prefix = f"{layout.RunFolder(run).prefix}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=stack.runs, Prefix=prefix)
    found = [item for page in pages for item in page.get("Contents", [])]
    if not found:
        raise Problem(f"There are no files for a run {run}.")
    for item in found:
        if into is not None:
            target = into / item["Key"].removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(stack.runs, item["Key"], str(target))
        yield item["Key"], item["Size"]


def _read(stack: Stack, run: str, name: str, *, last_byte: int | None = None) -> str | None:
    s3 = boto3.client("s3")
    part = {"Range": f"bytes=0-{last_byte}"} if last_byte else {}
    key = layout.RunFolder(run) / name
    try:
        answer = s3.get_object(Bucket=stack.runs, Key=key, **part)  # type: ignore[arg-type]
    except s3.exceptions.NoSuchKey:
        return None
    return answer["Body"].read().decode(errors="ignore")
