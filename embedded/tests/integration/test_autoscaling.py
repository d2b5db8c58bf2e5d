"""Application Auto Scaling of endpoints on the embedded AWS, where a minute takes 0.3 s."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import Workshop, unique, wait_for

SETOSA = b"5.1,3.5,1.4,0.2"
INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"


@pytest.fixture(scope="module")
def model(workshop: Workshop) -> str:
    """A model of iris."""
    return workshop.model()


@pytest.fixture
def sleeper(workshop: Workshop, model: str) -> str:
    """An asynchronous endpoint."""
    return workshop.endpoint(workshop.async_config(model))


@pytest.fixture(scope="module")
def at_rest(workshop: Workshop, model: str) -> str:
    """An asynchronous endpoint that its tests leave as it is."""
    return workshop.endpoint(workshop.async_config(model))


def variant_of(endpoint: str, dimension: str = INSTANCES) -> dict[str, str]:
    """What names a variant as a scalable target."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": dimension,
    }


def backlog_tracking(endpoint: str, **changes: Any) -> dict[str, Any]:
    """The developer guide's policy for asynchronous endpoints."""
    return {
        "TargetValue": 5.0,
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
            "Statistic": "Average",
        },
        **changes,
    }


def instance_count(workshop: Workshop, endpoint: str) -> int:
    """How many instances the endpoint has."""
    described = workshop.sagemaker.describe_endpoint(EndpointName=endpoint)
    (variant,) = described["ProductionVariants"]
    return int(variant["CurrentInstanceCount"])


def test_an_idle_endpoint_goes_to_zero_instances_and_wakes_for_a_request(
    workshop: Workshop, sleeper: str
) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    cloudwatch = workshop.aws.client("cloudwatch")
    scaling.register_scalable_target(**variant_of(sleeper), MinCapacity=0, MaxCapacity=2)
    scaling.put_scaling_policy(
        PolicyName="track-backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=backlog_tracking(sleeper),
        **variant_of(sleeper),
    )
    wake = scaling.put_scaling_policy(
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
        **variant_of(sleeper),
    )
    cloudwatch.put_metric_alarm(
        AlarmName=f"{sleeper}-has-backlog",
        MetricName="HasBacklogWithoutCapacity",
        Namespace="AWS/SageMaker",
        Statistic="Average",
        EvaluationPeriods=2,
        DatapointsToAlarm=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        Dimensions=[{"Name": "EndpointName", "Value": sleeper}],
        Period=60,
        AlarmActions=[wake["PolicyARN"]],
    )
    wait_for(lambda: instance_count(workshop, sleeper) == 0)

    answer = workshop.runtime.invoke_endpoint_async(
        EndpointName=sleeper,
        InputLocation=workshop.put("requests/sleeper.csv", SETOSA),
        ContentType="text/csv",
    )
    wait_for(lambda: instance_count(workshop, sleeper) == 1)
    wait_for(lambda: workshop.exists(answer["OutputLocation"]))
    assert json.loads(workshop.read(answer["OutputLocation"])) == {
        "predictions": [{"predicted_label": 0.0}]
    }

    wait_for(lambda: instance_count(workshop, sleeper) == 0)
    activities = scaling.describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=variant_of(sleeper)["ResourceId"]
    )["ScalingActivities"]
    told = [activity["Description"] for activity in activities][-3:]
    assert told == [f"Setting desired instance count to {count}." for count in (0, 1, 0)]
    first = activities[-1]
    assert first["StatusCode"] == "Successful"
    assert first["StatusMessage"] == (
        "Successfully set desired instance count to 0. Change successfully fulfilled by sagemaker."
    )
    assert "-AlarmLow-" in first["Cause"]
    assert "triggered policy track-backlog" in first["Cause"]
    woken = activities[-2]
    assert f"monitor alarm {sleeper}-has-backlog in state ALARM" in woken["Cause"]


def test_target_tracking_makes_its_two_alarms_and_takes_them_away(
    workshop: Workshop, sleeper: str
) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    cloudwatch = workshop.aws.client("cloudwatch")
    target = variant_of(sleeper)
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    put = scaling.put_scaling_policy(
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=backlog_tracking(sleeper),
        **target,
    )
    names = [alarm["AlarmName"] for alarm in put["Alarms"]]
    high, low = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert high["AlarmName"].startswith(f"TargetTracking-{target['ResourceId']}-AlarmHigh-")
    assert (high["Threshold"], high["ComparisonOperator"], high["EvaluationPeriods"]) == (
        5.0,
        "GreaterThanThreshold",
        3,
    )
    assert (low["Threshold"], low["ComparisonOperator"], low["EvaluationPeriods"]) == (
        4.5,
        "LessThanThreshold",
        15,
    )
    assert high["AlarmActions"] == [put["PolicyARN"]]
    assert put["PolicyARN"].endswith(f":resource/sagemaker/{target['ResourceId']}:policyName/track")
    (described,) = scaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=target["ResourceId"]
    )["ScalingPolicies"]
    assert described["Alarms"] == put["Alarms"]

    scaling.delete_scaling_policy(PolicyName="track", **target)
    assert not cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]


def test_a_target_is_shown_changed_tagged_and_deregistered_with_its_policies(
    workshop: Workshop, sleeper: str
) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    target = variant_of(sleeper)
    arn = scaling.register_scalable_target(
        **target, MinCapacity=1, MaxCapacity=2, Tags={"team": "iris"}
    )["ScalableTargetARN"]
    scaling.register_scalable_target(
        **target, MaxCapacity=4, SuspendedState={"DynamicScalingInSuspended": True}
    )
    (shown,) = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[target["ResourceId"]]
    )["ScalableTargets"]
    assert (shown["MinCapacity"], shown["MaxCapacity"]) == (1, 4)
    assert shown["ScalableTargetARN"] == arn
    assert shown["SuspendedState"]["DynamicScalingInSuspended"]
    assert shown["RoleARN"].endswith("AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")
    scaling.tag_resource(ResourceARN=arn, Tags={"stage": "test"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"stage": "test"}

    scaling.put_scaling_policy(
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=backlog_tracking(sleeper),
        **target,
    )
    scaling.deregister_scalable_target(**target)
    assert not scaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=target["ResourceId"]
    )["ScalingPolicies"]
    with pytest.raises(scaling.exceptions.ObjectNotFoundException) as refused:
        scaling.deregister_scalable_target(**target)
    assert refused.value.response["Error"]["Message"] == (
        "No scalable target found for service namespace: sagemaker, resource ID: "
        f"{target['ResourceId']}, scalable dimension: {INSTANCES}"
    )


def test_new_bounds_bring_the_capacity_within_them(workshop: Workshop, sleeper: str) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    scaling.register_scalable_target(**variant_of(sleeper), MinCapacity=0, MaxCapacity=5)
    scaling.register_scalable_target(**variant_of(sleeper), MinCapacity=3)
    wait_for(lambda: instance_count(workshop, sleeper) == 3)
    (activity,) = scaling.describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=variant_of(sleeper)["ResourceId"]
    )["ScalingActivities"]
    assert activity["Cause"] == "minimum capacity was set to 3"


def test_a_policy_needs_a_registered_target(workshop: Workshop, sleeper: str) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    with pytest.raises(
        scaling.exceptions.ObjectNotFoundException,
        match="No scalable target registered for service namespace: sagemaker, resource ID: ",
    ):
        scaling.put_scaling_policy(
            PolicyName="track",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=backlog_tracking(sleeper),
            **variant_of(sleeper),
        )
    with pytest.raises(scaling.exceptions.ObjectNotFoundException, match="policy name: none"):
        scaling.delete_scaling_policy(PolicyName="none", **variant_of(sleeper))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MinCapacity": 3}, "must be between 0 and MaxCapacity"),
        ({"ServiceNamespace": "ecs"}, "Unsupported service namespace"),
        ({"ResourceId": "endpoint/none/variant/AllTraffic"}, "variant does not exist"),
        ({"ScalableDimension": CONCURRENCY}, "no provisioned concurrency"),
    ],
)
def test_a_target_against_the_rules_is_refused(
    workshop: Workshop, at_rest: str, change: dict[str, Any], message: str
) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    request = {**variant_of(at_rest), "MinCapacity": 1, "MaxCapacity": 2, **change}
    with pytest.raises(scaling.exceptions.ValidationException, match=message):
        scaling.register_scalable_target(**request)


def test_only_asynchronous_endpoints_scale_to_zero(workshop: Workshop, model: str) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    realtime = workshop.endpoint(workshop.config(model, ProductionVariants=[instances(model)]))
    with pytest.raises(ClientError, match="only for the variants of asynchronous endpoints"):
        scaling.register_scalable_target(**variant_of(realtime), MinCapacity=0, MaxCapacity=2)


def instances(model: str, name: str = "AllTraffic", count: int = 1) -> dict[str, Any]:
    """A variant on instances."""
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": count,
    }


def test_busy_instances_scale_out_by_the_predefined_metric(workshop: Workshop, model: str) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    busy = workshop.endpoint(workshop.config(model, ProductionVariants=[instances(model)]))
    scaling.register_scalable_target(**variant_of(busy), MinCapacity=1, MaxCapacity=3)
    scaling.put_scaling_policy(
        PolicyName="track-invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 0.1,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "DisableScaleIn": True,
        },
        **variant_of(busy),
    )

    def scaled_out_while_invoked() -> bool:
        for _ in range(5):
            workshop.runtime.invoke_endpoint(EndpointName=busy, Body=SETOSA, ContentType="text/csv")
        return instance_count(workshop, busy) == 3

    wait_for(scaled_out_while_invoked)


def test_provisioned_concurrency_is_a_dimension_of_its_own(workshop: Workshop, model: str) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    endpoint = workshop.endpoint(workshop.config(model))
    target = variant_of(endpoint, CONCURRENCY)
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=5)
    with pytest.raises(ClientError, match="must be between 1 and 5"):
        scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=6)
    with pytest.raises(ClientError, match="is serverless: it has no instances"):
        scaling.register_scalable_target(**variant_of(endpoint), MinCapacity=1, MaxCapacity=5)


def test_a_variant_that_is_scaled_can_not_be_taken_away(workshop: Workshop, model: str) -> None:
    scaling = workshop.aws.client("application-autoscaling")
    endpoint = workshop.endpoint(workshop.config(model, ProductionVariants=[instances(model)]))
    scaling.register_scalable_target(**variant_of(endpoint), MinCapacity=1, MaxCapacity=2)
    other = workshop.config(model, ProductionVariants=[instances(model, "Other")])
    with pytest.raises(ClientError, match="must be deregistered as scalable targets"):
        workshop.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=other)
    workshop.sagemaker.delete_endpoint(EndpointName=endpoint)

    def is_deregistered() -> bool:
        ids = [variant_of(endpoint)["ResourceId"]]
        found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=ids)
        return not found["ScalableTargets"]

    wait_for(is_deregistered)


def test_a_template_makes_targets_and_policies(workshop: Workshop, sleeper: str) -> None:
    stack = unique("scaling")
    cloudformation = workshop.aws.client("cloudformation")
    scaling = workshop.aws.client("application-autoscaling")
    template = {
        "Parameters": {"Most": {"Type": "Number", "Default": 3}},
        "Resources": {
            "Target": {
                "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                "Properties": {
                    **variant_of(sleeper),
                    "MinCapacity": 0,
                    "MaxCapacity": {"Ref": "Most"},
                },
            },
            "Policy": {
                "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                "Properties": {
                    "PolicyName": "track",
                    "PolicyType": "TargetTrackingScaling",
                    "ScalingTargetId": {"Ref": "Target"},
                    "TargetTrackingScalingPolicyConfiguration": backlog_tracking(sleeper),
                },
            },
        },
    }
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    resource = variant_of(sleeper)["ResourceId"]
    (target,) = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[resource]
    )["ScalableTargets"]
    assert target["MaxCapacity"] == 3
    (policy,) = scaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=resource
    )["ScalingPolicies"]
    assert policy["PolicyName"] == "track"
    cloudformation.delete_stack(StackName=stack)

    def is_gone() -> bool:
        found = scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[resource]
        )
        return not found["ScalableTargets"]

    wait_for(is_gone)
