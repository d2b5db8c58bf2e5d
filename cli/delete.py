"""Deleting a dataset: its models, what the registry knows of it, and, if asked, its files.

Every step looks for what is there, so that one that was interrupted can be done again. The pointer
to the live model goes first, and what tells whose the endpoints are goes last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

from cli.errors import Problem
from cli.settings import this_command
from cli.stack import Stack, stack_resources
from pipeline.deployments import find_deployments
from pipeline.layout import RUN, dataset_of, dataset_of_run, is_dataset, slug
from pipeline.registry import LIVE, PIN, Status, run_sort

SETTLED = timedelta(hours=6)
"""A run that was last heard of longer ago is no longer under way, whatever it says."""

DELETED_AT_ONCE = 1000
"""Objects. Source: Amazon S3 API reference, DeleteObjects."""


@dataclass(frozen=True)
class Dataset:
    """What there is of a dataset: items of the registry, runs that have deployments, versions."""

    name: str
    items: list[dict[str, Any]]
    deployed: list[str]
    files: dict[str, list[dict[str, str]]]
    """By bucket, each version of each object; empty if the files are to stay."""

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Its runs, as the registry has them."""
        return [item for item in self.items if str(item["sort"]).startswith(run_sort(""))]

    @property
    def live(self) -> str | None:
        """The run whose model is live."""
        return next((str(item["run"]) for item in self.items if item["sort"] == LIVE), None)


def find_dataset(stack: Stack, name: str, *, with_files: bool) -> Dataset:
    """Return all that there is of a dataset.

    Raises
    ------
    Problem
        There is nothing, or a run is under way, which would make more.
    """
    table = boto3.resource("dynamodb").Table(stack.registry)
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"KeyConditionExpression": Key("dataset").eq(name)}
    while True:
        page: Any = table.query(**query, ConsistentRead=True)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    deployed = [
        run
        for run in find_deployments(boto3.client("sagemaker"), table).runs
        if dataset_of_run(run) == name
    ]
    files = find_files(stack, name) if with_files and is_dataset(name) else {}
    found = Dataset(name, items, deployed, files)
    if not items and not any(files.values()):
        raise Problem(f'There is no dataset "{name}". See {this_command()} datasets')
    if running := [item["run"] for item in found.runs if _is_under_way(item)]:
        raise Problem(
            f"{running[-1]} is still running. Wait until it has ended, then delete {name} again: "
            f"{this_command()} show {running[-1]}"
        )
    return found


def _is_under_way(item: dict[str, Any]) -> bool:
    if Status(item["status"]).has_ended:
        return False
    return datetime.now(UTC) - datetime.fromisoformat(str(item["updated"])) < SETTLED


def find_files(stack: Stack, dataset: str) -> dict[str, list[dict[str, str]]]:
    """Return the versions of a dataset's objects, by bucket: what was uploaded, and its runs'."""
    return {
        stack.inbox: [
            *_versions(stack.inbox, f"{dataset}/"),
            *_versions(stack.inbox, f"score/{dataset}/"),
            # At the root a file's name tells its dataset, and a misnamed file's the nearest one.
            *_versions(stack.inbox, "", lambda key: slug(dataset_of(key)) == dataset, flat=True),
        ],
        stack.runs: [
            *_versions(stack.runs, f"runs/{dataset}-", lambda key: _is_of(key, dataset)),
            *_versions(stack.runs, f"async/{dataset}-", lambda key: _is_of(key, dataset)),
            *_versions(stack.runs, f"batches/{dataset}/"),
        ],
    }


def _is_of(key: str, dataset: str) -> bool:
    """Whether a key is in the folder of a run of the dataset: "iris-2" is another than "iris"."""
    run = RUN.fullmatch(key.split("/")[1])
    return run is not None and run["dataset"] == dataset


def _versions(
    bucket: str,
    prefix: str,
    wanted: Callable[[str], bool] = lambda _: True,
    *,
    flat: bool = False,
) -> Iterator[dict[str, str]]:
    """Yield key and version id of all versions and delete markers below a prefix."""
    pages = boto3.client("s3").get_paginator("list_object_versions")
    within: Any = {"Delimiter": "/"} if flat else {}
    for page in pages.paginate(Bucket=bucket, Prefix=prefix, **within):
        for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            if wanted(each["Key"]):
                yield {"Key": each["Key"], "VersionId": each["VersionId"]}


def switch_off(stack: Stack, dataset: Dataset) -> None:
    """Take the pointer to the live model, so that nobody is sent to it and it isn't repaired."""
    _delete_items(stack, dataset.name, [LIVE, PIN])


def retire(stack_name: str, dataset: Dataset, *, poll_seconds: float) -> Iterator[str]:
    """Delete endpoints with their scaling, configurations and models; yield each run when done.

    Raises
    ------
    Problem
        An endpoint could not be deleted.
    """
    sfn = boto3.client("stepfunctions")
    machine = stack_resources(stack_name)["RetireEndpoints"]
    started = {
        run: sfn.start_execution(stateMachineArn=machine, input=json.dumps({"run": run}))
        for run in dataset.deployed
    }
    for run, execution in started.items():
        while True:
            found = sfn.describe_execution(executionArn=execution["executionArn"])
            if found["status"] != "RUNNING":
                break
            time.sleep(poll_seconds)
        if found["status"] != "SUCCEEDED":
            why = found.get("cause") or found["status"]
            raise Problem(
                f"The endpoint of {run} was not deleted: {why} Try again: {this_command()} delete "
                f"{dataset.name}"
            )
        yield run


def delete_files(dataset: Dataset) -> Iterator[int]:
    """Delete the versions that were found; yield how many are deleted so far.

    Raises
    ------
    Problem
        S3 refuses to delete one.
    """
    s3, count = boto3.client("s3"), 0
    for bucket, versions in dataset.files.items():
        for begin in range(0, len(versions), DELETED_AT_ONCE):
            some: Any = versions[begin : begin + DELETED_AT_ONCE]
            errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True}).get(
                "Errors"
            )
            if errors:
                raise Problem(
                    f"S3 did not delete s3://{bucket}/{errors[0]['Key']}: {errors[0]['Message']}. "
                    f"Try again: {this_command()} delete {dataset.name} --files"
                )
            count += len(some)
            yield count


def forget(stack: Stack, dataset: Dataset) -> None:
    """Delete all that the registry knows of the dataset."""
    _delete_items(stack, dataset.name, [str(item["sort"]) for item in dataset.items])


def _delete_items(stack: Stack, name: str, sorts: Iterable[str]) -> None:
    table = boto3.resource("dynamodb").Table(stack.registry)
    for sort in sorts:
        table.delete_item(Key={"dataset": name, "sort": sort})
