"""How far a policy would scale: plain arithmetic on the metric and the present capacity.

Source: Application Auto Scaling user guide, "How target tracking scaling works" and "How step
scaling works".
"""

import math
from typing import Any

from embedded_aws.autoscaling.policies import CONFIGURATION, STEP, TARGET_TRACKING, interval


def desired_capacity(
    policy: dict[str, Any], current: int, value: float, threshold: float
) -> int | None:
    """The capacity that a policy asks for when an alarm with a threshold is in alarm.

    None where it asks for nothing: no step holds.
    """
    if policy["PolicyType"] == TARGET_TRACKING:
        target = float(policy[CONFIGURATION[TARGET_TRACKING]]["TargetValue"])
        # The metric is per unit of capacity; without any, it is what one unit would have.
        return math.ceil(max(1, current) * value / target)
    return stepped_capacity(policy[CONFIGURATION[STEP]], current, value - threshold)


def stepped_capacity(configuration: dict[str, Any], current: int, breach: float) -> int | None:
    """The capacity by the step that holds for how far the metric is beyond the threshold.

    Above the threshold a step's lower bound belongs to it, below it the upper one does.
    """
    for step in configuration["StepAdjustments"]:
        lower, upper = interval(step)
        holds = lower <= breach < upper if breach >= 0 else lower < breach <= upper
        if holds:
            return adjusted(configuration, current, step["ScalingAdjustment"])
    return None


def adjusted(configuration: dict[str, Any], current: int, adjustment: int) -> int:
    """The capacity after an adjustment of the configuration's type.

    Source: user guide, "Scaling adjustment types": fractions above 1 are rounded down, those
    between 0 and 1 up to 1, and likewise below zero.
    """
    kind = configuration["AdjustmentType"]
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return current + adjustment
    change = current * adjustment / 100
    whole = int(change) if abs(change) >= 1 else math.ceil(abs(change)) * (1 if change > 0 else -1)
    least = configuration.get("MinAdjustmentMagnitude", 0)
    if abs(whole) < least and change:
        whole = least if change > 0 else -least
    return current + whole
