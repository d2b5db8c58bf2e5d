"""Asking the sweeper what is not as the registry says, and to put it in order."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
from botocore.config import Config

from cli.errors import Problem
from cli.settings import this_command
from cli.stack import stack_resources

FOUND = {
    "orphans": ("nothing needs what it has deployed", "that is deleted"),
    "lost": ("it does not get on", "it is reported as failed"),
    "missing": ("it is live, and no endpoint serves it", "its model is deployed again"),
    "given_up": (
        "it is live, no endpoint serves it, and deploying its model again keeps failing",
        "see the emails, or roll back",
    ),
    "tried": (
        "it is to answer some of the requests, though it has ended or no endpoint serves it",
        "it answers none",
    ),
    "expired": ("it is old", "its files are deleted"),
}
"""What is wrong with the runs that the sweeper has found, and what becomes of them."""


def sweep(stack_name: str, *, dry_run: bool) -> Iterator[str]:
    """Have the sweeper look, and act unless it is a dry run; yield a line for each run.

    Raises
    ------
    Problem
        The sweeper failed.
    """
    function = stack_resources(stack_name).get("SweepFunction")
    if function is None:
        raise Problem(
            "The stack has no sweeper. Deploy this release first: make deploy CONFIG=prod"
        )
    # It may take minutes, and a second attempt would be a second sweep beside the first.
    patient = Config(read_timeout=320, retries={"total_max_attempts": 1})
    answer = boto3.client("lambda", config=patient).invoke(
        FunctionName=function, Payload=json.dumps({"dry_run": dry_run})
    )
    found = json.load(answer["Payload"])
    if "FunctionError" in answer:
        raise Problem(
            f"The sweeper failed: {found.get('errorMessage', 'it says not why')}. See its log: "
            f"{this_command()} logs Sweep"
        )
    for what, (wrong, then) in FOUND.items():
        yield from (f"{run}: {wrong}; {then}" for run in found[what])
