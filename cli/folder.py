"""A run's folder: the files that it has left, as its user looks at them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3

from cli.errors import Problem
from cli.settings import this_command
from cli.stack import Stack
from pipeline import layout
from report.facts import Facts


def read_facts(stack: Stack, run: str) -> Facts:
    """Return what a run's report is about.

    Raises
    ------
    Problem
        There is no such report.
    """
    text = _read(stack, run, layout.REPORT_FACTS)
    if text is None:
        raise _no_report(run)
    return Facts.from_dict(json.loads(text))


def fetch_report(stack: Stack, run: str, folder: Path, into: Path | None = None) -> Path:
    """Write a run's report to ``<folder>/reports/<run>.html`` and return the path.

    The API that it names is the one that answers from here.

    Parameters
    ----------
    into
        The file, or the folder, to write it to instead.

    Raises
    ------
    Problem
        There is no such report.
    """
    text = _read(stack, run, layout.REPORT)
    if text is None:
        raise _no_report(run)
    page = folder / "reports" / f"{run}.html" if into is None else into
    if page.is_dir():
        page /= f"{run}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text.replace(stack.named_api_url, stack.api_url))
    return page


def _no_report(run: str) -> Problem:
    return Problem(
        f"There is no report of the run {run}: it is still under way, its files were deleted, or "
        f"there is no such run. See {this_command()} runs"
    )


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
        raise Problem(f"There are no files of a run {run}. See {this_command()} runs")
    for item in found:
        if into is not None:
            target = into / item["Key"].removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(stack.runs, item["Key"], str(target))
        yield item["Key"], item["Size"]


def _read(stack: Stack, run: str, name: str) -> str | None:
    s3 = boto3.client("s3")
    try:
        answer = s3.get_object(Bucket=stack.runs, Key=layout.RunFolder(run) / name)
    except s3.exceptions.NoSuchKey:
        return None
    return answer["Body"].read().decode()
