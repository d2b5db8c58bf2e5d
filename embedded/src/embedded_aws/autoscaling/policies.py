"""Scaling policies, and the CloudWatch alarms that target tracking makes for itself.

Source: Application Auto Scaling API reference, "PutScalingPolicy"; user guide, "Target tracking
scaling policies" and "Step scaling policies". The alarms' names and the ARNs are as recorded in
aws-controllers-k8s and boto/boto3 issue 2839; their periods are those of SageMaker's predefined
metrics: three minutes above the target to scale out, fifteen below nine tenths of it to scale in.
"""

import contextlib
import itertools
import time

from botocore.exceptions import ClientError

from embedded_aws.autoscaling import records
from embedded_aws.autoscaling.services import service_of
from embedded_aws.autoscaling.targets import find, of_namespace, page
from embedded_aws.aws import platform
from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock

STEP, TARGET_TRACKING = "StepScaling", "TargetTrackingScaling"
CONFIGURATION = {
    STEP: "StepScalingPolicyConfiguration",
    TARGET_TRACKING: "TargetTrackingScalingPolicyConfiguration",
}
DEFAULT_COOLDOWN = 300
PAGE = 10
SCALE_IN_SHARE = 0.9


def put(scope: Scope, request: Document) -> Document:
    """PutScalingPolicy: a new policy, or a new configuration of one."""
    find(scope, request)
    key = records.policy_key(request)
    before = records.policies.get(scope, key)
    kind = request.get("PolicyType") or (before or {}).get("PolicyType")
    if kind is None:
        raise validation_error("PolicyType is required when creating a scaling policy")
    if kind not in CONFIGURATION:
        raise validation_error(f"The embedded Application Auto Scaling does not have {kind}")
    if before and before["PolicyType"] != kind:
        raise validation_error("The type of a scaling policy can't be changed")
    member = CONFIGURATION[kind]
    configuration = request.get(member)
    if configuration is None:
        raise validation_error(f"{member} is required for a policy of type {kind}")
    policy: Document = {
        "PolicyARN": before["PolicyARN"] if before else policy_arn(scope, request),
        "PolicyName": request["PolicyName"],
        "ServiceNamespace": request["ServiceNamespace"],
        "ResourceId": request["ResourceId"],
        "ScalableDimension": request["ScalableDimension"],
        "PolicyType": kind,
        member: configuration,
        "Alarms": [],
        "CreationTime": before["CreationTime"] if before else time.time(),
    }
    if kind == STEP:
        check_steps(configuration)
        alarms = alarms_of(scope, policy)
    else:
        requests = alarm_requests(policy)
        if before:
            delete_alarms(scope, before)
        policy["Alarms"] = alarms = put_alarms(scope, requests)
    with lock:
        records.policies.put(scope, key, policy)
    return {"PolicyARN": policy["PolicyARN"], "Alarms": alarms}


def policy_arn(scope: Scope, request: Document) -> str:
    """A new policy's ARN."""
    resource = f"resource/{request['ServiceNamespace']}/{request['ResourceId']}"
    identity = f"{platform.new_id()}:{resource}:policyName/{request['PolicyName']}"
    return scope.arn("autoscaling", f"scalingPolicy:{identity}")


def check_steps(configuration: Document) -> None:
    """Refuse steps that leave it open what to do, or say it twice."""
    if not configuration.get("AdjustmentType"):
        raise validation_error("AdjustmentType is required for a step scaling policy")
    steps = configuration.get("StepAdjustments")
    if not steps:
        raise validation_error("At least one StepAdjustment is required")
    bounds = sorted(interval(step) for step in steps)
    if any(upper <= lower for lower, upper in bounds):
        raise validation_error("A step's upper bound must be above its lower bound")
    if any(before[1] > after[0] for before, after in itertools.pairwise(bounds)):
        raise validation_error("StepAdjustment intervals can't overlap")


def interval(step: Document) -> tuple[float, float]:
    """From where to where, relative to the alarm's threshold, a step holds."""
    return (
        step.get("MetricIntervalLowerBound", float("-inf")),
        step.get("MetricIntervalUpperBound", float("inf")),
    )


def metric_of(policy: Document) -> Document:
    """The metric that a target tracking policy looks at, as an alarm has it."""
    configuration = policy[CONFIGURATION[TARGET_TRACKING]]
    customized = configuration.get("CustomizedMetricSpecification")
    predefined = configuration.get("PredefinedMetricSpecification")
    if bool(customized) == bool(predefined):
        raise validation_error(
            "Specify either a PredefinedMetricSpecification or a CustomizedMetricSpecification"
        )
    if predefined:
        kind = predefined["PredefinedMetricType"]
        service = service_of(policy)
        dimension, name, statistic, period = service.PREDEFINED_METRICS.get(kind, ("", "", "", 60))
        if dimension != policy["ScalableDimension"]:
            raise validation_error(
                f"{kind} is not a metric for {policy['ScalableDimension']} of "
                f"{policy['ServiceNamespace']}"
            )
        return {
            "Namespace": service.METRIC_NAMESPACE,
            "MetricName": name,
            "Dimensions": service.metric_dimensions(policy["ResourceId"]),
            "Statistic": statistic,
            "Period": period,
        }
    if "Metrics" in customized:
        raise validation_error("The embedded Application Auto Scaling has no metric math")
    for member in ("MetricName", "Namespace", "Statistic"):
        if not customized.get(member):
            raise validation_error(f"CustomizedMetricSpecification needs a {member}")
    metric: Document = {
        "Namespace": customized["Namespace"],
        "MetricName": customized["MetricName"],
        "Dimensions": customized.get("Dimensions", []),
        "Statistic": customized["Statistic"],
        "Period": 60,
    }
    return {**metric, "Unit": customized["Unit"]} if "Unit" in customized else metric


def alarm_requests(policy: Document) -> list[Document]:
    """PutMetricAlarm requests for the two alarms of a target tracking policy."""
    metric = metric_of(policy)
    target = policy[CONFIGURATION[TARGET_TRACKING]]["TargetValue"]
    shared = {
        **metric,
        "AlarmDescription": "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy "
        f"{policy['PolicyARN']}.",
        "AlarmActions": [policy["PolicyARN"]],
    }
    return [
        {
            **shared,
            "AlarmName": f"TargetTracking-{policy['ResourceId']}-{end}-{platform.new_id()}",
            "Threshold": threshold,
            "ComparisonOperator": operator,
            "EvaluationPeriods": periods,
        }
        for end, threshold, operator, periods in (
            ("AlarmHigh", target, "GreaterThanThreshold", 3),
            ("AlarmLow", target * SCALE_IN_SHARE, "LessThanThreshold", 15),
        )
    ]


def put_alarms(scope: Scope, requests: list[Document]) -> list[Document]:
    """Create alarms, and name them as a policy does."""
    cloudwatch = platform.client("cloudwatch", scope)
    for request in requests:
        cloudwatch.put_metric_alarm(**request)
    return [named(scope, request["AlarmName"]) for request in requests]


def named(scope: Scope, name: str) -> Document:
    """An alarm as a policy names it."""
    return {"AlarmName": name, "AlarmARN": scope.arn("cloudwatch", f"alarm:{name}")}


def delete_alarms(scope: Scope, policy: Document) -> None:
    """Delete the alarms that a target tracking policy has made."""
    names = [alarm["AlarmName"] for alarm in policy["Alarms"]]
    if names:
        # Somebody may have deleted them by hand.
        with contextlib.suppress(ClientError):
            platform.client("cloudwatch", scope).delete_alarms(AlarmNames=names)


def alarms_of(scope: Scope, policy: Document) -> list[Document]:
    """The alarms that invoke a policy: its own, or for step scaling those that name it."""
    if policy["PolicyType"] == TARGET_TRACKING:
        return list(policy["Alarms"])
    pages = platform.client("cloudwatch", scope).get_paginator("describe_alarms").paginate()
    return [
        named(scope, alarm["AlarmName"])
        for found in pages
        for alarm in found["MetricAlarms"]
        if policy["PolicyARN"] in alarm["AlarmActions"]
    ]


def describe(scope: Scope, request: Document) -> Document:
    """DescribeScalingPolicies."""
    wanted = request.get("PolicyNames")
    found = [
        {**policy, "Alarms": alarms_of(scope, policy)}
        for policy in of_namespace(scope, request, records.policies)
        if wanted is None or policy["PolicyName"] in wanted
    ]
    return page(
        "ScalingPolicies",
        found,
        request,
        key=lambda policy: (policy["CreationTime"], records.policy_key(policy)),
    )


def delete(scope: Scope, request: Document) -> Document:
    """DeleteScalingPolicy; what target tracking has made for itself goes with it."""
    policy = records.policies.get(scope, records.policy_key(request))
    if policy is None or request["ServiceNamespace"] != policy["ServiceNamespace"]:
        raise ServiceError(
            "ObjectNotFoundException",
            f"No scaling policy found for service namespace: {request['ServiceNamespace']}, "
            f"resource ID: {request['ResourceId']}, scalable dimension: "
            f"{request['ScalableDimension']}, policy name: {request['PolicyName']}",
        )
    remove(scope, policy)
    return {}


def remove(scope: Scope, policy: Document) -> None:
    """Forget a policy and its alarms."""
    with lock:
        records.policies.delete(scope, records.policy_key(policy))
    delete_alarms(scope, policy)


def deregister(scope: Scope, request: Document) -> Document:
    """DeregisterScalableTarget: the target and all its policies go."""
    target = find(scope, request, lacking="found")
    for policy in records.policies.all(scope):
        if records.target_key(policy) == records.target_key(target):
            remove(scope, policy)
    with lock:
        records.targets.delete(scope, records.target_key(target))
        records.tags.delete(scope, target["ScalableTargetARN"])
    return {}
