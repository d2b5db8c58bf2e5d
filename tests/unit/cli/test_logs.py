"""The newest lines of logs, and how they are shown."""

from typing import Any

import boto3
import pytest

from cli import logs

NOW = 10 * 24 * 60 * logs.MINUTE


class CloudWatchLogs:
    """Log groups, as far as they are searched: one that pages, or as many as go into one answer."""

    def __init__(self, events: dict[str, list[tuple[int, str]]], at_once: int | None) -> None:
        self.events = events
        self.at_once = at_once
        self.read = 0

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, logGroupName: str, startTime: int, endTime: int = NOW) -> Any:  # noqa: N803
        found = [
            {"timestamp": time, "message": text, "logStreamName": "one"}
            for time, text in self.events[logGroupName]
            if startTime <= time <= endTime
        ][: self.at_once]
        self.read += len(found)
        yield {"events": found}

    def describe_log_groups(self, **_: Any) -> Any:
        return {"logGroups": [{"creationTime": 0}]}


def searched(
    monkeypatch: pytest.MonkeyPatch,
    events: dict[str, list[tuple[int, str]]],
    at_once: int | None = None,
) -> CloudWatchLogs:
    client = CloudWatchLogs(events, at_once)
    monkeypatch.setattr(boto3, "client", lambda _: client)
    monkeypatch.setattr(logs, "now", lambda: NOW)
    return client


def test_the_newest_lines_of_all_functions_are_found_without_reading_all(monkeypatch):
    old = [(time, f"old {time}") for time in range(0, 5000)]
    events = {
        "split": [*old, (NOW - 40_000, "second"), (NOW - 10_000, "last")],
        "report": [*old, (NOW - 20_000, "third"), (NOW - 30 * logs.MINUTE, "first")],
    }
    client = searched(monkeypatch, events)
    groups = {"Split": "split", "Report": "report"}
    found = logs.newest_lines(groups, 3)
    assert [(name, text) for _, name, text in found] == [
        ("Split", "second"),
        ("Report", "third"),
        ("Split", "last"),
    ]
    assert client.read == 3
    assert [text for _, _, text in logs.newest_lines(groups, 5)][:2] == ["old 4999", "first"]


def test_nothing_is_looked_for_before_a_time(monkeypatch):
    events = {"split": [(1, "old"), (NOW - 50_000, "new")]}
    searched(monkeypatch, events)
    found = logs.newest_lines({"Split": "split"}, 9, since=NOW - logs.MINUTE)
    assert [text for *_, text in found] == ["new"]


def test_answers_that_are_cut_short_without_saying_so_are_continued(monkeypatch):
    events = {"split": [(NOW - 5000 + number // 2, f"line {number}") for number in range(25)]}
    monkeypatch.setattr(logs, "MOST_AT_ONCE", 10)
    searched(monkeypatch, events, at_once=10)
    found = logs.newest_lines({"Split": "split"}, 100)
    assert [text for *_, text in found] == [f"line {number}" for number in range(25)]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("START RequestId: 1", "START RequestId: 1"),
        ("[1, 2]", "[1, 2]"),
        (
            '{"level": "INFO", "message": "split", "service": "split", "rows": {"test": 3},'
            ' "correlation_id": "iris-1"}',
            'INFO split correlation_id=iris-1 rows={"test": 3}',
        ),
        (
            '{"level": "ERROR", "message": "failed", "exception": "Traceback"}',
            "ERROR failed\nTraceback",
        ),
        (
            '{"_aws": {"CloudWatchMetrics": [{"Metrics": [{"Name": "RunsLive"}]}]},'
            ' "RunsLive": [1.0]}',
            "METRICS RunsLive=[1.0]",
        ),
    ],
)
def test_a_line_is_shown_without_what_all_lines_have(message, shown):
    assert logs.readable(message) == shown
