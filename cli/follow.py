"""A run, from the file that was uploaded to its report, stage by stage."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

from cli.dataset_settings import check_schema
from cli.errors import Problem
from cli.settings import this_command
from cli.stack import Stack
from pipeline.layout import (
    MANIFEST,
    SUFFIXES,
    RunFolder,
    dataset_of,
    dataset_of_run,
    is_dataset,
    slug,
)
from pipeline.registry import Status, run_sort

PICK_UP_SECONDS = 300
"""Longer than Lambda takes to try three times, and to hand over what failed."""

STALL_SECONDS = 1800
"""Longer than Preprocess and Split may take, of all but very large files; an execution ends by
itself."""

STAGES = {
    "Train": "Train",
    "Deploy endpoint": "Deploy endpoint",
    "Validate": "Validate",
    "Read registry": "Promote",
    "Try on some requests": "Canary",
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
    dataset: str
    status: str
    error: dict[str, str] | None


def drop(
    stack: Stack,
    file: Path,
    dataset: str | None,
    schema: Path | None = None,
    metadata: Mapping[str, str] | None = None,
    sent: Callable[[int], None] | None = None,
) -> Dropped:
    """Put a file into the inbox, and before it the dataset's schema.json.

    Without `schema` the one that the dataset has stays as it is.

    Parameters
    ----------
    metadata
        The upload's own settings.
    sent
        Is called with the number of bytes of each piece that is sent.

    Raises
    ------
    Problem
        There is no such file, or it starts no run.
    """
    for path in (schema, file):
        if path is not None and not path.is_file():
            raise Problem(f"There is no file {path}. Name one that there is.")
    if not file.name.lower().endswith(SUFFIXES):
        raise Problem(
            f"{file.name} would start nothing. Upload a file whose name ends in .csv or .csv.gz."
        )
    key, named = key_of(file, dataset)
    s3 = boto3.client("s3")
    if schema is not None:
        check_schema(schema.read_bytes(), f"{named}/schema.json")
        s3.upload_file(str(schema), stack.inbox, f"{named}/schema.json")
    given = {"Metadata": dict(metadata or {})}
    s3.upload_file(str(file), stack.inbox, key, ExtraArgs=given, Callback=sent)
    # upload_file splits large files, but doesn't tell the version that it made.
    version = s3.head_object(Bucket=stack.inbox, Key=key)["VersionId"]
    return Dropped(key, version, named)


def key_of(file: Path, dataset: str | None) -> tuple[str, str]:
    """Return where in the inbox a file goes, and the dataset that it is of.

    Without `dataset` the file's name tells it: ``Breast Cancer.csv`` is of ``breast-cancer``.

    Raises
    ------
    Problem
        The dataset can't be called so, or the file's name has nothing to call it by.
    """
    named = dataset_of(file.name) if dataset is None else dataset
    made = slug(named)
    if is_dataset(named):
        return (file.name if dataset is None else f"{named}/{file.name}"), named
    if dataset is None and made != slug(""):
        return f"{made}/{file.name}", made
    raise Problem(
        f'"{named}" can\'t name a dataset: a name has 1 to 32 of a-z, 0-9 and hyphens between '
        f"them. Name it: {this_command()} drop {shlex.quote(str(file))} --dataset "
        f"{made if made != slug('') else 'NAME'}"
    )


def find_run(stack: Stack, dropped: Dropped) -> Run | None:
    """Return the run of an uploaded file, or None as long as Preprocess has not begun."""
    items = (
        boto3.resource("dynamodb")
        .Table(stack.registry)
        .query(
            KeyConditionExpression=Key("dataset").eq(dropped.dataset)
            & Key("sort").begins_with(run_sort("")),
            ScanIndexForward=False,
        )["Items"]
    )
    for item in items:
        source: Any = item.get("source", {})
        if (source.get("key"), source.get("version")) == (dropped.key, dropped.version):
            return _run(item)
    return None


def read_run(stack: Stack, name: str) -> Run:
    """Return a run that there is."""
    table = boto3.resource("dynamodb").Table(stack.registry)
    key = {"dataset": dataset_of_run(name), "sort": run_sort(name)}
    return _run(table.get_item(Key=key, ConsistentRead=True)["Item"])


def _run(item: dict[str, Any]) -> Run:
    return Run(item["run"], item["dataset"], item["status"], item.get("error"))


def all_runs(stack: Stack, dataset: str | None) -> list[dict[str, Any]]:
    """Return the registry's items of runs, the newest last."""
    table = boto3.resource("dynamodb").Table(stack.registry)
    query: dict[str, Any] = {}
    if dataset:
        query["KeyConditionExpression"] = Key("dataset").eq(dataset)
    items: list[dict[str, Any]] = []
    while True:
        page: Any = table.query(**query) if dataset else table.scan(**query)
        items += [item for item in page["Items"] if str(item["sort"]).startswith(run_sort(""))]
        if "LastEvaluatedKey" not in page:
            return sorted(items, key=lambda item: str(item.get("dropped", "")))
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def follow(stack: Stack, dropped: Dropped, *, poll_seconds: float) -> Iterator[str | Run]:
    """Yield each stage as it begins, and at last the run as it ended.

    Raises
    ------
    Problem
        Nothing picks the file up, or its run stops without an end.
    """
    yield "Preprocess"
    began = time.monotonic()
    while (run := find_run(stack, dropped)) is None:
        if time.monotonic() - began > PICK_UP_SECONDS:
            raise _stuck(f"Nothing has picked up {dropped.key}")
        time.sleep(poll_seconds)
    yield from follow_run(stack, run.name, poll_seconds=poll_seconds)


def follow_run(stack: Stack, name: str, *, poll_seconds: float) -> Iterator[str | Run]:
    """Yield each stage of a run as it begins after Preprocess, and at last the run as it ended.

    Raises
    ------
    Problem
        The run stops without an end.
    """
    began = time.monotonic()
    run, seen = read_run(stack, name), set[str]()
    while True:
        execution = _execution(stack, run)
        for stage in execution.stages:
            if stage not in seen:
                seen.add(stage)
                yield stage
        run = read_run(stack, name)
        if Status(run.status).has_ended and execution.reported:
            yield run
            return
        if execution.status not in (None, "RUNNING") and not Status(run.status).has_ended:
            raise _stuck(f"The execution {run.name} is {execution.status} without a report")
        if execution.status is None and time.monotonic() - began > STALL_SECONDS:
            raise _stuck(f"The run {run.name} does not get on: it is still {run.status}")
        time.sleep(poll_seconds)


def _stuck(what: str) -> Problem:
    return Problem(
        f"{what}. Look at the logs, {this_command()} logs, and at the events that came to nothing, "
        f"{this_command()} redrive --dry-run"
    )


@dataclass(frozen=True)
class _Execution:
    """How far a run's execution is; its status is None as long as there is none."""

    stages: list[str]
    status: str | None
    reported: bool


def _execution(stack: Stack, run: Run) -> _Execution:
    s3, sfn = boto3.client("s3"), boto3.client("stepfunctions")
    stages = []
    manifest = s3.list_objects_v2(Bucket=stack.runs, Prefix=RunFolder(run.name) / MANIFEST)
    if manifest["KeyCount"]:
        stages.append("Split")
    arn = f"{stack.state_machine_arn.replace(':stateMachine:', ':execution:')}:{run.name}"
    try:
        status = sfn.describe_execution(executionArn=arn)["status"]
        pages = sfn.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
    except sfn.exceptions.ExecutionDoesNotExist:
        return _Execution(stages, None, reported=False)
    entered = [event.get("stateEnteredEventDetails", {}).get("name", "") for event in events]
    left = {event.get("stateExitedEventDetails", {}).get("name", "") for event in events}
    stages += [STAGES[name] for name in entered if name in STAGES]
    return _Execution(stages, status, reported="Report" in left or status != "RUNNING")
