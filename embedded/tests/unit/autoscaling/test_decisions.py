"""How far a scaling policy scales."""

from typing import Any

import pytest

from embedded_aws.autoscaling.decisions import adjusted, desired_capacity

TRACKING = {
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 5.0},
}


@pytest.mark.parametrize(
    ("current", "value", "desired"),
    [(2, 10.0, 4), (2, 11.0, 5), (4, 2.5, 2), (3, 0.0, 0), (0, 12.0, 3), (0, 1.0, 1)],
)
def test_target_tracking_brings_the_metric_per_instance_to_its_target(
    current: int, value: float, desired: int
) -> None:
    assert desired_capacity(TRACKING, current, value, 5.0) == desired


def stepping(**changes: Any) -> dict[str, Any]:
    """Three steps around a threshold."""
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 3},
        {"MetricIntervalUpperBound": 0, "ScalingAdjustment": -1},
    ]
    configuration = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": steps, **changes}
    return {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": configuration}


@pytest.mark.parametrize(
    ("value", "desired"), [(50.0, 3), (59.9, 3), (60.0, 5), (90.0, 5), (49.0, 1)]
)
def test_the_step_is_chosen_by_how_far_the_metric_is_beyond_the_threshold(
    value: float, desired: int
) -> None:
    assert desired_capacity(stepping(), 2, value, threshold=50.0) == desired


def test_where_no_step_holds_nothing_is_asked_for() -> None:
    only = [{"MetricIntervalLowerBound": 10, "ScalingAdjustment": 1}]
    assert desired_capacity(stepping(StepAdjustments=only), 2, 55.0, threshold=50.0) is None


@pytest.mark.parametrize(
    ("kind", "current", "adjustment", "least", "desired"),
    [
        ("ExactCapacity", 7, 2, 0, 2),
        ("ChangeInCapacity", 7, -2, 0, 5),
        ("PercentChangeInCapacity", 10, 25, 0, 12),
        ("PercentChangeInCapacity", 2, 10, 0, 3),
        ("PercentChangeInCapacity", 2, -10, 0, 1),
        ("PercentChangeInCapacity", 10, 10, 3, 13),
    ],
)
def test_adjustments_are_counted_rounded_and_have_a_least_size(
    kind: str, current: int, adjustment: int, least: int, desired: int
) -> None:
    configuration = {"AdjustmentType": kind, "MinAdjustmentMagnitude": least}
    assert adjusted(configuration, current, adjustment) == desired
