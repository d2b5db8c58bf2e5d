"""Alarms whose metric nothing has measured."""

from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from embedded_aws.aws.platform import Scope
from embedded_aws.ministack.cloudwatch import evaluate_alarm, evaluate_all_alarms, publish_metric

SCOPE = Scope("111122223333", "eu-west-1")


def evaluated(monkeypatch: pytest.MonkeyPatch, treatment: str) -> dict[str, Any]:
    """An alarm of three periods by itself, once all are evaluated."""
    alarm = {
        "AlarmName": treatment,
        "Namespace": "shop",
        "MetricName": f"Sold {treatment}",
        "Dimensions": [{"Name": "till", "Value": "1"}],
        "Statistic": "Sum",
        "Period": 86400,
        "EvaluationPeriods": 3,
        "Threshold": 1.0,
        "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": treatment,
        "StateValue": "INSUFFICIENT_DATA",
    }
    original = cloudwatch._evaluate_alarm
    monkeypatch.setattr(cloudwatch, "_alarms", {treatment: alarm})
    monkeypatch.setattr(cloudwatch, "_evaluate_alarm", lambda each: evaluate_alarm(original, each))
    evaluate_all_alarms(cloudwatch._evaluate_all_alarms)
    return alarm


def test_an_alarm_that_breaches_without_data_goes_off_until_there_is_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with request_scope(SCOPE.account, SCOPE.region):
        alarm = evaluated(monkeypatch, "breaching")
        assert alarm["StateValue"] == "ALARM"
        assert "3 missing datapoints were treated as [Breaching]" in alarm["StateReason"]
        publish_metric(SCOPE, "shop", alarm["MetricName"], 2.0, "Count", {"till": "1"})
        evaluate_all_alarms(cloudwatch._evaluate_all_alarms)
        assert alarm["StateValue"] == "OK"


@pytest.mark.parametrize("treatment", ["notBreaching", "ignore", "missing"])
def test_other_alarms_do_not(monkeypatch: pytest.MonkeyPatch, treatment: str) -> None:
    with request_scope(SCOPE.account, SCOPE.region):
        assert evaluated(monkeypatch, treatment)["StateValue"] == "INSUFFICIENT_DATA"
