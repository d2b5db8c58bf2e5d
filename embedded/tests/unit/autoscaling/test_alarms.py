"""When an alarm of a scaling policy is in alarm."""

from typing import Any

import pytest

from embedded_aws.autoscaling.alarms import ALARM, INSUFFICIENT_DATA, OK, Point, by_period, state_of


def alarm(**changes: Any) -> dict[str, Any]:
    """An alarm above 5 in three periods, OK by now."""
    return {
        "EvaluationPeriods": 3,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "StateValue": OK,
        **changes,
    }


def point(timestamp: float, value: float) -> Point:
    """One measured value."""
    return Point(timestamp, 1, value, value, value)


def test_all_periods_above_the_threshold_are_an_alarm() -> None:
    assert state_of(alarm(), [6, 7, 8]) == ALARM


def test_one_period_below_is_none() -> None:
    assert state_of(alarm(), [6, 7, 5]) == OK


def test_as_many_periods_as_it_says_are_enough() -> None:
    assert state_of(alarm(DatapointsToAlarm=2), [6, 4, 6]) == ALARM


def test_without_data_nothing_is_known() -> None:
    assert state_of(alarm(), [None, None, None]) == INSUFFICIENT_DATA


def test_what_is_missing_is_looked_for_a_little_further_back() -> None:
    assert state_of(alarm(), [None, 6, None, 7, 8]) == ALARM


@pytest.mark.parametrize(
    ("treatment", "state"),
    [("breaching", ALARM), ("notBreaching", OK), ("missing", "as it was"), ("ignore", "as it was")],
)
def test_missing_periods_count_as_the_alarm_says(treatment: str, state: str) -> None:
    values = [6, 7, None]
    assert state_of(alarm(TreatMissingData=treatment, StateValue="as it was"), values) == state


def test_an_alarm_below_a_threshold_looks_the_other_way() -> None:
    low = alarm(ComparisonOperator="LessThanThreshold")
    assert state_of(low, [0, 0, 0]) == ALARM
    assert state_of(low, [5, 5, 5]) == OK


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("Sum", 6), ("Average", 3), ("Minimum", 2), ("Maximum", 4), ("SampleCount", 2)],
)
def test_points_are_summed_up_by_period(statistic: str, value: float) -> None:
    points = [point(95, 2), point(99, 4), point(70, 9)]
    assert by_period(points, statistic, 10, 4, now=100) == [
        value,
        None,
        1 if statistic == "SampleCount" else 9,
        None,
    ]
