"""Each role of the stack allows what it takes and no more, on an embedded AWS that enforces IAM.

From each role's policies one thing is taken at a time, and what it is there for must fail then.
What is others' is tried, and the policies are held against AWS's own reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from policy_sentry.querying.actions import get_action_data

from tests.deployed import Deployed, wait_for
from tests.e2e.mutations import (
    Statement,
    listed,
    mutations,
    put,
    roles_of,
    sid_of,
    without_conditions,
)
from tests.e2e.purposes import (
    NEEDS,
    ONLY_ON_AWS,
    OWN,
    SETOSA,
    STACK,
    Stage,
    folders_of_answers,
    live_run,
    new_run,
    nothing_happens_by_itself,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def stage(deployed: Deployed) -> Iterator[Stage]:
    cloudformation, iam = deployed.client("cloudformation"), deployed.client("iam")
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
    }
    roles = {role.logical_id: role for role in roles_of(cloudformation, iam, STACK)}
    stage = Stage(deployed, roles, resources)
    stage.run = live_run(stage)
    with nothing_happens_by_itself(stage):
        stage.later = stage.copy_run(
            "clean/schema.json",
            "clean/settings.json",
            "clean/sample.json",
            "split.json",
            "choice.json",
            "transform.json",
            "test/test.pbr",
            "validation/held_out.csv",
            dataset="least-later",
        )
        stage.former = new_run("least-later")
        now, former = folders_of_answers(stage.later)[0], folders_of_answers(stage.former)[1]
        instance = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        stage.deploy(stage.later, OWN, answers=now, **instance)
        stage.deploy(stage.former, OWN, answers=former, **instance)
        named = {"run": stage.later, "endpoint_name": stage.later, "promoted": "2026"}
        named["dropped"] = "2026-01-01T00:00:00Z#0"
        stage.register("least-later", "live", endpoint_kind="async", **named)
        for endpoint in (stage.later, stage.former):
            wait_for(lambda endpoint=endpoint: stage.status(endpoint) == "InService")
        yield stage


# --- what must be true of them -----------------------------------------------------------------


def works(stage: Stage, scenario: Callable[[Stage], None]) -> bool:
    """Whether a scenario goes as it should."""
    try:
        scenario(stage)
    except (Exception, pytest.fail.Exception):
        return False
    return True


@contextmanager
def policies(stage: Stage, role: str, changed: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Other policies of a role, under which what doesn't happen soon is not waited for."""
    patience, stage.patience = stage.patience, 1.5
    try:
        with put(stage.client("iam"), stage.roles[role], changed):
            yield
    finally:
        stage.patience = patience


def scenarios(role: str) -> list[Callable[[Stage], None]]:
    return list(dict.fromkeys(s for listed in NEEDS[role].values() for s in listed))


def test_each_statement_of_each_role_has_what_it_is_there_for(stage: Stage) -> None:
    statements = {
        (role.logical_id, sid_of(policy, statement))
        for role in stage.roles.values()
        for policy, document in role.policies.items()
        for statement in document["Statement"]
    }
    assert {(role, sid) for role, needs in NEEDS.items() for sid in needs} == statements


@pytest.mark.parametrize("role", NEEDS)
def test_a_role_allows_what_it_is_there_for_and_nothing_can_be_taken_from_it(
    stage: Stage, role: str
) -> None:
    needless = []
    for mutation in mutations(stage.roles[role]):
        if (role, mutation.sid, mutation.without) in ONLY_ON_AWS:
            continue
        with policies(stage, role, {mutation.policy: mutation.document}):
            if all(works(stage, scenario) for scenario in NEEDS[role][mutation.sid]):
                needless.append(str(mutation))
    assert needless == []
    # It was what was taken that they failed for.
    for scenario in scenarios(role):
        scenario(stage)


@pytest.mark.parametrize(
    ("role", "service"), [("SageMakerRole", "sagemaker"), ("RunInterruptedRole", "events")]
)
def test_a_role_is_for_one_service_in_this_account(stage: Stage, role: str, service: str) -> None:
    iam, name = stage.client("iam"), stage.roles[role].name
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    assert listed(statement["Principal"]["Service"]) == [f"{service}.amazonaws.com"]
    of_another = {"StringEquals": {"aws:SourceAccount": "999999999999"}}
    changed = json.dumps(trust | {"Statement": [statement | {"Condition": of_another}]})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=changed)
    try:
        assert not works(stage, scenarios(role)[0])
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))


def test_what_sam_adds_is_logging_and_tracing(stage: Stage) -> None:
    """Managed policies of AWS: what they allow is wide, and the same for all functions."""
    logging, tracing = "service-role/AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"
    # Network interfaces, which a statement of ours leaves to Lambda, with logging.
    network = "service-role/AWSLambdaVPCAccessExecutionRole"
    added = {role: {logging, network, tracing} for role in NEEDS if role.endswith("FunctionRole")}
    machines = ("TrainDeployValidate", "PrepareLargeFile", "Canary", "ScaleEndpoint")
    machines += ("DeployEndpoint", "RetireEndpoints", "ScoreBatch")
    added |= {f"{machine}Role": {tracing} for machine in machines}
    added |= {"RunInterruptedRole": set(), "SweepScheduleRole": set()}
    iam = stage.client("iam")
    attached = {
        role.logical_id: {
            policy["PolicyArn"].partition(":policy/")[2]
            for policy in iam.list_attached_role_policies(RoleName=role.name)["AttachedPolicies"]
        }
        for role in stage.roles.values()
    }
    assert attached == added | {"SageMakerRole": set(), "UploadRole": set()}


def come_by_plain_http(request: Any, **_: Any) -> None:
    """Say so to the embedded AWS, which takes loopback for TLS."""
    request.headers["X-Forwarded-Proto"] = "http"


@pytest.mark.parametrize(
    ("bucket", "role"),
    [("InboxBucket", "PreprocessFunctionRole"), ("RunsBucket", "ReportFunctionRole")],
)
def test_a_bucket_takes_no_plain_http(stage: Stage, bucket: str, role: str) -> None:
    s3 = stage.client_as(role, "s3")
    assert s3.list_objects_v2(Bucket=stage.resources[bucket])
    s3.meta.events.register("before-send.s3", come_by_plain_http)
    with pytest.raises(ClientError, match=r"AccessDenied"):
        s3.list_objects_v2(Bucket=stage.resources[bucket])


# --- others' resources -------------------------------------------------------------------------


@pytest.fixture
def foreign(stage: Stage) -> str:
    """Model, configuration and endpoint of another application, named as runs are."""
    name = stage.deploy(new_run(), [{"Key": "Application", "Value": "another"}])
    wait_for(lambda: stage.status(name) == "InService")
    return name


def arn_of(stage: Stage, endpoint: str) -> str:
    described = stage.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return str(described["EndpointArn"])


def ask(runtime: Any, endpoint: str) -> None:
    runtime.invoke_endpoint(EndpointName=endpoint, Body=SETOSA, ContentType="text/csv")


def mail_as(ses: Any, stage: Stage, sender: str) -> None:
    stage.client("sesv2").create_email_identity(EmailIdentity=sender)
    ses.send_email(
        FromEmailAddress=sender,
        Destination={"ToAddresses": ["you@example.com"]},
        ConfigurationSetName=stage.resources["ReportConfigurationSet"],
        Content={"Simple": {"Subject": {"Data": "subject"}, "Body": {"Text": {"Data": "text"}}}},
    )


INTRUSIONS: dict[str, tuple[str, str, Callable[[Any, Stage, str], Any]]] = {
    "Validate asks": (
        "ValidateFunctionRole",
        "sagemaker-runtime",
        lambda runtime, _, name: ask(runtime, name),
    ),
    "Predict asks": (
        "PredictFunctionRole",
        "sagemaker-runtime",
        lambda runtime, _, name: ask(runtime, name),
    ),
    "the state machine of deployments describes": (
        "DeployEndpointRole",
        "sagemaker",
        lambda sagemaker, _, name: sagemaker.describe_endpoint(EndpointName=name),
    ),
    "the state machine of deployments tags as its own": (
        "DeployEndpointRole",
        "sagemaker",
        lambda sagemaker, stage, name: sagemaker.add_tags(
            ResourceArn=arn_of(stage, name), Tags=OWN
        ),
    ),
    "the state machine of deployments makes without a tag": (
        "DeployEndpointRole",
        "sagemaker",
        lambda sagemaker, stage, name: sagemaker.create_endpoint(
            EndpointName=new_run(), EndpointConfigName=name
        ),
    ),
    "the state machine of deployments makes with another's tag": (
        "DeployEndpointRole",
        "sagemaker",
        lambda sagemaker, stage, name: sagemaker.create_endpoint(
            EndpointName=new_run(),
            EndpointConfigName=name,
            Tags=[{"Key": "Application", "Value": "another"}],
        ),
    ),
    "the state machine deletes": (
        "TrainDeployValidateRole",
        "sagemaker",
        lambda sagemaker, _, name: sagemaker.delete_endpoint(EndpointName=name),
    ),
    "the state machine of retirements deletes": (
        "RetireEndpointsRole",
        "sagemaker",
        lambda sagemaker, _, name: sagemaker.delete_endpoint(EndpointName=name),
    ),
    "Teardown deletes": (
        "TeardownFunctionRole",
        "sagemaker",
        lambda sagemaker, _, name: sagemaker.delete_model(ModelName=name),
    ),
    "Report mails as somebody else": (
        "ReportFunctionRole",
        "sesv2",
        lambda ses, stage, _: mail_as(ses, stage, "another@example.org"),
    ),
    "SageMaker measures": (
        "SageMakerRole",
        "cloudwatch",
        lambda cloudwatch, *_: cloudwatch.put_metric_data(
            Namespace="Another", MetricData=[{"MetricName": "m", "Value": 1}]
        ),
    ),
}


@pytest.mark.parametrize("intrusion", INTRUSIONS)
def test_what_is_others_is_out_of_reach(stage: Stage, foreign: str, intrusion: str) -> None:
    """Denied, and by a condition: without the conditions it would be allowed."""
    role, service, intrude = INTRUSIONS[intrusion]
    client = stage.client_as(role, service)
    with pytest.raises(ClientError, match="not authorized to perform"):
        intrude(client, stage, foreign)
    with policies(stage, role, without_conditions(stage.roles[role])):
        intrude(client, stage, foreign)


@contextmanager
def person(stage: Stage, policy: str) -> Iterator[Callable[[str], Any]]:
    """Clients of somebody who has a managed policy of the stack, and nothing else."""
    iam, sts, name = stage.client("iam"), stage.client("sts"), f"person-{policy}"
    everybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=stage.resources[policy])
    given = sts.assume_role(RoleArn=arn, RoleSessionName="person")["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    try:
        yield lambda service: boto3.client(
            service,
            endpoint_url=stage.deployed.endpoint_url,
            region_name="us-east-1",
            **keys,
        )
    finally:
        iam.detach_role_policy(RoleName=name, PolicyArn=stage.resources[policy])
        iam.delete_role(RoleName=name)


def test_who_may_upload_may_do_nothing_else(stage: Stage) -> None:
    inbox = {"Bucket": stage.resources["InboxBucket"], "Key": "least/notes.txt"}
    with person(stage, "UploadPolicy") as client:
        client("s3").put_object(**inbox, Body=b"no table")
        for read in (
            lambda: client("s3").get_object(**inbox),
            lambda: client("s3").list_objects_v2(Bucket=stage.bucket),
            lambda: client("dynamodb").scan(TableName=stage.resources["RegistryTable"]),
        ):
            with pytest.raises(ClientError, match="not authorized"):
                read()


def test_who_may_read_can_follow_runs_and_change_nothing(stage: Stage) -> None:
    file = {"Bucket": stage.bucket, "Key": f"runs/{stage.run}/clean/schema.json"}
    with person(stage, "ReadPolicy") as client:
        client("cloudformation").describe_stacks(StackName=STACK)
        assert client("dynamodb").scan(TableName=stage.resources["RegistryTable"])["Count"]
        assert client("s3").list_objects_v2(Bucket=stage.bucket, Prefix="runs/")["KeyCount"]
        client("s3").get_object(**file)
        execution = stage.machine.replace(":stateMachine:", ":execution:") + f":{stage.run}"
        client("stepfunctions").describe_execution(executionArn=execution)
        client("stepfunctions").get_execution_history(executionArn=execution)
        with pytest.raises(ClientError, match="not authorized"):
            client("s3").put_object(**file, Body=b"")


# --- the Service Authorization Reference -------------------------------------------------------

# AWS asks for all resources, though its reference knows a narrower one. Source: Step Functions
# developer guide, "Using CloudWatch Logs to log execution history", IAM policies.
ASKED_FOR_ALL = {
    "logs:DescribeLogGroups",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
}


def rows_of(action: str) -> list[dict[str, Any]]:
    """What the reference says of an action, a row for each type of resource.

    Source: the Service Authorization Reference as policy_sentry brings it.
    """
    service, name = action.split(":")
    found = get_action_data(service, name)
    assert found, f"there is no action {action}"
    return list(found[service])


def overlap(one: str, other: str) -> bool:
    """Whether two patterns with asterisks have a text in common."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(other, one)
    return one[0] == other[0] and overlap(one[1:], other[1:])


def covers(resource: str, row: dict[str, Any]) -> bool:
    """Whether a resource of a statement is of a type that the reference has for an action."""
    pattern = re.sub(r"\$\{\w+\}", "*", row["resource_arn_format"])
    return resource == pattern if "*" in (resource, pattern) else overlap(resource, pattern)


def all_statements(stage: Stage) -> list[tuple[str, Statement]]:
    """The statements that allow something."""
    return [
        (f"{role.logical_id} {sid_of(policy, statement)}", statement)
        for role in stage.roles.values()
        for policy, document in role.policies.items()
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
    ]


def test_each_action_is_allowed_on_what_it_can_be_allowed_on(stage: Stage) -> None:
    for where, statement in all_statements(stage):
        resources, actions = listed(statement["Resource"]), listed(statement["Action"])
        for action in actions:
            rows = rows_of(action)
            assert any(covers(r, row) for r in resources for row in rows), (where, action)
        for resource in resources:
            rows = [row for action in actions for row in rows_of(action)]
            assert any(covers(resource, row) for row in rows), (where, resource)


def test_all_resources_are_allowed_only_where_there_is_no_narrower_one(stage: Stage) -> None:
    for where, statement in all_statements(stage):
        actions = listed(statement["Action"])
        for action in actions if "*" in listed(statement["Resource"]) else []:
            narrower = {row["resource_arn_format"] for row in rows_of(action)} - {"*"}
            assert not narrower or action in ASKED_FOR_ALL, (where, action)


def test_each_condition_is_one_that_its_actions_know(stage: Stage) -> None:
    for where, statement in all_statements(stage):
        for key in [key for keys in statement.get("Condition", {}).values() for key in keys]:
            pattern = re.sub(r"(Tag)/.*", r"\1/${TagKey}", key)
            for action in listed(statement["Action"]):
                known = {known for row in rows_of(action) for known in row["condition_keys"]}
                assert pattern in known, (where, action, key)
