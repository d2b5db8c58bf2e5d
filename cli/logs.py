"""What the functions have logged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

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

MINUTE = 60 * 1000
WINDOWS = (MINUTE, 10 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE, 7 * 24 * 60 * MINUTE)
"""Milliseconds back in which the newest lines are looked for, one window after the other."""

MOST_AT_ONCE = 10_000
"""Events. Source: CloudWatch Logs API reference, FilterLogEvents."""

LATE = 10_000
"""Milliseconds after which an event may still come in."""

BOILERPLATE = {
    *("level", "message", "location", "timestamp", "service", "cold_start", "xray_trace_id"),
    *("function_name", "function_memory_size", "function_arn", "function_request_id"),
    *("exception", "exception_name", "stack_trace"),
}
"""Fields of a structured line that say nothing of what it is about."""

Line = tuple[int, str, str]
"""When something was logged, in milliseconds, by which function, and what."""


def log_groups(stack_name: str, function: str | None) -> dict[str, str]:
    """Return the log group of each function, or of one of them."""
    groups = stack_resources(stack_name)
    return {
        name: groups[f"{name}LogGroup"]
        for name in FUNCTIONS
        if f"{name}LogGroup" in groups and (function is None or function.lower() == name.lower())
    }


def newest_lines(
    groups: dict[str, str], count: int, *, containing: str = "", since: int | None = None
) -> list[Line]:
    """Return the newest lines of all functions together, in the order of their times.

    Parameters
    ----------
    containing
        A text that lines have to contain.
    since
        Milliseconds since 1970 before which nothing is looked for; by default as far back as the
        log groups go.
    """
    until = now()
    oldest = since if since is not None else _created(groups)
    found: list[Line] = []
    for window in (*WINDOWS, until):
        begin = max(oldest, now() - window)
        found = [*_lines(groups, begin, until, containing), *found]
        until = begin - 1
        if len(found) >= count or begin <= oldest:
            break
    return found[-count:]


def follow_lines(groups: dict[str, str], since: int, *, containing: str = "") -> Iterator[Line]:
    """Yield for ever what is logged since a time, a little late events among it."""
    seen: set[tuple[int, str, str]] = set()
    latest = since
    while True:
        begin = max(since, latest - LATE)
        for line in _lines(groups, begin, None, containing):
            if line not in seen:
                seen.add(line)
                latest = max(latest, line[0])
                yield line
        seen = {line for line in seen if line[0] >= latest - LATE}
        time.sleep(1)


def _lines(groups: dict[str, str], begin: int, end: int | None, containing: str) -> list[Line]:
    lines = [
        (event["timestamp"], name, event["message"].rstrip())
        for name, group in groups.items()
        for event in _events(group, begin, end, containing)
    ]
    return sorted(lines, key=lambda line: line[0])


def _events(group: str, begin: int, end: int | None, containing: str) -> Iterator[Any]:
    query: Any = {"logGroupName": group} | ({} if end is None else {"endTime": end})
    if containing:
        query["filterPattern"] = '"' + containing.replace('"', '\\"') + '"'
    pages = boto3.client("logs").get_paginator("filter_log_events")
    seen: set[tuple[str, int, str]] = set()
    while True:
        count = 0
        for page in pages.paginate(**query, startTime=begin):
            for event in page["events"]:
                count += 1
                identity = (event["logStreamName"], event["timestamp"], event["message"])
                if identity not in seen:
                    seen.add(identity)
                    yield event
                    begin = event["timestamp"]
        # There may be more where an answer isn't paged.
        if count < MOST_AT_ONCE:
            return


def _created(groups: dict[str, str]) -> int:
    logs = boto3.client("logs")
    created = [
        found["creationTime"]
        for group in groups.values()
        for found in logs.describe_log_groups(logGroupNamePrefix=group, limit=1)["logGroups"]
    ]
    return min(created, default=0)


def now() -> int:
    """Return the time in milliseconds since 1970."""
    return int(time.time() * 1000)


def shown_time(milliseconds: int) -> str:
    """Return a time as lines begin with it, in UTC."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def readable(message: str) -> str:
    """Return a line as people read it: of a structured one the level, the text and what is its own.

    Anything else stays as it is.
    """
    try:
        fields = json.loads(message)
    except ValueError:
        return message
    if isinstance(fields, dict) and "_aws" in fields:
        # Source: CloudWatch user guide, "Specification: Embedded metric format".
        named = [m["Name"] for each in fields["_aws"]["CloudWatchMetrics"] for m in each["Metrics"]]
        return " ".join(["METRICS", *(f"{name}={fields.get(name)}" for name in named)])
    if not isinstance(fields, dict) or not {"level", "message"} <= fields.keys():
        return message
    own = {name: value for name, value in fields.items() if name not in BOILERPLATE}
    told = [f"{name}={value}" for name, value in own.items() if not isinstance(value, dict | list)]
    told += [
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in own.items()
        if isinstance(value, dict | list)
    ]
    exception = f"\n{fields['exception']}" if fields.get("exception") else ""
    return " ".join([str(fields["level"]), str(fields["message"]), *told]) + exception
