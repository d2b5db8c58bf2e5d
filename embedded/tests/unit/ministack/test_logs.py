"""What is kept of logs, and which metrics are in them."""

import json
from typing import Any

import pytest
from ministack.services import cloudwatch_logs

from embedded_aws.ministack.lambda_ import KEPT_STREAMS, forget_oldest_streams
from embedded_aws.ministack.logs import embedded_metrics


def line(**changes: Any) -> str:
    directive = {
        "Namespace": "shop",
        "Dimensions": [["service"], ["service", "run"]],
        "Metrics": [{"Name": "Sold", "Unit": "Count"}, {"Name": "Left"}],
    }
    told = {"_aws": {"CloudWatchMetrics": [directive]}, "service": "till", "run": 7}
    return json.dumps(told | {"Sold": [1.0, 2.0], "Left": 3} | changes)


def test_each_value_of_a_metric_counts_for_each_set_of_its_dimensions() -> None:
    of_service, of_run = {"service": "till"}, {"service": "till", "run": "7"}
    assert list(embedded_metrics(line())) == [
        ("shop", name, value, unit, dimensions)
        for dimensions in (of_service, of_run)
        for name, value, unit in (
            ("Sold", 1.0, "Count"),
            ("Sold", 2.0, "Count"),
            ("Left", 3.0, "None"),
        )
    ]


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", line(_aws=1), line(_aws={"CloudWatchMetrics": [{}]}), line(Sold="x")]
)
def test_what_is_no_metric_is_passed_over(text: str) -> None:
    assert list(embedded_metrics(text)) == []


def test_the_logs_of_the_latest_invocations_are_kept_and_of_others_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["own", *(f"2026/12/01/[$LATEST]{n}" for n in range(KEPT_STREAMS + 5))]
    streams: dict[str, Any] = {name: {} for name in names}
    monkeypatch.setattr(cloudwatch_logs, "_log_groups", {"group": {"streams": streams}})
    forget_oldest_streams("group")
    forget_oldest_streams("another")
    assert list(streams) == ["own", *names[-KEPT_STREAMS:]]
