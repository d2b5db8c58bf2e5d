"""Which permissions a call to SageMaker, or a task of a state machine, needs."""

import json

import pytest

from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import tasks
from embedded_aws.sagemaker import permissions

SCOPE = Scope("123456789012", "eu-west-1")
PLACE = "eu-west-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/SageMaker"


def needed(operation: str, **request: object) -> list[tuple[str, str]]:
    """Actions and resources of an operation."""
    return [
        (need.action, need.resource) for need in permissions.needs(SCOPE, operation, dict(request))
    ]


def arn(kind: str, name: str) -> str:
    """A SageMaker ARN."""
    return f"arn:aws:sagemaker:{PLACE}:{kind}/{name}"


def test_an_endpoint_is_authorized_with_its_configuration() -> None:
    assert needed("CreateEndpoint", EndpointName="E", EndpointConfigName="C") == [
        ("sagemaker:CreateEndpoint", arn("endpoint", "e")),
        ("sagemaker:CreateEndpoint", arn("endpoint-config", "c")),
    ]


def test_tags_and_roles_are_authorized_with_what_is_created() -> None:
    tags = [{"Key": "team", "Value": "iris"}]
    assert needed("CreateTrainingJob", TrainingJobName="j", RoleArn=ROLE, Tags=tags) == [
        ("sagemaker:CreateTrainingJob", arn("training-job", "j")),
        ("sagemaker:AddTags", arn("training-job", "j")),
        ("iam:PassRole", ROLE),
    ]


def test_a_tuning_job_passes_the_roles_of_its_training_jobs() -> None:
    definition = {"RoleArn": ROLE}
    request = {"HyperParameterTuningJobName": "t", "TrainingJobDefinition": definition}
    assert needed("CreateHyperParameterTuningJob", **request)[-1] == ("iam:PassRole", ROLE)


@pytest.mark.parametrize(
    ("operation", "request_", "resource"),
    [
        ("DescribeModel", {"ModelName": "m"}, arn("model", "m")),
        ("DeleteEndpointConfig", {"EndpointConfigName": "c"}, arn("endpoint-config", "c")),
        ("StopTransformJob", {"TransformJobName": "t"}, arn("transform-job", "t")),
        ("UpdateEndpointWeightsAndCapacities", {"EndpointName": "e"}, arn("endpoint", "e")),
        ("AddTags", {"ResourceArn": arn("model", "m")}, arn("model", "m")),
        ("ListEndpoints", {}, "*"),
    ],
)
def test_an_operation_is_about_the_resource_that_it_names(
    operation: str, request_: dict[str, str], resource: str
) -> None:
    assert needed(operation, **request_) == [(f"sagemaker:{operation}", resource)]


def test_condition_keys_tell_what_is_asked_for() -> None:
    variant = {
        "InstanceType": "ml.m5.large",
        "ServerlessConfig": {"MaxConcurrency": 5, "MemorySizeInMB": 1024},
    }
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [variant],
        "Tags": [{"Key": "team", "Value": "iris"}],
    }
    (first, *_) = permissions.needs(SCOPE, "CreateEndpointConfig", request)
    assert first.context == {
        "aws:RequestTag/team": "iris",
        "aws:TagKeys": ["team"],
        "sagemaker:InstanceTypes": ["ml.m5.large"],
        "sagemaker:ServerlessMaxConcurrency": 5,
        "sagemaker:ServerlessMemorySize": 1024,
    }


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"EndpointName": 5, "Tags": [1], "ProductionVariants": [1]}']
)
def test_a_malformed_request_needs_the_operation_at_least(body: bytes) -> None:
    headers = {"x-amz-target": "SageMaker.DescribeEndpoint"}
    (need,) = permissions.needs_of_request(SCOPE, "/", headers, body)
    assert (need.action, need.resource) == ("sagemaker:DescribeEndpoint", "*")


def needed_by_task(resource: str, **arguments: object) -> list[tuple[str, str]]:
    """Actions and resources of a task."""
    return [
        (need.action, need.resource)
        for need in tasks.needs_of_task(SCOPE, resource, dict(arguments))
    ]


def test_a_job_that_is_waited_for_is_tagged_by_step_functions() -> None:
    job = arn("training-job", "j")
    resource = "arn:aws:states:::sagemaker:createTrainingJob.sync"
    assert needed_by_task(resource, TrainingJobName="j", RoleArn=ROLE) == [
        ("sagemaker:CreateTrainingJob", job),
        ("sagemaker:AddTags", job),
        ("iam:PassRole", ROLE),
    ]


def test_waiting_for_a_job_takes_describing_it_and_its_tags_and_stopping_takes_stopping() -> None:
    job, name = arn("training-job", "j"), {"TrainingJobName": "j"}
    followed = tasks.needs_to_follow(SCOPE, "CreateTrainingJob", name)
    assert [(need.action, need.resource) for need in followed] == [
        ("sagemaker:DescribeTrainingJob", job),
        ("sagemaker:ListTags", job),
    ]
    (stopped,) = tasks.needs_to_stop(SCOPE, "CreateTrainingJob", name)
    assert (stopped.action, stopped.resource) == ("sagemaker:StopTrainingJob", job)


def test_tags_that_come_with_creation_are_told_from_those_that_are_added() -> None:
    tags = [{"Key": "team", "Value": "iris"}]
    created = list(permissions.needs(SCOPE, "CreateModel", {"ModelName": "m", "Tags": tags}))
    added = list(permissions.needs(SCOPE, "AddTags", {"ResourceArn": "arn", "Tags": tags}))
    actions = [need.context.get("sagemaker:TaggingAction") for need in created + added]
    assert actions == [None, "CreateModel", None]


@pytest.mark.parametrize(
    ("integration", "arguments", "need"),
    [
        (
            "lambda:invoke",
            {"FunctionName": "f"},
            ("lambda:InvokeFunction", f"arn:aws:lambda:{PLACE}:function:f"),
        ),
        (
            "dynamodb:updateItem",
            {"TableName": "t"},
            ("dynamodb:UpdateItem", f"arn:aws:dynamodb:{PLACE}:table/t"),
        ),
        (
            "sqs:sendMessage.waitForTaskToken",
            {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/q"},
            ("sqs:SendMessage", f"arn:aws:sqs:{PLACE}:q"),
        ),
        (
            "aws-sdk:s3:listObjectsV2",
            {"Bucket": "b"},
            ("s3:ListBucket", "arn:aws:s3:::b"),
        ),
        (
            "aws-sdk:sfn:stopExecution",
            {"ExecutionArn": "arn:aws:states:e"},
            ("states:StopExecution", "arn:aws:states:e"),
        ),
        (
            "aws-sdk:sagemaker:deleteModel",
            {"ModelName": "m"},
            ("sagemaker:DeleteModel", arn("model", "m")),
        ),
    ],
)
def test_a_task_needs_the_action_that_it_does(
    integration: str, arguments: dict[str, str], need: tuple[str, str]
) -> None:
    assert needed_by_task(f"arn:aws:states:::{integration}", **arguments) == [need]


def test_only_sync_makes_a_managed_rule() -> None:
    definition = {
        "States": {
            "Train": {"Resource": "arn:aws-cn:states:::sagemaker:createTrainingJob.sync"},
            "Serve": {"Resource": "arn:aws-cn:states:::sagemaker:createEndpoint"},
        }
    }
    assert tasks.managed_rules(json.dumps(definition)) == {
        "StepFunctionsGetEventsForSageMakerTrainingJobsRule"
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"Tags": 5},
        {"ResourceConfig": "a"},
        {"VpcConfig": ["a"]},
        {"OutputDataConfig": ["a"]},
        {"TrainingJobName": []},
    ],
)
def test_of_a_request_that_can_not_be_read_nothing_but_the_operation_counts(
    wrong: dict[str, object],
) -> None:
    body = json.dumps({"TrainingJobName": "j", "RoleArn": ROLE, **wrong}).encode()
    headers = {"x-amz-target": "SageMaker.CreateTrainingJob"}
    (need,) = permissions.needs_of_request(SCOPE, "/", headers, body)
    assert (need.action, need.resource) == ("sagemaker:CreateTrainingJob", "*")


def test_a_request_that_breaks_a_constraint_is_authorized_first() -> None:
    body = json.dumps({"ModelName": "-"}).encode()
    headers = {"x-amz-target": "SageMaker.DescribeModel"}
    found = permissions.needs_of_request(SCOPE, "/", headers, body)
    assert [need.action for need in found] == ["sagemaker:DescribeModel"]
