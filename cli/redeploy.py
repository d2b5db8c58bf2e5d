"""Deploying the model of an earlier run again, without training: how one goes back in a minute."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import boto3
from botocore.exceptions import ClientError

from cli.errors import Problem
from cli.follow import all_runs
from cli.settings import this_command
from cli.stack import Stack
from pipeline import layout
from pipeline.objects import read_json
from pipeline.registry import LIVE, PIN, Status, record_status, run_sort

PASSED = (Status.HELD, Status.SUPERSEDED, Status.RETIRED)
"""How runs end whose model passed all gates, and isn't live."""

NEEDED = (
    *(layout.SCHEMA, layout.SETTINGS, layout.SAMPLE, layout.TRANSFORM, layout.CHOICE),
    *(layout.SPLIT, layout.METRICS),
)
"""What the folder of a run must have, besides its model, to be validated again."""

COPIED = (
    *(layout.SCHEMA, layout.SETTINGS, layout.SAMPLE, layout.PROFILE, layout.TRANSFORM),
    *(layout.CHOICE, layout.SPLIT, layout.TRAINING_SAMPLE),
    *("test/", layout.HELD_OUT.removesuffix(".csv"), "fingerprints/"),
)
"""What the names begin with of the files that Predict, Validate and Report need. The manifest isn't
among them: its creation starts a split."""


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
        raise Problem(f'There is no run {name} of "{dataset}".')
    return dict(item)


def restorable_run(stack: Stack, name: str) -> dict[str, Any]:
    """Return the item of a run whose model passed all gates and isn't live.

    Raises
    ------
    Problem
        There is no such run, it is live already, or its model never passed.
    """
    item = named_run(stack, name)
    if name == _live_run(stack, item["dataset"]):
        raise Problem(f"{name} is live already.")
    if item["status"] not in PASSED and not _was_live(item):
        raise Problem(
            f"{name} is {item['status']}. Only a model that passed all gates can go live again."
        )
    return item


def previous_run(stack: Stack, dataset: str) -> dict[str, Any]:
    """Return the item of the run to go back to, as `run_before` finds it.

    Raises
    ------
    Problem
        No model is live, or there is no run to go back to.
    """
    live = _live_run(stack, dataset)
    if live is None:
        raise Problem(f'"{dataset}" has no live model. Upload a file first.')
    items = all_runs(stack, dataset)
    item = run_before(items, live)
    if item:
        return item
    if not any(_was_live(each) for each in items if each["run"] != live):
        raise Problem(
            f'{live} is the first live run of "{dataset}": there is nothing to go back to.'
        )
    raise Problem(
        f'You have rolled back from every other model of "{dataset}" that was live. To go back to '
        f"one all the same, name its run: {this_command()} rollback {dataset} RUN"
    )


def run_before(items: Sequence[dict[str, Any]], live: str) -> dict[str, Any] | None:
    """Return the run that was live before the present one, None if there is none to go back to.

    A model that was rolled back from is passed over, unless it was live again later and a newer
    file took its place. So a second rollback goes one further back, not to the bad model.
    """
    by_name = {item["run"]: item for item in items}

    def model(name: str) -> Any:
        """Return the run that a run's model was trained in."""
        while restores := by_name.get(name, {}).get("restores"):
            name = restores
        return name

    lived: list[dict[str, Any]] = sorted(filter(_was_live, items), key=_when_live)
    seen = {model(live)}
    for item, successor in [*pairwise(lived)][::-1]:
        if model(item["run"]) in seen:
            continue
        seen.add(model(item["run"]))
        if not successor.get("pins"):
            return item
    return None


def _was_live(item: Mapping[str, Any]) -> bool:
    return "replaced" in item or item["status"] in (Status.LIVE, Status.RETIRED)


def _when_live(item: Mapping[str, Any]) -> str:
    """Return since when a run was live; of a release before 0.2 about when its file was dropped."""
    return str(item.get("promoted") or item.get("dropped", ""))


def redeploy(stack: Stack, item: Mapping[str, Any], *, pins: bool) -> str:
    """Start a run that deploys the model of another as it was; return its name.

    Parameters
    ----------
    item
        That of the run whose model is deployed again.
    pins
        Whether the dataset is pinned with the promotion.

    Raises
    ------
    Problem
        Files are gone that it takes.
    """
    s3, table = boto3.client("s3"), _table(stack)
    old = layout.RunFolder(item["run"])
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(Bucket=stack.runs, Prefix=f"{old.prefix}/")
    )
    found = {
        each["Key"].removeprefix(f"{old.prefix}/")
        for page in pages
        for each in page.get("Contents", ())
    }
    if missing := [name for name in (_model(old.run), *NEEDED) if name not in found]:
        raise Problem(
            f"The run {old.run} has no {missing[0]}, so it can't be deployed again as it was. "
            f"Train on its file again: {this_command()} retrain {old.run}"
        )
    # By the clock of S3, as that of files: this one may be wrong.
    now = parsedate_to_datetime(pages[-1]["ResponseMetadata"]["HTTPHeaders"]["date"])
    dataset = item["dataset"]
    new = layout.RunFolder(f"{dataset}-{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}")
    copies = {name: name for name in found if name.startswith(COPIED)}
    copies[_model(old.run)] = _model(new.run)
    for name, copy in copies.items():
        s3.copy({"Bucket": stack.runs, "Key": old / name}, stack.runs, new / copy)
    # Later than all files of this second.
    dropped = f"{now:%Y-%m-%dT%H:%M:%SZ}#{'f' * 32}"
    asked = {
        "run": new.run,
        "dataset": dataset,
        "dropped": dropped,
        "restores": old.run,
        "pins": pins,
    }
    # The stack's kind of endpoint serves what was made before datasets had their own.
    if kind := read_json(s3, stack.runs, old / layout.SETTINGS).get("endpoint_kind"):
        asked["endpoint_kind"] = kind
    about = {"source": item["source"], "dropped": dropped, "restores": old.run, "pins": pins}
    record_status(table, s3, stack.runs, new.run, Status.TRAINING, **about)
    try:
        boto3.client("stepfunctions").start_execution(
            stateMachineArn=stack.state_machine_arn, name=new.run, input=json.dumps(asked)
        )
    except ClientError:
        # Otherwise it would stay a run under way for ever.
        table.delete_item(Key={"dataset": dataset, "sort": run_sort(new.run)})
        raise
    return new.run


def _model(run: str) -> str:
    return f"model/{run}/output/model.tar.gz"


def pin(stack: Stack, dataset: str) -> Pin:
    """Keep the live model of a dataset as it is, until it is unpinned.

    Raises
    ------
    Problem
        No model is live.
    """
    live = _live_run(stack, dataset)
    if live is None:
        raise Problem(f'"{dataset}" has no live model that could be kept.')
    made = Pin(dataset, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", live)
    item = {"dataset": dataset, "sort": PIN, "since": made.since, "run": live}
    _table(stack).put_item(Item=item)
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
        raise Problem(f'"{dataset}" is not pinned.')
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


def _live_run(stack: Stack, dataset: str) -> str | None:
    item: Any = _table(stack).get_item(Key={"dataset": dataset, "sort": LIVE}).get("Item")
    return str(item["run"]) if item else None


def _table(stack: Stack) -> Any:
    return boto3.resource("dynamodb").Table(stack.registry)
