"""Amazon CloudWatch: metrics of AWS's own, and alarms that others evaluate or that use keys."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch, sns

from embedded_aws.autoscaling.alarms import ALARM, Point
from embedded_aws.aws.clock import scaled
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import keys
from embedded_aws.ministack.patch import Function, patch

METRIC_SECONDS = 10.0
metric_lock = threading.Lock()

logger = logging.getLogger(__name__)


def publish_metric(
    scope: Scope, namespace: str, name: str, value: float, unit: str, dimensions: dict[str, str]
) -> None:
    """Publish a metric that no client puts: of AWS's own namespaces, or of a function's log.

    Equal values are counted for a while instead of kept one by one, and durations are taken to
    two digits, so that memory doesn't grow with each request. CloudWatch does likewise.
    """
    if unit in ("Microseconds", "Milliseconds"):
        value = float(f"{value:.2g}")
    now = time.time()
    key = (namespace, name, cloudwatch._dims_key(dimensions))
    with request_scope(scope.account, scope.region), metric_lock:
        points = cloudwatch._metric_bucket(key)
        for point in reversed(points):
            if point["Timestamp"] < now - scaled(METRIC_SECONDS):
                break
            if point["Value"] == value:
                point["Count"] += 1
                return
        points.append(
            {
                "Timestamp": now,
                "Value": value,
                "Count": 1.0,
                "Unit": unit,
                "Dimensions": dict(dimensions),
            }
        )


def evaluate_alarms(scope: Scope) -> None:
    """Evaluate the alarms of a scope, as MiniStack does when a client has put metrics."""
    with request_scope(scope.account, scope.region):
        cloudwatch._evaluate_all_alarms()


def metric_alarms(scope: Scope) -> list[dict[str, Any]]:
    """The metric alarms of a scope."""
    with request_scope(scope.account, scope.region):
        return [dict(alarm) for alarm in list(cloudwatch._alarms.values())]


def metric_points(scope: Scope, alarm: Mapping[str, Any], since: float) -> list[Point]:
    """What an alarm's metric has measured since a time."""
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    key = (alarm["Namespace"], alarm["MetricName"], dimensions)
    with request_scope(scope.account, scope.region):
        stored = list(cloudwatch._metrics.get(key) or [])
    return [
        Point(point["Timestamp"], *cloudwatch._point_stats(point))
        for point in stored
        if point["Timestamp"] >= since
    ]


@patch(
    cloudwatch,
    "_evaluate_alarm",
    fixes="an alarm that treats missing data as breaching doesn't go off without data",
    source='CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data"',
)
def evaluate_alarm(original: Function, alarm: dict[str, Any]) -> None:
    """Leave the alarms of scaling policies alone, which Auto Scaling evaluates as documented."""
    if any(":scalingPolicy:" in action for action in alarm.get("AlarmActions") or []):
        return
    if breaches_without_data(alarm):
        go_off_without_data(alarm)
    else:
        original(alarm)


def breaches_on_missing_data(alarm: Mapping[str, Any]) -> bool:
    """Whether an alarm counts missing data as breaching."""
    return alarm.get("TreatMissingData") == "breaching"


def breaches_without_data(alarm: Mapping[str, Any]) -> bool:
    """Whether all that an alarm looks at is missing, and that counts as breaching."""
    since = time.time() - alarm.get("Period", 60) * alarm.get("EvaluationPeriods", 1)
    scope = Scope(get_account_id(), get_region())
    return breaches_on_missing_data(alarm) and not metric_points(scope, alarm, since)


def go_off_without_data(alarm: dict[str, Any]) -> None:
    """Let an alarm go off as MiniStack does, in CloudWatch's words."""
    before, number = alarm["StateValue"], alarm.get("EvaluationPeriods", 1)
    if before == ALARM:
        return
    periods, points = ("period", "datapoint was") if number == 1 else ("periods", "datapoints were")
    reason = (
        f"Threshold Crossed: no datapoints were received for {number} {periods} and {number} "
        f"missing {points} treated as [Breaching]."
    )
    alarm |= {
        "StateValue": ALARM,
        "StateReason": reason,
        "StateUpdatedTimestamp": int(time.time()),
    }
    cloudwatch._record_history(alarm["AlarmName"], before, ALARM, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, ALARM, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


@patch(
    cloudwatch,
    "_evaluate_all_alarms",
    serves="MiniStack goes through all metrics for each alarm whenever one is put, and endpoints "
    "put theirs each minute",
)
def evaluate_all_alarms(original: Function) -> None:
    """Leave out alarms whose metric nothing has measured, unless they go off for that."""
    measured = {(namespace, name) for namespace, name, _ in cloudwatch._metrics}
    for alarm in cloudwatch._alarms.values():
        metric = (alarm.get("Namespace"), alarm.get("MetricName"))
        if metric not in measured and not breaches_on_missing_data(alarm):
            continue
        try:
            cloudwatch._evaluate_alarm(alarm)
        except Exception:
            # MiniStack doesn't let one alarm keep the others from being evaluated either.
            logger.exception("alarm %s", alarm.get("AlarmName"))


@patch(
    cloudwatch,
    "_dispatch_alarm_actions",
    fixes="alarms publish to topics whose KMS key doesn't let CloudWatch use it",
    source='AWS re:Post, "How do I configure a CloudWatch alarm with an encrypted SNS topic"',
    auth=True,
)
def dispatch_with_keys(original: Function, alarm: dict[str, Any], *rest: Any) -> None:
    """Let an alarm publish to a topic only if the topic's key lets CloudWatch."""
    owner = {"aws:sourceaccount": get_account_id()}

    def reaches(action: str) -> bool:
        topic = sns._topics.get(action) or {}
        key = (topic.get("attributes") or {}).get("KmsMasterKeyId", "")
        allowed = keys.may_send(key, "cloudwatch.amazonaws.com", owner)
        if not allowed:
            logger.warning(
                "CloudWatch Alarms does not have authorization to access the SNS topic "
                "encryption key of %s",
                action,
            )
        return allowed

    reached = {
        name: [action for action in alarm.get(name) or [] if reaches(action)]
        for name in ("AlarmActions", "OKActions", "InsufficientDataActions")
    }
    original({**alarm, **reached}, *rest)
