"""A run, from the file that was dropped to its report, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

from cli.errors import Problem
from cli.stack import Stack

ENDED = frozenset({"Live", "Superseded", "Refused", "Failed", "Retired"})
SUFFIXES = (".csv", ".csv.gz")

STAGES = {
    "Train": "Train",
    "Create model": "Deploy endpoint",
    "Validate": "Validate",
    "Promote": "Promote",
    "Report": "Report",
}
"""The stage that begins when the state machine enters a state."""


@dataclass(frozen=True)
class Dropped:
    """A file in the inbox, and the dataset that its key names."""

    key: str
    version: str
    dataset: str


@dataclass(frozen=True)
class Run:
    """Where a run stands: its item in the registry."""

    name: str
    status: str
    error: dict[str, str] | None


def drop(stack: Stack, file: Path, dataset: str | None) -> Dropped:
    """Put a file into the inbox.

    Raises
    ------
    Problem
        There is no such file, or it is none that starts a run.
    """
    if not file.is_file():
        raise Problem(f"There is no file {file}.")
    if not file.name.lower().endswith(SUFFIXES):
        raise Problem(f"{file.name} would start nothing: drop a file that ends in .csv or .csv.gz.")
    key = f"{dataset}/{file.name}" if dataset else file.name
    s3 = boto3.client("s3")
    s3.upload_file(str(file), stack.inbox, key)
    # upload_file splits large files, but doesn't tell the version that it made.
    version = s3.head_object(Bucket=stack.inbox, Key=key)["VersionId"]
    return Dropped(key, version, dataset or _stem(file.name))


def _stem(name: str) -> str:
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def find_run(stack: Stack, dropped: Dropped) -> Run | None:
    """Return the run of a dropped file, or None as long as Preprocess has not begun."""
    table = boto3.resource("dynamodb").Table(stack.registry)
    for dataset in dict.fromkeys((dropped.dataset, _slug(dropped.dataset))):
        if not dataset:
            continue
        items = table.query(
            KeyConditionExpression=Key("dataset").eq(dataset) & Key("sort").begins_with("run#"),
            ScanIndexForward=False,
        )["Items"]
        for item in items:
            source: Any = item.get("source", {})
            if (source.get("key"), source.get("version")) == (dropped.key, dropped.version):
                return _run(item)
    return None


def _slug(name: str) -> str:
    """Return the name under which a file is refused whose own can't name a dataset."""
    from pipeline.run import slug

    return slug(name)


def _run(item: dict[str, Any]) -> Run:
    return Run(item["run"], item["status"], item.get("error"))


def all_runs(stack: Stack, dataset: str | None) -> list[dict[str, Any]]:
    """Return the registry's items of runs, the newest last."""
    table = boto3.resource("dynamodb").Table(stack.registry)
    query: dict[str, Any] = {}
    if dataset:
        query["KeyConditionExpression"] = Key("dataset").eq(dataset)
    items: list[dict[str, Any]] = []
    while True:
        page: Any = table.query(**query) if dataset else table.scan(**query)
        items += [item for item in page["Items"] if str(item["sort"]).startswith("run#")]
        if "LastEvaluatedKey" not in page:
            return sorted(items, key=lambda item: str(item.get("dropped", "")))
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def follow(stack: Stack, dropped: Dropped, *, poll_seconds: float) -> Iterator[str | Run]:
    """Yield each stage as it begins, and at last the run as it ended.

    Raises
    ------
    Problem
        Nothing picks the file up.
    """
    yield "Preprocess"
    began = time.monotonic()
    while (run := find_run(stack, dropped)) is None:
        if time.monotonic() - began > 120:
            raise Problem(
                f"Nothing has picked up {dropped.key} for two minutes: look at the logs "
                "(python -m cli logs) and at the dead-letter queue (docs/operations.md)."
            )
        time.sleep(poll_seconds)
    seen = {"Preprocess"}
    while True:
        for stage in _stages(stack, run):
            if stage not in seen:
                seen.add(stage)
                yield stage
        if run.status in ENDED:
            yield run
            return
        time.sleep(poll_seconds)
        run = find_run(stack, dropped) or run


def _stages(stack: Stack, run: Run) -> list[str]:
    """Return the stages that a run has entered, in order."""
    s3, sfn = boto3.client("s3"), boto3.client("stepfunctions")
    found = []
    manifest = s3.list_objects_v2(Bucket=stack.runs, Prefix=f"runs/{run.name}/clean/manifest.json")
    if manifest["KeyCount"]:
        found.append("Split")
    execution = f"{stack.state_machine_arn.replace(':stateMachine:', ':execution:')}:{run.name}"
    try:
        pages = sfn.get_paginator("get_execution_history").paginate(executionArn=execution)
        events = [event for page in pages for event in page["events"]]
    except sfn.exceptions.ExecutionDoesNotExist:
        return found
    entered = [event.get("stateEnteredEventDetails", {}).get("name", "") for event in events]
    return found + [STAGES[name] for name in entered if name in STAGES]
