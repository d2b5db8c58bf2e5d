"""Scaling itself: alarms are looked at, and what their policies ask for is done.

Source: Application Auto Scaling user guide, "Scaling activities" (the descriptions, causes and
status messages as recorded in aws-samples code that shows them) and "Cooldown period".
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from embedded_aws.autoscaling import alarms, decisions, policies, records, targets
from embedded_aws.autoscaling.alarms import Point
from embedded_aws.autoscaling.policies import CONFIGURATION, DEFAULT_COOLDOWN, STEP, TARGET_TRACKING
from embedded_aws.autoscaling.services import service_of
from embedded_aws.aws import platform
from embedded_aws.aws.clock import scaled
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock

POLL_SECONDS = 20.0
KEPT_ACTIVITIES = 200

logger = logging.getLogger("application-autoscaling")


def none(*arguments: Any) -> list[Any]:
    """Stands in until the server sets where alarms and metrics are kept."""
    return []


metric_alarms: Callable[[Scope], list[Document]] = none
"""The metric alarms of a scope, as CloudWatch keeps them."""
metric_points: Callable[[Scope, Document, float], list[Point]] = none
"""What an alarm's metric has measured since a time."""


def run_forever(stopped: threading.Event) -> None:
    """Look after all policies until told to stop."""
    while not stopped.wait(max(0.05, scaled(POLL_SECONDS))):
        for scope in {scope for scope, _, _ in records.targets.everywhere()}:
            try:
                settle_activities(scope)
                evaluate_alarms(scope)
            except Exception:
                # The next round may fare better; without it nothing would ever scale again.
                logger.exception("scaling in %s", scope)


def evaluate_alarms(scope: Scope) -> None:
    """Bring the state of the alarms of policies up to date, and follow those in alarm."""
    by_arn = {policy["PolicyARN"]: policy for policy in records.policies.all(scope)}
    for alarm in metric_alarms(scope):
        invoked = [by_arn[action] for action in alarm["AlarmActions"] if action in by_arn]
        if not invoked or alarm["ComparisonOperator"] not in alarms.COMPARISONS:
            continue
        now = time.time()
        period = scaled(alarm["Period"])
        periods = alarms.evaluation_range(alarm)
        points = metric_points(scope, alarm, now - periods * period)
        values = alarms.by_period(points, alarm["Statistic"], period, periods, now)
        state = alarms.state_of(alarm, values)
        newest = next((value for value in values if value is not None), None)
        if state != alarm["StateValue"]:
            set_state(scope, alarm, state, newest)
        if state == alarms.ALARM and newest is not None and alarm.get("ActionsEnabled", True):
            for policy in invoked:
                follow(scope, policy, alarm, newest)


def set_state(scope: Scope, alarm: Document, state: str, value: float | None) -> None:
    """Tell CloudWatch an alarm's new state, so that everybody sees it."""
    reason = (
        "Insufficient Data"
        if value is None
        else f"Threshold Crossed: datapoint {value} against {alarm['ComparisonOperator']} "
        f"{alarm['Threshold']}"
    )
    platform.client("cloudwatch", scope).set_alarm_state(
        AlarmName=alarm["AlarmName"], StateValue=state, StateReason=reason
    )


def follow(scope: Scope, policy: Document, alarm: Document, value: float) -> None:
    """Scale as a policy asks for, within the target's bounds and mindful of its cooldown."""
    target = records.targets.get(scope, records.target_key(policy))
    if target is None:
        return
    try:
        if not service_of(target).is_at_rest(scope, target["ResourceId"]):
            return
        current = capacity(scope, target)
    except ServiceError:
        return
    outwards = alarm["ComparisonOperator"].startswith("Greater")
    recent = recent_activity(scope, target, policy, outwards)
    if recent and not outwards:
        return
    # During a cooldown what was just added counts as part of what is to be added now.
    base = recent["Before"] if recent and recent["Desired"] > recent["Before"] else current
    desired = decisions.desired_capacity(policy, base, value, alarm["Threshold"])
    if desired is None or is_suspended(target, policy, outwards=desired > current):
        return
    desired = min(max(desired, target["MinCapacity"]), target["MaxCapacity"])
    wanted = desired > current if outwards else desired < current
    # A step may go either way, whatever the alarm looks for.
    stepped = policy["PolicyType"] == STEP and not recent and desired != current
    if wanted or stepped:
        cause = (
            f"monitor alarm {alarm['AlarmName']} in state ALARM triggered policy "
            f"{policy['PolicyName']}"
        )
        scale(scope, target, current, desired, cause)


def register(scope: Scope, request: Document) -> Document:
    """RegisterScalableTarget; a change of bounds brings the capacity within them at once.

    Source: API reference, "RegisterScalableTarget".
    """
    key = records.target_key(request)
    known = records.targets.get(scope, key) is not None
    response = targets.register(scope, request)
    if known:
        bring_within_bounds(scope, records.targets.get(scope, key) or {})
    return response


def bring_within_bounds(scope: Scope, target: Document) -> None:
    """Scale to the bound that the present capacity lies beyond, if it does."""
    low, high = target["MinCapacity"], target["MaxCapacity"]
    current = capacity(scope, target)
    desired = min(max(current, low), high)
    if desired != current and service_of(target).is_at_rest(scope, target["ResourceId"]):
        bound = "minimum" if desired == low else "maximum"
        scale(scope, target, current, desired, f"{bound} capacity was set to {desired}")


def capacity(scope: Scope, target: Document) -> int:
    """The present capacity in a target's dimension."""
    service = service_of(target)
    return service.capacity(scope, target["ResourceId"], target["ScalableDimension"])


def is_suspended(target: Document, policy: Document, outwards: bool) -> bool:
    """Whether the target, or the policy, is not to be scaled that way."""
    configuration = policy[CONFIGURATION[policy["PolicyType"]]]
    if not outwards and configuration.get("DisableScaleIn"):
        return True
    way = "Out" if outwards else "In"
    return bool(target["SuspendedState"][f"DynamicScaling{way}Suspended"])


def recent_activity(
    scope: Scope, target: Document, policy: Document, outwards: bool
) -> Document | None:
    """The target's last activity, if the policy's cooldown since then lasts."""
    configuration = policy[CONFIGURATION[policy["PolicyType"]]]
    name = "Cooldown"
    if policy["PolicyType"] == TARGET_TRACKING:
        name = "ScaleOutCooldown" if outwards else "ScaleInCooldown"
    since = time.time() - scaled(configuration.get(name, DEFAULT_COOLDOWN))
    key = records.target_key(target)
    recent = [
        activity
        for activity in records.activities.all(scope)
        if records.target_key(activity) == key
        and activity["StatusCode"] != "Failed"
        and activity["StartTime"] > since
    ]
    return max(recent, key=lambda activity: float(activity["StartTime"]), default=None)


def scale(scope: Scope, target: Document, current: int, desired: int, cause: str) -> None:
    """Ask the service for a capacity, and record that as an activity."""
    service, namespace = service_of(target), target["ServiceNamespace"]
    dimension = target["ScalableDimension"]
    what = service.DIMENSIONS[dimension]
    activity: Document = {
        "ActivityId": platform.new_id(),
        "ServiceNamespace": namespace,
        "ResourceId": target["ResourceId"],
        "ScalableDimension": dimension,
        "Description": f"Setting desired {what} to {desired}.",
        "Cause": cause,
        "StartTime": time.time(),
        "StatusCode": "InProgress",
        "StatusMessage": f"Successfully set desired {what} to {desired}. Waiting for change to be "
        f"fulfilled by {namespace}.",
        "Before": current,
        "Desired": desired,
    }
    try:
        service.set_capacity(scope, target["ResourceId"], dimension, desired)
    except ServiceError as error:
        activity.update(
            StatusCode="Failed",
            EndTime=time.time(),
            StatusMessage=f"Failed to set desired {what} to {desired}. Reason: {error.message}",
        )
    with lock:
        records.activities.put(scope, activity["ActivityId"], activity)
        drop_old_activities(scope)


def drop_old_activities(scope: Scope) -> None:
    """Keep the newest activities of a scope; AWS keeps them for six weeks."""
    found = sorted(records.activities.all(scope), key=lambda item: float(item["StartTime"]))
    for activity in found[:-KEPT_ACTIVITIES]:
        records.activities.delete(scope, activity["ActivityId"])


def settle_activities(scope: Scope) -> None:
    """Mark as successful what its service has fulfilled."""
    with lock:
        under_way = [
            activity
            for activity in records.activities.all(scope)
            if activity["StatusCode"] == "InProgress"
        ]
        for activity in under_way:
            settle(scope, activity)


def settle(scope: Scope, activity: Document) -> None:
    """Mark an activity as its resource has it; the caller holds the lock."""
    try:
        is_fulfilled = service_of(activity).is_at_rest(scope, activity["ResourceId"])
    except ServiceError:
        activity.update(
            StatusCode="Failed", EndTime=time.time(), StatusMessage="The resource is gone."
        )
        return
    if is_fulfilled:
        message = activity["StatusMessage"].partition(" Waiting")[0]
        activity.update(
            StatusCode="Successful",
            EndTime=time.time(),
            StatusMessage=f"{message} Change successfully fulfilled by "
            f"{activity['ServiceNamespace']}.",
        )


def describe_activities(scope: Scope, request: Document) -> Document:
    """DescribeScalingActivities, the newest first."""
    found = targets.of_namespace(scope, request, records.activities)
    return targets.page(
        "ScalingActivities",
        found,
        request,
        key=lambda activity: (activity["StartTime"], activity["ActivityId"]),
        descending=True,
    )


def forget(scope: Scope, prefix: str) -> None:
    """Deregister the targets whose resources, which have been deleted, begin with a prefix."""
    for target in records.targets.all(scope):
        if target["ResourceId"].startswith(prefix):
            policies.deregister(scope, target)
