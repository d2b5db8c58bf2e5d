"""In which steps a deployment shifts traffic, and how a streamed answer looks on the wire."""

from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from local.sagemaker import deployment, event_stream
from local.sagemaker.variants import choose


def blue_green(kind: str, wait: int = 60, **changes: Any) -> dict[str, Any]:
    """A blue/green deployment."""
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **changes}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 300}
    return {"BlueGreenUpdatePolicy": policy}


def size(value: int, kind: str = "CAPACITY_PERCENT") -> dict[str, Any]:
    """A capacity size."""
    return {"Type": kind, "Value": value}


@pytest.mark.parametrize(
    ("plan", "steps"),
    [
        (deployment.ALL_AT_ONCE, [(1.0, 0)]),
        (blue_green("ALL_AT_ONCE"), [(1.0, 300)]),
        (blue_green("CANARY", CanarySize=size(20)), [(0.2, 60), (1.0, 300)]),
        (
            blue_green("LINEAR", LinearStepSize=size(1, "INSTANCE_COUNT")),
            [(0.25, 60), (0.5, 60), (0.75, 60), (1.0, 300)],
        ),
        (
            {"RollingUpdatePolicy": {"MaximumBatchSize": size(50), "WaitIntervalInSeconds": 10}},
            [(0.5, 10), (1.0, 0)],
        ),
    ],
)
def test_traffic_shifts_as_the_deployment_configuration_says(
    plan: dict[str, Any], steps: list[tuple[float, int]]
) -> None:
    assert list(deployment.traffic_steps(plan, total=4)) == steps


def hosted(*weights: float) -> list[dict[str, Any]]:
    """Variants of these weights, named by their number."""
    return [
        {"VariantName": str(number), "CurrentWeight": weight}
        for number, weight in enumerate(weights)
    ]


def test_traffic_follows_the_weights() -> None:
    endpoint = {"Hosted": hosted(3, 1, 0)}
    chosen = [(choose(endpoint, None) or {})["VariantName"] for _ in range(2000)]
    assert 0.65 < chosen.count("0") / 2000 < 0.85
    assert "2" not in chosen


def test_an_arriving_fleet_gets_its_share() -> None:
    arriving = [{"VariantName": "new", "CurrentWeight": 1}]
    endpoint = {"Hosted": hosted(1), "Arriving": arriving, "ArrivingShare": 0.25}
    chosen = [(choose(endpoint, None) or {})["VariantName"] for _ in range(2000)]
    assert 0.15 < chosen.count("new") / 2000 < 0.35


def test_a_payload_part_is_read_back_by_botocore() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(event_stream.payload_part(b"\x00one part\xff"))
    (event,) = list(buffer)
    assert event.headers[":event-type"] == "PayloadPart"
    assert event.payload == b"\x00one part\xff"
