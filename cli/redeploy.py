"""Deploying the model of an earlier run again, without training: how one goes back in a minute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3

from cli.errors import Problem
from cli.follow import all_runs
from cli.settings import this_command
from cli.stack import Stack
from pipeline import layout
from pipeline.redeployment import FileGone, Redeployer, run_before, was_live
from pipeline.registry import LIVE, PIN, Status, end_canary, run_sort

PASSED = (Status.HELD, Status.SUPERSEDED, Status.RETIRED)
"""How runs end whose model passed all gates, and isn't live."""


@dataclass(frozen=True)
class Pin:
    """A dataset whose live model stays, since when, and the run that was live then."""

    dataset: str
    since: str
    run: str


def named_run(stack: Stack, name: str) -> dict[str, Any]:
    """Return the item of a run.

    Raises
    ------
    Problem
        There is no such run.
    """
    try:
        dataset = layout.dataset_of_run(name)
    except ValueError:
        raise Problem(f"{name} is not the name of a run. See {this_command()} runs") from None
    item: Any = _table(stack).get_item(Key={"dataset": dataset, "sort": run_sort(name)}).get("Item")
    if item is None:
        raise Problem(f'There is no run {name} of "{dataset}". See {this_command()} runs {dataset}')
    return dict(item)


def restorable_run(stack: Stack, name: str) -> dict[str, Any]:
    """Return the item of a run whose model passed all gates and isn't live.

    Raises
    ------
    Problem
        There is no such run, it is live already, or its model never passed.
    """
    item = named_run(stack, name)
    if name == live_run(stack, item["dataset"]):
        raise Problem(f"{name} is live already. See {this_command()} runs {item['dataset']}")
    if item["status"] not in PASSED and not was_live(item):
        raise Problem(
            f"{name} is {item['status']}. Only a model that passed all gates can go live again. "
            f"Train on its file again: {this_command()} retrain {name}"
        )
    return item


def previous_run(stack: Stack, dataset: str) -> dict[str, Any]:
    """Return the item of the run to go back to, as `run_before` finds it.

    Raises
    ------
    Problem
        No model is live, or there is no run to go back to.
    """
    live = live_run(stack, dataset)
    if live is None:
        raise Problem(
            f'"{dataset}" has no live model. Upload a file first: {this_command()} drop FILE '
            f"--dataset {dataset}"
        )
    items = all_runs(stack, dataset)
    item = run_before(items, live)
    if item:
        return item
    if not any(was_live(each) for each in items if each["run"] != live):
        raise Problem(
            f'{live} is the first live run of "{dataset}": there is nothing to go back to. See '
            f"{this_command()} runs {dataset}"
        )
    raise Problem(
        f'You have rolled back from every other model of "{dataset}" that was live. To go back to '
        f"one all the same, name its run: {this_command()} rollback {dataset} RUN"
    )


def redeploy(stack: Stack, item: Mapping[str, Any], *, pins: bool) -> str:
    """Do what `Redeployer.redeploy` does; raise a `Problem` with a remedy if a file is gone."""
    aws = Redeployer(
        boto3.client("s3"),
        _table(stack),
        boto3.client("stepfunctions"),
        stack.runs,
        stack.state_machine_arn,
    )
    try:
        return aws.redeploy(item, pins=pins)
    except FileGone as gone:
        raise Problem(
            f"The run {item['run']} has no {gone}, so it can't be deployed again as it was. "
            f"Train on its file again: {this_command()} retrain {item['run']}"
        ) from gone


def pin(stack: Stack, dataset: str) -> Pin:
    """Keep the live model of a dataset as it is, until it is unpinned.

    Raises
    ------
    Problem
        No model is live.
    """
    table = _table(stack)
    live: Any = table.get_item(Key={"dataset": dataset, "sort": LIVE}).get("Item")
    if live is None:
        raise Problem(
            f'"{dataset}" has no live model that could be kept. See {this_command()} datasets'
        )
    made = Pin(dataset, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", str(live["run"]))
    item = {"dataset": dataset, "sort": PIN, "since": made.since, "run": made.run}
    table.put_item(Item=item)
    if tried := live.get("canary"):
        end_canary(table, dataset, tried["run"])
    return made


def unpin(stack: Stack, dataset: str) -> list[str]:
    """Let new models of a dataset go live again; return the runs that were held, newest last.

    Raises
    ------
    Problem
        It isn't pinned.
    """
    key = {"dataset": dataset, "sort": PIN}
    before: Any = _table(stack).delete_item(Key=key, ReturnValues="ALL_OLD").get("Attributes")
    if before is None:
        raise Problem(
            f'"{dataset}" is not pinned. To keep its live model: {this_command()} pin {dataset}'
        )
    return [
        item["run"]
        for item in all_runs(stack, dataset)
        if item["status"] == Status.HELD and str(item.get("updated", "")) >= str(before["since"])
    ]


def pins(stack: Stack, dataset: str | None = None) -> Iterator[Pin]:
    """Yield the pins of all datasets, or of one."""
    table = _table(stack)
    if dataset:
        item: Any = table.get_item(Key={"dataset": dataset, "sort": PIN}).get("Item")
        items = [item] if item else []
    else:
        pages = table.meta.client.get_paginator("query").paginate(
            TableName=table.name,
            IndexName="BySort",
            KeyConditionExpression="#sort = :pin",
            ExpressionAttributeNames={"#sort": "sort"},
            ExpressionAttributeValues={":pin": PIN},
        )
        items = [item for page in pages for item in page["Items"]]
    for item in items:
        yield Pin(str(item["dataset"]), str(item["since"]), str(item["run"]))


def live_run(stack: Stack, dataset: str) -> str | None:
    """Return the run whose model is live, None if the dataset has none."""
    item: Any = _table(stack).get_item(Key={"dataset": dataset, "sort": LIVE}).get("Item")
    return str(item["run"]) if item else None


def _table(stack: Stack) -> Any:
    return boto3.resource("dynamodb").Table(stack.registry)
