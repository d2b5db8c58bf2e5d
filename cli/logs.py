"""What the functions have logged."""

from __future__ import annotations

import time
from collections.abc import Iterator

import boto3

from cli.stack import stack_resources

FUNCTIONS = (
    "Preprocess",
    "PreprocessParts",
    "Split",
    "SplitParts",
    "Failure",
    "Validate",
    "Report",
    "Predict",
    "Score",
    "Teardown",
    "Sweep",
)


def log_groups(stack_name: str, function: str | None) -> dict[str, str]:
    """Return the log group of each function, or of one of them."""
    groups = stack_resources(stack_name)
    return {
        name: groups[f"{name}LogGroup"]
        for name in FUNCTIONS
        if f"{name}LogGroup" in groups and (function is None or function.lower() == name.lower())
    }


def log_lines(groups: dict[str, str], *, follow: bool) -> Iterator[tuple[str, str]]:
    """Yield function and line, in the order of their times; with `follow` for ever."""
    logs = boto3.client("logs")
    since = dict.fromkeys(groups, 0)
    seen: set[tuple[str, int, str]] = set()
    while True:
        events = []
        for name, group in groups.items():
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=since[name]
            )
            for page in pages:
                events += [(e["timestamp"], name, e) for e in page["events"]]
        for timestamp, name, event in sorted(events, key=lambda entry: entry[0]):
            identity = (event["logStreamName"], timestamp, event["message"])
            if identity not in seen:
                seen.add(identity)
                since[name] = max(since[name], timestamp)
                yield name, event["message"].rstrip()
        if not follow:
            return
        time.sleep(1)
