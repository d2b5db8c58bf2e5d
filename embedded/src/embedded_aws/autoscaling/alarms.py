"""The state of the alarms that invoke scaling policies.

MiniStack's own evaluation looks neither at dimensions nor at single periods, so these alarms are
evaluated here. Source: CloudWatch user guide, "Alarm evaluation" and "Configuring how alarms
treat missing data".
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# CloudWatch looks a little further back than the evaluation periods for data that is there.
EXTRA_PERIODS = 5


@dataclass(frozen=True)
class Point:
    """What was measured: when (epoch seconds), how often, and of which values."""

    timestamp: float
    count: float
    total: float
    minimum: float
    maximum: float


def evaluation_range(alarm: dict[str, Any]) -> int:
    """How many periods back an alarm looks."""
    return int(alarm["EvaluationPeriods"]) + EXTRA_PERIODS


def by_period(
    points: Sequence[Point], statistic: str, period: float, periods: int, now: float
) -> list[float | None]:
    """The statistic of each of the last periods, the newest first; None where there is no data."""
    values: list[float | None] = []
    for number in range(periods):
        end = now - number * period
        within = [point for point in points if end - period <= point.timestamp < end]
        values.append(aggregate(within, statistic))
    return values


def aggregate(points: Sequence[Point], statistic: str) -> float | None:
    """One of CloudWatch's basic statistics, None of nothing."""
    count = sum(point.count for point in points)
    if not points or not count:
        return None
    total = sum(point.total for point in points)
    return {
        "Sum": total,
        "SampleCount": count,
        "Average": total / count,
        "Minimum": min(point.minimum for point in points),
        "Maximum": max(point.maximum for point in points),
    }.get(statistic)


def state_of(alarm: dict[str, Any], values: Sequence[float | None]) -> str:
    """The state of an alarm by its values, the newest first; its present one where undecided."""
    periods = int(alarm["EvaluationPeriods"])
    needed = int(alarm.get("DatapointsToAlarm") or periods)
    breaches = COMPARISONS[alarm["ComparisonOperator"]]
    threshold = float(alarm["Threshold"])
    present = [value for value in values if value is not None][:periods]
    missing = periods - len(present)
    breaching = sum(breaches(value, threshold) for value in present)
    treatment = alarm.get("TreatMissingData", "missing")
    if missing and treatment == "breaching":
        breaching, missing = breaching + missing, 0
    elif missing and treatment == "notBreaching":
        missing = 0
    if breaching >= needed:
        return ALARM
    if missing == periods and treatment == "missing":
        return INSUFFICIENT_DATA
    if breaching + missing < needed:
        return OK
    return str(alarm["StateValue"])
