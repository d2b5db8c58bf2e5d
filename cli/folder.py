"""A run's folder: the files that it has left, as its user looks at them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

from cli.errors import Problem
from cli.stack import Stack
from pipeline import run as layout
from pipeline.schema import Column, Role, Schema
from pipeline.transform import MISSING

HEAD_BYTES = 1024 * 1024
"""Enough for the first row of any table here."""


def metrics(stack: Stack, run: str) -> dict[str, Any] | None:
    """Return the metrics of a run's validation, if it got that far."""
    text = _read(stack, run, layout.METRICS)
    return None if text is None else json.loads(text)


def schema(stack: Stack, run: str) -> Schema | None:
    """Return what the columns of a run's file are, if that was found out."""
    text = _read(stack, run, layout.SCHEMA)
    return None if text is None else Schema.from_dict(json.loads(text))


def choice(stack: Stack, run: str) -> dict[str, Any] | None:
    """Return what cross-validation chose for a run, if it got that far."""
    text = _read(stack, run, layout.CHOICE)
    return None if text is None else json.loads(text)


def rejected_rows(stack: Stack, run: str) -> int:
    """Return how many rows of a run's file were set aside."""
    text = _read(stack, run, layout.PROFILE)
    return 0 if text is None else json.loads(text)["rows"]["rejected"]


def held_out_instance(stack: Stack, run: str) -> list[Any]:
    """Return the features of the first row that the run was validated on, as the API takes them."""
    found = schema(stack, run)
    text = _read(stack, run, layout.PREDICTIONS, last_byte=HEAD_BYTES)
    rows = csv.reader(io.StringIO(text or ""))
    next(rows)
    row = next(rows)
    if found is None:
        raise Problem(f"The run {run} has no schema.")
    return [_value(found.column(name), row[found.places[name]]) for name in found.features]


def _value(column: Column, text: str) -> Any:
    """Return what stands in a field as the API takes it; None is missing."""
    if text.strip().lower() in MISSING:
        return None
    if column.role is not Role.NUMBER:
        return text.strip()
    written = column.format or {}
    if text.strip() in written.get("missing", ()):
        return None
    text = text.replace(written.get("thousands") or "", "").replace(
        written.get("decimal", "."), "."
    )
    number = re.search(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?", text)
    return float(number[0]) if number else None


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
        raise Problem(f"There is no report of a run {run}.")
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
        raise Problem(f"There are no files of a run {run}.")
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
