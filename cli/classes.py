"""Forgetting the classes that a file of another kind has left in the registry."""

from __future__ import annotations

from typing import Any

import boto3

from cli.errors import Problem
from cli.follow import all_runs
from cli.settings import this_command
from cli.stack import Stack
from pipeline.layout import SCHEMA, RunFolder
from pipeline.objects import read_json
from pipeline.registry import CLASSES, LIVE, Status, known_classes


def forget_classes(stack: Stack, dataset: str) -> list[str]:
    """Take from a dataset the classes that its live model doesn't know, and return them.

    All of them are taken if no model is live. Those of the live model keep their integers: later
    classes only ever came after them.

    Raises
    ------
    Problem
        A run of the dataset is under way, which may be adding some.
    """
    table = boto3.resource("dynamodb").Table(stack.registry)
    known = known_classes(table, dataset)
    under_way = {Status.PREPARING, Status.TRAINING}
    if running := [run["run"] for run in all_runs(stack, dataset) if run["status"] in under_way]:
        raise Problem(
            f"{running[-1]} is still running. Follow it: {this_command()} show {running[-1]}"
        )
    live: Any = table.get_item(Key={"dataset": dataset, "sort": LIVE}).get("Item")
    kept: list[str] = []
    if live:
        schema = read_json(boto3.client("s3"), stack.runs, RunFolder(live["run"]) / SCHEMA)
        kept = schema["classes"]
    if known[len(kept) :]:
        try:
            table.update_item(
                Key={"dataset": dataset, "sort": CLASSES},
                UpdateExpression="SET classes = :kept",
                ConditionExpression="size(classes) = :known",
                ExpressionAttributeValues={":kept": kept, ":known": len(known)},
            )
        except table.meta.client.exceptions.ConditionalCheckFailedException:
            raise Problem(
                f'A run of "{dataset}" has just added classes. Try again: '
                f"{this_command()} forget {dataset}"
            ) from None
    return known[len(kept) :]
