"""Roles on the embedded AWS with ``AUTH=true``: who may call what, and what roles then may do."""

import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import IMAGE, Workshop, open_workshop, unique, wait_for
from embedded.tests.helpers.webhook import listening
from embedded_aws.testing import ACCOUNT, REGION, EmbeddedAws, running_embedded_aws

SETOSA = b"5.1,3.5,1.4,0.2"
PLACE = f"{REGION}:{ACCOUNT}"


@pytest.fixture(scope="session")
def guarded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """An embedded AWS that enforces IAM."""
    environment = {"AUTH": "true", "SAGEMAKER_TIME_SCALE": "0.005"}
    with running_embedded_aws(tmp_path_factory.mktemp("guarded-aws"), environment) as aws:
        yield aws


def allow(*actions: str, on: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    """A statement that allows actions."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    return {**statement, "Condition": condition} if condition else statement


def trust(service: str, **condition: Any) -> str:
    """A trust policy for a service."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if condition else {}),
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Guarded:
    """A bucket with a model in it on a server that enforces IAM, and an administrator's clients."""

    workshop: Workshop
    artefact: str = ""
    roles: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        """A client of the account's administrator."""
        return self.workshop.aws.client(service)

    def role(self, *statements: dict[str, Any], trusts: str = "sagemaker.amazonaws.com") -> str:
        """A role that a service may assume, with these permissions; its ARN."""
        iam, name = self.client("iam"), unique("role")
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(trusts))["Role"][
            "Arn"
        ]
        self.set_policy(arn, *statements)
        return arn

    def set_policy(self, role: str, *statements: dict[str, Any]) -> None:
        """Give a role these permissions, and no others."""
        iam, name = self.client("iam"), role.rpartition("/")[2]
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=document)

    def user(self, *statements: dict[str, Any]) -> dict[str, str]:
        """Credentials of a user with these permissions."""
        iam, name = self.client("iam"), unique("user")
        iam.create_user(UserName=name)
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }

    def as_user(self, service: str, *statements: dict[str, Any]) -> Any:
        """A client of a user with these permissions."""
        return self.workshop.aws.client(service, **self.user(*statements))

    def execution_role(self, *without: str) -> str:
        """A role as SageMaker needs it, but for the actions left out."""
        return self.role(*execution_statements(self.workshop.bucket, *without))

    def model(self, role: str) -> str:
        """A model with an execution role."""
        name = unique("model")
        self.client("sagemaker").create_model(
            ModelName=name,
            ExecutionRoleArn=role,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": self.artefact},
        )
        return name


def execution_statements(bucket: str, *without: str) -> list[dict[str, Any]]:
    """What jobs and endpoints need, but for the actions left out."""
    objects, image = f"arn:aws:s3:::{bucket}/*", "arn:aws:ecr:us-east-1:382416733822:repository/knn"
    statements = [
        allow("s3:GetObject", on=objects),
        allow("s3:PutObject", on=objects),
        allow("s3:ListBucket", on=f"arn:aws:s3:::{bucket}"),
        allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        allow("cloudwatch:PutMetricData"),
        allow("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", on=image),
        allow("ecr:BatchCheckLayerAvailability", on=image),
        allow("ecr:GetAuthorizationToken"),
        allow("sns:Publish"),
    ]
    return [statement for statement in statements if not set(without) & set(statement["Action"])]


@pytest.fixture(scope="module")
def guarded(guarded_aws: EmbeddedAws) -> Guarded:
    """A trained model, whose job ran in a role that allows just what it takes."""
    guarded = Guarded(open_workshop(guarded_aws))
    job = guarded.workshop.train(RoleArn=guarded.execution_role())
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    guarded.artefact = job["ModelArtifacts"]["S3ModelArtifacts"]
    return guarded


@pytest.fixture(scope="module")
def endpoint(guarded: Guarded) -> str:
    """A serverless endpoint."""
    workshop = guarded.workshop
    return workshop.endpoint(workshop.config(guarded.model(guarded.execution_role())))


def denied(call: Any) -> str:
    """The message of a call that is denied."""
    with pytest.raises(ClientError) as refused:
        call()
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException", refused.value
    return str(refused.value.response["Error"]["Message"])


def test_a_call_without_permission_is_denied_in_the_words_of_iam(
    guarded: Guarded, endpoint: str
) -> None:
    sagemaker = guarded.as_user("sagemaker")
    message = denied(lambda: sagemaker.describe_endpoint(EndpointName=endpoint))
    arn = f"arn:aws:sagemaker:{PLACE}:endpoint/{endpoint}"
    assert message.startswith(f"User: arn:aws:iam::{ACCOUNT}:user/")
    assert message.endswith(
        f" is not authorized to perform: sagemaker:DescribeEndpoint on resource: {arn} because no "
        "identity-based policy allows the sagemaker:DescribeEndpoint action"
    )


def test_permissions_are_for_resources(guarded: Guarded, endpoint: str) -> None:
    arn = f"arn:aws:sagemaker:{PLACE}:endpoint/{endpoint}"
    sagemaker = guarded.as_user("sagemaker", allow("sagemaker:DescribeEndpoint", on=arn))
    assert sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"
    denied(lambda: sagemaker.describe_endpoint(EndpointName="other"))
    denied(sagemaker.list_endpoints)


def test_an_endpoint_is_invoked_with_permission_only(guarded: Guarded, endpoint: str) -> None:
    request = {"EndpointName": endpoint, "Body": SETOSA, "ContentType": "text/csv"}
    arn = f"arn:aws:sagemaker:{PLACE}:endpoint/{endpoint}"
    runtime = guarded.as_user("sagemaker-runtime", allow("sagemaker:InvokeEndpoint", on=arn))
    assert runtime.invoke_endpoint(**request)["Body"].read()
    message = denied(lambda: guarded.as_user("sagemaker-runtime").invoke_endpoint(**request))
    assert f"not authorized to perform: sagemaker:InvokeEndpoint on resource: {arn}" in message


def test_creating_with_tags_needs_permission_to_tag(guarded: Guarded) -> None:
    role = guarded.execution_role()
    request = {
        "ModelName": unique("model"),
        "ExecutionRoleArn": role,
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": guarded.artefact},
        "Tags": [{"Key": "team", "Value": "iris"}],
    }
    untagging = guarded.as_user("sagemaker", allow("sagemaker:CreateModel", "iam:PassRole"))
    assert "sagemaker:AddTags" in denied(lambda: untagging.create_model(**request))
    tagging = guarded.as_user(
        "sagemaker",
        allow("sagemaker:CreateModel", "iam:PassRole"),
        allow("sagemaker:AddTags", StringEquals={"aws:RequestTag/team": "iris"}),
    )
    assert tagging.create_model(**request)["ModelArn"]


def test_passing_a_role_needs_permission_for_that_service(guarded: Guarded) -> None:
    role = guarded.execution_role()

    def create(*statements: dict[str, Any]) -> None:
        guarded.as_user("sagemaker", allow("sagemaker:CreateModel"), *statements).create_model(
            ModelName=unique("model"),
            ExecutionRoleArn=role,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": guarded.artefact},
        )

    assert denied(create).endswith(
        f"is not authorized to perform: iam:PassRole on resource: {role} because no identity-based "
        "policy allows the iam:PassRole action"
    )
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    denied(lambda: create(allow("iam:PassRole", on=role, **to_lambda)))
    create(
        allow(
            "iam:PassRole",
            on=role,
            StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"},
        )
    )


def test_a_role_must_trust_sagemaker(guarded: Guarded) -> None:
    role = guarded.role(allow("*"), trusts="lambda.amazonaws.com")
    with pytest.raises(ClientError, match=r"Could not assume role .*allows principal"):
        guarded.model(role)
    with pytest.raises(ClientError, match="Could not assume role"):
        guarded.workshop.train(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/none")


def test_a_model_needs_a_role_that_reads_its_artefact(guarded: Guarded) -> None:
    with pytest.raises(ClientError, match=r"Could not access model data at s3://.*GetObject"):
        guarded.model(guarded.execution_role("s3:GetObject"))


def test_an_endpoint_fails_when_the_role_may_no_longer_read(guarded: Guarded) -> None:
    role = guarded.execution_role()
    model = guarded.model(role)
    guarded.set_policy(role, *execution_statements(guarded.workshop.bucket, "s3:GetObject"))
    described = guarded.workshop.settled(guarded.workshop.endpoint(guarded.workshop.config(model)))
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        'Failed to download model data for container "container_1" from URL: "s3://'
    )


@pytest.mark.parametrize("action", ["ecr:BatchGetImage", "ecr:GetAuthorizationToken"])
def test_an_endpoint_fails_when_the_role_may_not_pull_the_image(
    guarded: Guarded, action: str
) -> None:
    workshop = guarded.workshop
    role = guarded.execution_role(action)
    described = workshop.settled(workshop.endpoint(workshop.config(guarded.model(role))))
    assert described["FailureReason"] == (
        f"The role '{role}' does not have BatchGetImage permission for the image: '{IMAGE}'."
    )


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("s3:PutObject", "Artifact upload failed"),
        ("ecr:BatchCheckLayerAvailability", "Cannot pull algorithm container"),
    ],
)
def test_a_job_fails_on_what_its_role_may_not_do(
    guarded: Guarded, action: str, reason: str
) -> None:
    job = guarded.workshop.train(RoleArn=guarded.execution_role(action))
    assert job["TrainingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]


def test_a_job_is_refused_when_its_role_may_not_list_the_data(guarded: Guarded) -> None:
    role = guarded.execution_role("s3:ListBucket")
    with pytest.raises(ClientError, match=r'the role "arn:.*has "s3:ListBucket" permissions'):
        guarded.workshop.train(RoleArn=role)


def test_a_role_without_logs_and_metrics_leaves_none(guarded: Guarded) -> None:
    workshop = guarded.workshop

    def groups_and_metrics(*without: str) -> tuple[int, int]:
        role = guarded.execution_role(*without)
        endpoint = workshop.endpoint(workshop.config(guarded.model(role)))
        dimension = [{"Name": "EndpointName", "Value": endpoint}]

        def instance_metrics() -> int:
            listed = guarded.client("cloudwatch").list_metrics(
                Namespace="/aws/sagemaker/Endpoints", Dimensions=dimension
            )
            return len(listed["Metrics"])

        if "cloudwatch:PutMetricData" not in without:
            wait_for(instance_metrics)
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        found = guarded.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return len(found), instance_metrics()

    assert groups_and_metrics() == (1, 1)
    assert groups_and_metrics("logs:PutLogEvents", "cloudwatch:PutMetricData") == (0, 0)


def test_metrics_are_allowed_by_namespace(guarded: Guarded) -> None:
    elsewhere = {"StringEquals": {"cloudwatch:namespace": "Mine"}}
    cloudwatch = guarded.as_user("cloudwatch", allow("cloudwatch:PutMetricData", **elsewhere))
    cloudwatch.put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "m", "Value": 1}])
    with pytest.raises(ClientError, match="cloudwatch:PutMetricData"):
        cloudwatch.put_metric_data(Namespace="Other", MetricData=[{"MetricName": "m", "Value": 1}])


@pytest.mark.parametrize("without", ["", "s3:GetObject", "sns:Publish"])
def test_asynchronous_inference_reads_writes_and_notifies_as_the_role(
    guarded: Guarded, without: str
) -> None:
    workshop, sns, sqs = guarded.workshop, guarded.client("sns"), guarded.client("sqs")
    role = guarded.execution_role()
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    queue = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    policy = allow("sqs:SendMessage", on=queue_arn) | {"Principal": "*"}
    sqs.set_queue_attributes(
        QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [policy]})}
    )
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    model = guarded.model(role)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    output = {
        "S3OutputPath": f"s3://{workshop.bucket}/answers",
        "S3FailurePath": f"s3://{workshop.bucket}/failures",
        "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
    }
    endpoint = workshop.endpoint(
        workshop.config(
            model, ProductionVariants=[variant], AsyncInferenceConfig={"OutputConfig": output}
        )
    )
    guarded.set_policy(role, *execution_statements(workshop.bucket, without))
    answer = guarded.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=endpoint,
        InputLocation=workshop.put("requests/1.csv", SETOSA),
        ContentType="text/csv",
    )
    fails = without == "s3:GetObject"
    wait_for(lambda: workshop.exists(answer["FailureLocation" if fails else "OutputLocation"]))
    if fails:
        assert b"AccessDenied" in workshop.read(answer["FailureLocation"])
    received = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2).get("Messages", [])
    assert len(received) == (0 if without == "sns:Publish" else 1)


# --- Step Functions --------------------------------------------------------------------------


def machine(guarded: Guarded, role: str, task: dict[str, Any]) -> str:
    """A state machine of one task."""
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Only",
        "States": {"Only": {"Type": "Task", "End": True, **task}},
    }
    arn: str = guarded.client("stepfunctions").create_state_machine(
        name=unique("machine"), definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    return arn


def run(guarded: Guarded, role: str, task: dict[str, Any]) -> dict[str, Any]:
    """How an execution of one task ends."""
    client = guarded.client("stepfunctions")
    started = client.start_execution(stateMachineArn=machine(guarded, role, task))

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = client.describe_execution(executionArn=started["executionArn"])
        return described if described["status"] != "RUNNING" else None

    found = wait_for(ended)
    assert found is not None
    return found


IS_THERE = {"Key": {"id": {"S": "1"}}, "ConditionExpression": "attribute_exists(id)"}

TASKS = [
    (
        "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        {"EndpointName": "none"},
        "sagemaker:DescribeEndpoint",
        "SageMaker.SageMakerException",
    ),
    (
        "arn:aws:states:::aws-sdk:sagemakerruntime:invokeEndpoint",
        {"EndpointName": "none", "Body": "1"},
        "sagemaker:InvokeEndpoint",
        "SageMakerRuntime.SageMakerRuntimeException",
    ),
    (
        "arn:aws:states:::sagemaker:createEndpoint",
        {"EndpointName": "e", "EndpointConfigName": "none"},
        "sagemaker:CreateEndpoint",
        "SageMaker.AmazonSageMakerException",
    ),
    (
        "arn:aws:states:::dynamodb:getItem",
        {"TableName": "none", "Key": {"id": {"S": "1"}}},
        "dynamodb:GetItem",
        "DynamoDB.AmazonDynamoDBException",
    ),
    (
        "arn:aws:states:::lambda:invoke",
        {"FunctionName": f"arn:aws:lambda:{PLACE}:function:none", "Payload": {}},
        "lambda:InvokeFunction",
        "Lambda.AWSLambdaException",
    ),
    (
        "arn:aws:states:::aws-sdk:dynamodb:deleteItem",
        {"TableName": "none", "Key": {"id": {"S": "1"}}},
        "dynamodb:DeleteItem",
        "DynamoDb.DynamoDbException",
    ),
    (
        "arn:aws:states:::aws-sdk:dynamodb:transactGetItems",
        {"TransactItems": [{"Get": {"TableName": "none", "Key": {"id": {"S": "1"}}}}]},
        "dynamodb:GetItem",
        "DynamoDb.DynamoDbException",
    ),
    (
        "arn:aws:states:::aws-sdk:dynamodb:transactWriteItems",
        {"TransactItems": [{"Put": {"TableName": "none", "Item": {"id": {"S": "1"}}}}]},
        "dynamodb:PutItem",
        "DynamoDb.DynamoDbException",
    ),
    (
        "arn:aws:states:::aws-sdk:dynamodb:transactWriteItems",
        {"TransactItems": [{"ConditionCheck": IS_THERE | {"TableName": "none"}}]},
        "dynamodb:ConditionCheckItem",
        "DynamoDb.DynamoDbException",
    ),
    (
        "arn:aws:states:::aws-sdk:applicationautoscaling:deregisterScalableTarget",
        {
            "ServiceNamespace": "sagemaker",
            "ResourceId": "endpoint/none/variant/AllTraffic",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        },
        "application-autoscaling:DeregisterScalableTarget",
        "ApplicationAutoScaling.ApplicationAutoScalingException",
    ),
]


@pytest.mark.parametrize(("resource", "arguments", "action", "error"), TASKS)
def test_a_task_needs_its_state_machines_role_to_allow_it(
    guarded: Guarded, resource: str, arguments: dict[str, Any], action: str, error: str
) -> None:
    task = {"Resource": resource, "Arguments": arguments}
    refused = run(guarded, guarded.role(trusts="states.amazonaws.com"), task)
    assert refused["error"] == error
    assert f"is not authorized to perform: {action} on resource: " in refused["cause"]
    permitted = run(guarded, guarded.role(allow(action), trusts="states.amazonaws.com"), task)
    # There is nothing of that name, but that is another error.
    assert "not authorized" not in permitted["cause"]


def test_a_transaction_needs_what_each_of_its_parts_needs(guarded: Guarded) -> None:
    """Source: DynamoDB developer guide, "Using IAM with DynamoDB transactions"."""
    table, dynamodb = unique("table"), guarded.client("dynamodb")
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    task = {
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:transactWriteItems",
        "Arguments": {
            "TransactItems": [
                {"Put": {"TableName": table, "Item": {"id": {"S": "2"}}}},
                {"ConditionCheck": IS_THERE | {"TableName": table}},
            ]
        },
    }
    both = ("dynamodb:PutItem", "dynamodb:ConditionCheckItem")
    for missing, present in (both, both[::-1]):
        refused = run(guarded, guarded.role(allow(present), trusts="states.amazonaws.com"), task)
        assert f"is not authorized to perform: {missing} on resource: " in refused["cause"]
    role = guarded.role(allow(*both), trusts="states.amazonaws.com")
    canceled = run(guarded, role, task)
    assert canceled["error"] == "DynamoDb.TransactionCanceledException"
    assert "[None, ConditionalCheckFailed]" in canceled["cause"]
    assert dynamodb.scan(TableName=table)["Count"] == 0
    dynamodb.put_item(TableName=table, Item={"id": {"S": "1"}})
    assert run(guarded, role, task)["status"] == "SUCCEEDED"
    assert dynamodb.scan(TableName=table)["Count"] == 2


def test_a_transaction_needs_the_key_of_its_table(guarded: Guarded) -> None:
    """Whoever asks: the role of a state machine, or the signer of a request."""
    table, kms = unique("table"), guarded.client("kms")
    # A key's own policy lets IAM policies decide, by default.
    key = kms.create_key()["KeyMetadata"]["Arn"]
    guarded.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )
    asked = {"TransactItems": [{"Get": {"TableName": table, "Key": {"id": {"S": "1"}}}}]}
    resource = "arn:aws:states:::aws-sdk:dynamodb:transactGetItems"
    task, reading = {"Resource": resource, "Arguments": asked}, allow("dynamodb:GetItem")
    refused = run(guarded, guarded.role(reading, trusts="states.amazonaws.com"), task)
    assert f"is not authorized to perform: kms:Decrypt on resource: {key}" in refused["cause"]
    with pytest.raises(ClientError, match="kms:Decrypt"):
        guarded.as_user("dynamodb", reading).transact_get_items(**asked)
    decrypting = allow("kms:Decrypt", on=key)
    role = guarded.role(reading, decrypting, trusts="states.amazonaws.com")
    assert run(guarded, role, task)["status"] == "SUCCEEDED"
    assert guarded.as_user("dynamodb", reading, decrypting).transact_get_items(**asked)


def test_waiting_for_a_job_takes_the_managed_rule(guarded: Guarded) -> None:
    workshop = guarded.workshop
    execution_role = guarded.execution_role()
    task = {
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Arguments": workshop.job(unique("job"), RoleArn=execution_role),
    }
    jobs = allow(
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:AddTags",
        "sagemaker:ListTags",
    )
    passing = allow("iam:PassRole", on=execution_role)
    rule = f"arn:aws:events:{PLACE}:rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"
    managed = allow("events:PutRule", "events:PutTargets", "events:DescribeRule", on=rule)

    role = guarded.role(jobs, passing, trusts="states.amazonaws.com")
    assert denied(lambda: machine(guarded, role, task)) == (
        f"'{role}' is not authorized to create managed-rule."
    )
    role = guarded.role(jobs, managed, trusts="states.amazonaws.com")
    refused = run(guarded, role, task)
    assert f"iam:PassRole on resource: {execution_role}" in refused["cause"]
    role = guarded.role(jobs, passing, managed, trusts="states.amazonaws.com")
    ended = run(guarded, role, task)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")


# --- Application Auto Scaling, buckets, functions ---------------------------------------------


def test_auto_scaling_is_authorized_by_namespace(guarded: Guarded) -> None:
    request = {"ServiceNamespace": "sagemaker"}
    condition = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
    action = "application-autoscaling:DescribeScalableTargets"
    scaling = guarded.as_user("application-autoscaling", allow(action, **condition))
    assert scaling.describe_scalable_targets(**request)["ScalableTargets"] == []
    denied(lambda: scaling.describe_scalable_targets(ServiceNamespace="ecs"))


def test_registering_the_first_target_takes_permission_to_make_the_service_linked_role(
    guarded: Guarded, endpoint: str
) -> None:
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency",
    }
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}
    action = "application-autoscaling:RegisterScalableTarget"
    unprepared = guarded.as_user("application-autoscaling", allow(action))
    denied(lambda: unprepared.register_scalable_target(**target, **bounds))
    for_sagemaker = {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}
    make = allow("iam:CreateServiceLinkedRole", StringEquals=for_sagemaker)
    guarded.as_user("application-autoscaling", allow(action), make).register_scalable_target(
        **target, **bounds
    )
    role = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    assert guarded.client("iam").get_role(RoleName=role)["Role"]["Path"] == (
        "/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    )
    unprepared.register_scalable_target(**target, **bounds)


def test_a_bucket_that_asks_for_tls_takes_loopback_for_it_but_no_plain_http(
    guarded: Guarded,
) -> None:
    bucket, s3 = guarded.workshop.bucket, guarded.client("s3")
    objects = f"arn:aws:s3:::{bucket}/*"
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": objects,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    try:
        user = guarded.as_user("s3", allow("s3:GetObject", on=objects))
        assert user.get_object(Bucket=bucket, Key="train/train.csv")["Body"].read()

        def say_plain(request: Any, **_: Any) -> None:
            request.headers["X-Forwarded-Proto"] = "http"

        user.meta.events.register("before-send.s3.GetObject", say_plain)
        with pytest.raises(ClientError, match="AccessDenied"):
            user.get_object(Bucket=bucket, Key="train/train.csv")
    finally:
        s3.delete_bucket_policy(Bucket=bucket)


def test_a_missing_object_is_told_only_to_who_may_list_the_bucket(guarded: Guarded) -> None:
    bucket = guarded.workshop.bucket
    reading = allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/*")
    listing = allow("s3:ListBucket", on=f"arn:aws:s3:::{bucket}")

    def code(*statements: dict[str, Any], head: bool = False) -> str:
        s3 = guarded.as_user("s3", *statements)
        with pytest.raises(ClientError) as refused:
            (s3.head_object if head else s3.get_object)(Bucket=bucket, Key="none")
        return str(refused.value.response["Error"]["Code"])

    assert code(reading) == "AccessDenied"
    assert code(reading, head=True) == "403"
    assert code(reading, listing) == "NoSuchKey"
    assert code(reading, listing, head=True) == "404"


# --- functions -------------------------------------------------------------------------------

CODE = """
def handler(event, context):
    print("invoked for", event.get("detail-type"))
    return {"statusCode": 200, "body": "hello"}
"""


@pytest.fixture(scope="module")
def function(guarded: Guarded) -> str:
    """The ARN of a function that nobody may invoke yet, with a role that lets it log."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("app.py", CODE)
    role = guarded.role(
        allow("logs:CreateLogStream", "logs:PutLogEvents"), trusts="lambda.amazonaws.com"
    )
    arn: str = guarded.client("lambda").create_function(
        FunctionName=unique("function"),
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
    )["FunctionArn"]
    return arn


def has_logged(guarded: Guarded, function: str, text: str) -> bool:
    """Whether a function has logged a text."""
    logs = guarded.client("logs")
    group = f"/aws/lambda/{function.rpartition(':')[2]}"
    try:
        events = logs.filter_log_events(logGroupName=group)["events"]
    except logs.exceptions.ResourceNotFoundException:
        return False
    return any(text in event["message"] for event in events)


@dataclass
class Delivery:
    """A rule for events of a source of its own, and a queue for those that it can't deliver."""

    guarded: Guarded
    source: str
    rule: str
    queue: str
    queue_arn: str

    def to(self, arn: str, **target: str) -> None:
        """Name the rule's target."""
        dead_letters = {"Arn": self.queue_arn}
        self.guarded.client("events").put_targets(
            Rule=self.source,
            Targets=[{"Id": "it", "Arn": arn, "DeadLetterConfig": dead_letters, **target}],
        )

    def put(self, kind: str) -> None:
        """Publish an event that the rule matches."""
        entry = {"Source": self.source, "DetailType": kind, "Detail": "{}"}
        self.guarded.client("events").put_events(Entries=[entry])

    def undelivered(self) -> str:
        """The kind of the one event that has come to the queue."""
        sqs = self.guarded.client("sqs")
        (message,) = sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=5)["Messages"]
        sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return str(json.loads(message["Body"])["detail-type"])


def resource_policy(service: str, action: str, arn: str) -> str:
    """A policy of a resource that lets a service do something with it."""
    statement = {**allow(action, on=arn), "Principal": {"Service": service}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def delivery(guarded: Guarded) -> Delivery:
    events, sqs, source = guarded.client("events"), guarded.client("sqs"), unique("source")
    rule = events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))["RuleArn"]
    queue = sqs.create_queue(QueueName=unique("undelivered"))["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    policy = resource_policy("events.amazonaws.com", "sqs:SendMessage", queue_arn)
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    return Delivery(guarded, source, rule, queue, queue_arn)


def test_eventbridge_starts_a_state_machine_only_in_a_role_that_lets_it(
    guarded: Guarded, delivery: Delivery
) -> None:
    states = guarded.client("stepfunctions")
    done = machine(guarded, guarded.role(trusts="states.amazonaws.com"), {"Type": "Pass"})
    starting = allow("states:StartExecution", on=done)
    for kind, role in (
        ("no permission", guarded.role(trusts="events.amazonaws.com")),
        ("no trust", guarded.role(starting, trusts="lambda.amazonaws.com")),
    ):
        delivery.to(done, RoleArn=role)
        delivery.put(kind)
        assert delivery.undelivered() == kind
    assert states.list_executions(stateMachineArn=done)["executions"] == []
    delivery.to(done, RoleArn=guarded.role(starting, trusts="events.amazonaws.com"))
    delivery.put("permitted")
    wait_for(lambda: states.list_executions(stateMachineArn=done)["executions"])


def test_eventbridge_invokes_only_a_function_that_lets_it(
    guarded: Guarded, function: str, delivery: Delivery
) -> None:
    delivery.to(function)
    delivery.put("forbidden")
    assert delivery.undelivered() == "forbidden"

    guarded.client("lambda").add_permission(
        FunctionName=function,
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=delivery.rule,
    )
    delivery.put("permitted")
    wait_for(lambda: has_logged(guarded, function, "invoked for permitted"))
    assert not has_logged(guarded, function, "invoked for forbidden")


def test_eventbridge_publishes_only_to_a_topic_that_lets_it(
    guarded: Guarded, delivery: Delivery
) -> None:
    sns, sqs = guarded.client("sns"), guarded.client("sqs")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    subscriber = sqs.create_queue(QueueName=unique("subscriber"))["QueueUrl"]
    arn = f"arn:aws:sqs:{PLACE}:{subscriber.rpartition('/')[2]}"
    policy = resource_policy("sns.amazonaws.com", "sqs:SendMessage", arn)
    sqs.set_queue_attributes(QueueUrl=subscriber, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    delivery.to(topic)
    delivery.put("forbidden")
    assert delivery.undelivered() == "forbidden"

    policy = resource_policy("events.amazonaws.com", "sns:Publish", topic)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    delivery.put("permitted")
    (message,) = sqs.receive_message(QueueUrl=subscriber, WaitTimeSeconds=5)["Messages"]
    published = json.loads(json.loads(message["Body"])["Message"])
    assert published["detail-type"] == "permitted"


def test_eventbridge_calls_an_api_destination_only_in_a_role_that_lets_it(
    guarded: Guarded, delivery: Delivery
) -> None:
    events, name = guarded.client("events"), unique("webhook")
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "1"}}
    connection = events.create_connection(
        Name=name, AuthorizationType="API_KEY", AuthParameters=key
    )["ConnectionArn"]
    with listening() as webhook:
        arn = events.create_api_destination(
            Name=name,
            ConnectionArn=connection,
            InvocationEndpoint=webhook.url,
            HttpMethod="POST",
        )["ApiDestinationArn"]
        delivery.to(arn, RoleArn=guarded.role(trusts="events.amazonaws.com"))
        delivery.put("forbidden")
        assert delivery.undelivered() == "forbidden"
        calling = allow("events:InvokeApiDestination", on=arn)
        delivery.to(arn, RoleArn=guarded.role(calling, trusts="events.amazonaws.com"))
        delivery.put("permitted")
        wait_for(lambda: webhook.posted)
    assert [event["detail-type"] for _, event in webhook.posted] == ["permitted"]


def test_api_gateway_invokes_only_a_function_that_lets_it(guarded: Guarded, function: str) -> None:
    gateway = guarded.client("apigateway")
    api = gateway.create_rest_api(name=unique("api"))["id"]
    (root,) = gateway.get_resources(restApiId=api)["items"]
    method = {"restApiId": api, "resourceId": root["id"], "httpMethod": "GET"}
    gateway.put_method(**method, authorizationType="NONE")
    gateway.put_integration(
        **method,
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations",
    )
    gateway.create_deployment(restApiId=api, stageName="v1")
    url = f"{guarded.workshop.aws.endpoint_url}/_aws/execute-api/{api}/v1/"

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    assert refused.value.code == 500
    assert json.loads(refused.value.read()) == {"message": "Internal server error"}
    guarded.client("lambda").add_permission(
        FunctionName=function,
        StatementId="gateway",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{PLACE}:{api}/v1/GET/*",
    )
    assert urllib.request.urlopen(url).read() == b"hello"


def test_a_function_logs_only_if_its_role_lets_it(guarded: Guarded, function: str) -> None:
    client = guarded.client("lambda")
    name = function.rpartition(":")[2]
    silent = guarded.role(trusts="lambda.amazonaws.com")
    logging_role = client.get_function(FunctionName=name)["Configuration"]["Role"]
    client.update_function_configuration(FunctionName=name, Role=silent)
    client.invoke(FunctionName=name, Payload=b'{"detail-type": "silence"}')
    client.update_function_configuration(FunctionName=name, Role=logging_role)
    client.invoke(FunctionName=name, Payload=b'{"detail-type": "noise"}')
    wait_for(lambda: has_logged(guarded, function, "invoked for noise"))
    assert not has_logged(guarded, function, "invoked for silence")


def test_permission_to_put_events_may_be_for_one_source(guarded: Guarded) -> None:
    mine = {"ForAllValues:StringEquals": {"events:source": "mine"}}
    events = guarded.as_user("events", allow("events:PutEvents", **mine))
    entry = {"Source": "mine", "DetailType": "d", "Detail": "{}"}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    denied(lambda: events.put_events(Entries=[entry, entry | {"Source": "another"}]))


# --- SES ---------------------------------------------------------------------------------------


def email_by(client: Any, **more: Any) -> Any:
    """What sends an email from an address whose domain is verified."""
    body = {"Text": {"Data": "text"}}
    request = {
        "FromEmailAddress": "Reports <reports@mail.example.org>",
        "Destination": {"ToAddresses": ["you@example.com"]},
        "Content": {"Simple": {"Subject": {"Data": "subject"}, "Body": body}},
    }
    return lambda: client.send_email(**(request | more))


@pytest.fixture(scope="module")
def sending(guarded_aws: EmbeddedAws) -> Iterator[str]:
    """A configuration set, on a server where a domain is verified."""
    ses, name = guarded_aws.client("sesv2"), unique("set")
    ses.create_configuration_set(ConfigurationSetName=name)
    ses.create_email_identity(EmailIdentity="example.org")
    yield name
    ses.delete_email_identity(EmailIdentity="example.org")


def test_sending_takes_permission_on_the_identity_and_on_the_configuration_set(
    guarded: Guarded, sending: str
) -> None:
    identity = f"arn:aws:ses:{PLACE}:identity/example.org"
    its_set = f"arn:aws:ses:{PLACE}:configuration-set/{sending}"
    both = guarded.as_user("sesv2", allow("ses:SendEmail", on=[identity, its_set]))
    assert email_by(both, ConfigurationSetName=sending)()["MessageId"]
    for missing, allowed in ((its_set, identity), (identity, its_set)):
        one = guarded.as_user("sesv2", allow("ses:SendEmail", on=allowed))
        message = denied(email_by(one, ConfigurationSetName=sending))
        assert f"ses:SendEmail on resource: {missing}" in message
    without_set = guarded.as_user("sesv2", allow("ses:SendEmail", on=identity))
    assert email_by(without_set)()["MessageId"]


def test_a_set_that_the_identity_has_by_default_takes_permission_too(
    guarded: Guarded, sending: str
) -> None:
    ses, domain = guarded.client("sesv2"), "default.example.net"
    ses.create_email_identity(EmailIdentity=domain, ConfigurationSetName=sending)
    identity = f"arn:aws:ses:{PLACE}:identity/{domain}"
    user = guarded.as_user("sesv2", allow("ses:SendEmail", on=identity))
    message = denied(email_by(user, FromEmailAddress=f"reports@{domain}"))
    assert f"configuration-set/{sending}" in message


def test_permission_to_send_may_be_for_one_sender(guarded: Guarded, sending: str) -> None:
    mine = {"ses:FromAddress": "reports@mail.example.org"}
    user = guarded.as_user("sesv2", allow("ses:SendEmail", StringEquals=mine))
    assert email_by(user, ConfigurationSetName=sending)()["MessageId"]
    denied(email_by(user, FromEmailAddress="other@mail.example.org"))


def test_in_the_sandbox_sending_takes_permission_on_the_recipients_identity(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_embedded_aws(tmp_path_factory.mktemp("sandbox"), {"AUTH": "true"}) as aws:
        ses = aws.client("sesv2")
        ses.put_account_details(
            MailType="TRANSACTIONAL",
            WebsiteURL="https://example.com",
            ProductionAccessEnabled=False,
        )
        for identity in ("example.org", "you@example.com"):
            ses.create_email_identity(EmailIdentity=identity)
        guarded = Guarded(open_workshop(aws))
        sender, recipient = (
            f"arn:aws:ses:{PLACE}:identity/{name}" for name in ("example.org", "you@example.com")
        )
        message = denied(email_by(guarded.as_user("sesv2", allow("ses:SendEmail", on=sender))))
        assert f"on resource: {recipient}" in message
        both = guarded.as_user("sesv2", allow("ses:SendEmail", on=[sender, recipient]))
        assert email_by(both)()["MessageId"]
