"""What Teardown makes of SageMaker's answers, and what it tells CloudFormation."""

import json
import time

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from pipeline.deployments import Deployments
from teardown.leftovers import delete_deployments, let_logs_expire, stop_scaling
from tests.function_app import ROOT, TEST_ENVIRONMENT, function_app, lambda_context

RUN = "iris-20261124T120000Z-00000000"
ANOTHER = "iris-20261125T120000Z-00000000"
NOW = "2026-11-24T12:00:00Z"
ARN = f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{RUN}"
ENVIRONMENT = TEST_ENVIRONMENT | {
    "LARGE_FILE_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:large",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:train",
    "DEPLOY_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:deploy",
    "CANARY_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:canary",
    "SCALE_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:scale",
    "RETIRE_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:retire",
    "SCORE_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:score",
    "REGISTRY_TABLE": "registry",
    "STACK_NAME": "knn-pipeline",
    "LOG_RETENTION_IN_DAYS": "30",
}


def stubbed(service: str) -> Stubber:
    stubber = Stubber(
        boto3.client(
            service,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
    )
    stubber.activate()
    return stubber


@pytest.fixture
def sagemaker():
    stubber = stubbed("sagemaker")
    yield stubber
    stubber.assert_no_pending_responses()


def endpoints(*names, status="InService"):
    times = {"CreationTime": NOW, "LastModifiedTime": NOW}
    described = {"EndpointArn": ARN, "EndpointStatus": status, **times}
    return {"Endpoints": [{"EndpointName": name, **described} for name in names]}


KINDS = {
    "endpoint": (Deployments([RUN], [], []), endpoints),
    "endpoint_config": (
        Deployments([], [RUN], []),
        lambda *names: {
            "EndpointConfigs": [
                {"EndpointConfigName": name, "EndpointConfigArn": ARN, "CreationTime": NOW}
                for name in names
            ]
        },
    ),
    "model": (
        Deployments([], [], [RUN]),
        lambda *names: {
            "Models": [{"ModelName": name, "ModelArn": ARN, "CreationTime": NOW} for name in names]
        },
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_gone_since_it_was_listed_is_denied_and_passed_over(sagemaker, kind):
    deployments, listed = KINDS[kind]
    sagemaker.add_client_error(f"delete_{kind}", "AccessDeniedException")
    sagemaker.add_response(f"list_{kind}s", listed(ANOTHER))
    delete_deployments(sagemaker.client, deployments, deadline=time.monotonic())


@pytest.mark.parametrize("kind", KINDS)
def test_a_denial_of_what_is_still_there_is_an_error(sagemaker, kind):
    deployments, listed = KINDS[kind]
    sagemaker.add_client_error(f"delete_{kind}", "AccessDeniedException")
    sagemaker.add_response(f"list_{kind}s", listed(ANOTHER, RUN))
    with pytest.raises(ClientError, match="AccessDenied"):
        delete_deployments(sagemaker.client, deployments, deadline=time.monotonic())


def test_an_endpoint_that_another_is_deleting_is_passed_over(sagemaker):
    sagemaker.add_client_error("delete_endpoint", "AccessDeniedException")
    sagemaker.add_response("list_endpoints", endpoints(RUN, status="Deleting"))
    delete_deployments(sagemaker.client, Deployments([RUN], [], []), deadline=time.monotonic())


def test_an_endpoint_that_never_scaled_has_nothing_to_stop_and_one_that_did_has_its_alarm():
    autoscaling, cloudwatch = stubbed("application-autoscaling"), stubbed("cloudwatch")
    autoscaling.add_client_error("deregister_scalable_target", "ObjectNotFoundException")
    autoscaling.add_response("deregister_scalable_target", {})
    for name in (RUN, ANOTHER):
        alarm = {"AlarmNames": [f"knn-pipeline/wake/{name}"]}
        cloudwatch.add_response("delete_alarms", {}, alarm)
    stop_scaling(autoscaling.client, cloudwatch.client, [RUN, ANOTHER], "knn-pipeline")
    autoscaling.assert_no_pending_responses()
    cloudwatch.assert_no_pending_responses()


def test_the_log_of_each_endpoint_expires_also_if_there_is_none_yet():
    logs = stubbed("logs")
    logs.add_client_error("put_retention_policy", "ResourceNotFoundException")
    group = {"logGroupName": f"/aws/sagemaker/Endpoints/{ANOTHER}", "retentionInDays": 30}
    logs.add_response("put_retention_policy", {}, group)
    let_logs_expire(logs.client, [RUN, ANOTHER], 30)
    logs.assert_no_pending_responses()


def test_executions_are_stopped_in_the_order_in_which_they_start_each_other(monkeypatch):
    with function_app("teardown", ENVIRONMENT) as teardown:
        stopped = []
        monkeypatch.setattr(teardown, "stop_runs", lambda _, machines: stopped.extend(machines))
        monkeypatch.setattr(teardown, "find_deployments", lambda *_: Deployments([], [], []))
        teardown.tear_down(time.monotonic())
    order = ["large", "train", "deploy", "canary", "scale", "retire", "score"]
    assert [arn.rpartition(":")[2] for arn in stopped] == order


def test_cloudformation_hears_of_a_failure_once_and_lambda_does_not_try_again(monkeypatch):
    answers = []
    event = json.loads((ROOT / "events/teardown-delete.json").read_text())

    def fail(_: float) -> None:
        raise RuntimeError

    with function_app("teardown", ENVIRONMENT) as teardown:
        monkeypatch.setattr(teardown, "tear_down", fail)
        monkeypatch.setattr(teardown, "respond", lambda _, status, reason: answers.append(status))
        teardown.handler(event, lambda_context(900))
    assert answers == ["FAILED"]
