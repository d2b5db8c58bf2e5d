from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.handling import deadline_of, read_environment


@dataclass(frozen=True)
class Environment:
    runs_bucket: str
    part_megabytes: float
    memory_sizes: list[str]
    settings: dict[str, Any]


VARIABLES = {
    "RUNS_BUCKET": "runs",
    "PART_MEGABYTES": "1.5",
    "MEMORY_SIZES": "2048 ml.m5.large",
    "SETTINGS": '{"k": 3}',
}


def test_an_environment_is_read_into_a_typed_object(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    expected = Environment("runs", 1.5, ["2048", "ml.m5.large"], {"k": 3})
    assert read_environment(Environment) == expected


def test_all_variables_that_are_missing_are_named(monkeypatch):
    monkeypatch.setenv("RUNS_BUCKET", "runs")
    for name in set(VARIABLES) - {"RUNS_BUCKET"}:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(KeyError, match="PART_MEGABYTES, MEMORY_SIZES, SETTINGS"):
        read_environment(Environment)


def test_a_deadline_leaves_the_spare_seconds(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    context: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    assert deadline_of(context, spare_seconds=20) == 140.0
