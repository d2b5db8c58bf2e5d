"""In which steps a deployment shifts traffic, and how a streamed answer looks on the wire."""

from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope
from embedded_aws.sagemaker.hosting import deployment, event_stream
from embedded_aws.sagemaker.hosting.endpoints import check_deployment
from embedded_aws.sagemaker.hosting.variants import choose


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


def rolling(batch: dict[str, Any]) -> dict[str, Any]:
    """A rolling deployment."""
    return {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 10}}


FOUR_INSTANCES = [{"VariantName": "a", "DesiredInstanceCount": 4}]


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ({}, "one of BlueGreenUpdatePolicy and RollingUpdatePolicy"),
        ({**deployment.ALL_AT_ONCE, **rolling(size(50))}, "one of"),
        (blue_green("CANARY"), "needs a CanarySize"),
        (blue_green("LINEAR"), "needs a LinearStepSize"),
        (blue_green("ALL_AT_ONCE", CanarySize=size(10)), "can not have a CanarySize"),
        (blue_green("CANARY", CanarySize=size(90)), "CanarySize must be at most 50%"),
        (blue_green("CANARY", CanarySize=size(3, "INSTANCE_COUNT")), "at most 50%"),
        (blue_green("LINEAR", LinearStepSize=size(9)), "between 10% and 50%"),
        (rolling(size(100)), "MaximumBatchSize must be between 5% and 50%"),
        (rolling(size(4)), "between 5% and 50%"),
    ],
)
def test_a_deployment_that_can_not_be_done_is_refused(plan: dict[str, Any], why: str) -> None:
    with pytest.raises(ServiceError, match=why):
        check_deployment(plan, FOUR_INSTANCES)


@pytest.mark.parametrize(
    "plan",
    [
        None,
        deployment.ALL_AT_ONCE,
        blue_green("CANARY", CanarySize=size(50)),
        blue_green("LINEAR", LinearStepSize=size(2, "INSTANCE_COUNT")),
        rolling(size(5)),
    ],
)
def test_a_deployment_within_the_bounds_is_accepted(plan: dict[str, Any] | None) -> None:
    check_deployment(plan, FOUR_INSTANCES)


def test_a_single_instance_can_be_replaced_at_a_time() -> None:
    one = [{"VariantName": "a", "DesiredInstanceCount": 1}]
    check_deployment(rolling(size(1, "INSTANCE_COUNT")), one)


def test_a_deployment_whose_time_is_up_is_rolled_back() -> None:
    with pytest.raises(deployment.RolledBack, match="MaximumExecutionTimeoutInSeconds"):
        deployment.bake(Scope("000000000000", "us-east-1"), 3600, [], deadline=0.0)


def test_a_deployment_without_a_time_limit_has_all_the_time() -> None:
    assert deployment.time_limit(rolling(size(50))) == float("inf")
    assert deployment.time_limit(deployment.ALL_AT_ONCE) == 1800


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
