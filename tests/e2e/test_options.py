"""Everything that the template offers beside its defaults, in one deployment of its own."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from embedded.tests.helpers.webhook import listening
from embedded_aws.testing import free_port
from pipeline.registry import Status
from tests.deployed import ROOT, Answer, Build, Deployed, wait_for
from tests.e2e.mutations import assert_network_interfaces_are_left_to_lambda

pytestmark = pytest.mark.e2e
ACCOUNT = "000000000000"
PAGE = "https://app.example.com"
ROWS = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
TRIED = "tried"
"""A dataset whose new models are tried on some of the requests."""

FUNCTIONS = ("Preprocess", "Split", "Validate", "Report", "Predict", "Teardown", "Sweep")


def network(stack: Deployed) -> dict[str, str]:
    """A VPC with two subnets, and the endpoints of companions/vpc_endpoints.yaml: its outputs."""
    ec2, cloudformation = stack.client("ec2"), stack.client("cloudformation")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number}.0/24")["Subnet"]["SubnetId"]
        for number in (1, 2)
    ]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    given = {
        "VpcId": vpc,
        "SubnetIds": ",".join(subnets),
        "RouteTableIds": tables[0]["RouteTableId"],
    }
    cloudformation.create_stack(
        StackName="network",
        TemplateBody=(ROOT / "companions/vpc_endpoints.yaml").read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
    )
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName="network", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    made = cloudformation.describe_stacks(StackName="network")["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}


@pytest.fixture(scope="module")
def opted(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The application with every option."""
    stack = Deployed(tmp_path_factory.mktemp("opted"), free_port())
    build.give(stack)
    try:
        # What an embedded AWS takes to start is not what is tested here: a first, empty try.
        assert "no parameter Nonsense" in stack.cli("up", "--parameter", "Nonsense=1").stderr
        parameters = {
            "ReportAddresses": "you@example.com,team@example.com",
            "SenderAddress": "reports@example.org",
            "VerdictTopic": "yes",
            "VerdictWebhook": "https://hooks.example.com/services/T0/B0/secret",
            "EndpointKind": "async",
            "EncryptionKey": "new",
            "ApiAccessLog": "with-role",
            "DaysWithoutDrop": "3",
            "MonthlyBudgetInUSD": "50",
            "CreateDashboard": "yes",
            "NoncurrentVersionDays": "90",
            "AsyncDays": "7",
            "ApiCorsOrigins": f"https://other.example.com,{PAGE}",
            **network(stack),
        }
        given = [part for pair in parameters.items() for part in ("--parameter", "=".join(pair))]
        result = stack.cli("up", *given)
        assert result.returncode == 0, result.stdout + result.stderr
        yield stack
    finally:
        stack.cli("clean")


@pytest.fixture(scope="module")
def resources(opted: Deployed) -> dict[str, dict[str, str]]:
    """The physical ids of the stack's resources, by type and logical id."""
    pages = opted.client("cloudformation").get_paginator("list_stack_resources")
    found: dict[str, dict[str, str]] = {}
    for page in pages.paginate(StackName="knn-pipeline"):
        for resource in page["StackResourceSummaries"]:
            of_type = found.setdefault(resource["ResourceType"], {})
            of_type[resource["LogicalResourceId"]] = resource["PhysicalResourceId"]
    return found


@pytest.fixture(scope="module")
def key(opted: Deployed, resources: dict[str, dict[str, str]]) -> str:
    """The ARN of the key that the stack has made."""
    (key_id,) = resources["AWS::KMS::Key"].values()
    return opted.client("kms").describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]


@pytest.fixture(scope="module")
def run(opted: Deployed) -> str:
    """A run of iris that has gone live, with roles and the use of the key enforced."""
    result = opted.cli("drop", str(ROOT / "data/iris.csv"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "✓ Train " in result.stdout
    return opted.runs("iris")[-1]["run"]


def labels(answer: Answer) -> list[str]:
    """The classes that were predicted."""
    return [prediction["label"] for prediction in answer.body["predictions"]]


def test_a_run_goes_live_is_mailed_and_answers(opted, run):
    assert [item["status"] for item in opted.runs("iris")] == ["Live"]
    mail = next(mail for mail in opted.mails() if run in mail["BodyText"])
    assert (mail["Source"], mail["To"]) == (
        "reports@example.org",
        ["you@example.com", "team@example.com"],
    )
    accepted = opted.call("POST", "/datasets/iris/predictions", ROWS)
    path = f"/datasets/iris/predictions/{accepted.body['id']}"
    answer = wait_for(lambda: (a := opted.call("GET", path)).status == 200 and a)
    assert (labels(answer), answer.body["run"]) == (["setosa"], run)


def test_one_key_encrypts_all_that_the_stack_keeps(opted, resources, key):
    def of(service: str, **request: Any) -> Any:
        operation = request.pop("operation")
        return getattr(opted.client(service), operation)(**request)

    keys = {}
    for name, bucket in resources["AWS::S3::Bucket"].items():
        answer = of("s3", operation="get_bucket_encryption", Bucket=bucket)
        (rule,) = answer["ServerSideEncryptionConfiguration"]["Rules"]
        keys[name] = rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
    for name, table in resources["AWS::DynamoDB::Table"].items():
        answer = of("dynamodb", operation="describe_table", TableName=table)
        keys[name] = answer["Table"]["SSEDescription"].get("KMSMasterKeyArn")
    for name, url in resources["AWS::SQS::Queue"].items():
        request = {"QueueUrl": url, "AttributeNames": ["All"]}
        answer = of("sqs", operation="get_queue_attributes", **request)
        keys[name] = answer["Attributes"].get("KmsMasterKeyId")
    for name, arn in resources["AWS::SNS::Topic"].items():
        answer = of("sns", operation="get_topic_attributes", TopicArn=arn)
        keys[name] = answer["Attributes"].get("KmsMasterKeyId")
    for name, group in resources["AWS::Logs::LogGroup"].items():
        answer = of("logs", operation="describe_log_groups", logGroupNamePrefix=group)
        keys[name] = answer["logGroups"][0].get("kmsKeyId")
    for name, function in resources["AWS::Lambda::Function"].items():
        request = {"FunctionName": function}
        answer = of("lambda", operation="get_function_configuration", **request)
        keys[name] = answer.get("KMSKeyArn")
    assert {name for name, used in keys.items() if used != key} == set()
    assert len(keys) >= 20


def test_each_file_of_a_run_is_encrypted_with_the_key(opted, run, key):
    s3, bucket = opted.client("s3"), opted.output("RunsBucketName")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"runs/{run}/")
    names = [item["Key"] for page in pages for item in page["Contents"]]
    assert len(names) > 8
    for name in names:
        head = s3.head_object(Bucket=bucket, Key=name)
        assert head.get("SSEKMSKeyId") == key, name


def test_a_file_that_is_put_to_a_presigned_url_is_encrypted_with_the_key(opted, key):
    asked = json.dumps({"name": "by-url.csv"})
    given = opted.call("POST", "/datasets/by-url/uploads", asked).body
    request = urllib.request.Request(given["upload"]["url"], b"one row\n", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    inbox = {"Bucket": opted.output("InboxBucketName"), "Key": given["key"]}
    assert opted.client("s3").head_object(**inbox)["SSEKMSKeyId"] == key


def test_what_clients_ask_and_what_only_the_run_needs_expires(opted, run):
    s3, bucket = opted.client("s3"), opted.output("RunsBucketName")
    rules = {
        rule["ID"]: (rule["Filter"], rule["Expiration"])
        for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        if "Days" in rule.get("Expiration", {})
    }
    tag = {"Key": "Kind", "Value": "intermediate"}
    assert rules == {
        "ExpireAsync": ({"Prefix": "async/"}, {"Days": 7}),
        "ExpireBatches": ({"Prefix": "batches/"}, {"Days": 30}),
        "ExpireIntermediateFiles": ({"Tag": tag}, {"Days": 30}),
    }
    asked = s3.list_objects_v2(Bucket=bucket, Prefix=f"async/{run}/")["Contents"]
    assert {name["Key"].split("/")[2] for name in asked} >= {"input", "output"}
    tags = s3.get_object_tagging(Bucket=bucket, Key=f"runs/{run}/train/train.pbr")["TagSet"]
    assert tags == [tag]


def test_training_and_serving_are_in_the_vpc_and_their_volumes_encrypted(opted, run, key):
    sagemaker = opted.client("sagemaker")
    job = sagemaker.describe_training_job(TrainingJobName=run)
    model = sagemaker.describe_model(ModelName=run)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=run)
    outputs = opted.client("cloudformation").describe_stacks(StackName="network")["Stacks"][0]
    given = {o["OutputKey"]: o["OutputValue"].split(",") for o in outputs["Outputs"]}
    expected = {
        "Subnets": given["VpcSubnetIds"],
        "SecurityGroupIds": given["VpcSecurityGroupIds"],
    }
    assert job["VpcConfig"] == model["VpcConfig"] == expected
    assert job["ResourceConfig"]["VolumeKmsKeyId"] == job["OutputDataConfig"]["KmsKeyId"] == key
    assert config["KmsKeyId"] == config["AsyncInferenceConfig"]["OutputConfig"]["KmsKeyId"] == key


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_in_the_vpc_but_may_not_make_network_interfaces_itself(
    opted, resources, name
):
    function = resources["AWS::Lambda::Function"][f"{name}Function"]
    config = opted.client("lambda").get_function_configuration(FunctionName=function)
    assert len(config["VpcConfig"]["SubnetIds"]) == 2
    role = config["Role"].rpartition("/")[2]
    assert_network_interfaces_are_left_to_lambda(opted.client("iam"), role, config["FunctionArn"])


def test_the_api_logs_requests_without_what_is_in_them(opted, resources):
    api = resources["AWS::ApiGateway::RestApi"]["PredictionsApi"]
    gateway = opted.client("apigateway")
    setting = gateway.get_stage(restApiId=api, stageName="v1")["accessLogSettings"]
    group = resources["AWS::Logs::LogGroup"]["ApiLogGroup"]
    assert setting["destinationArn"].endswith(f":log-group:{group}")
    logged = set(json.loads(setting["format"]).values())
    assert "$context.requestId" in logged
    # A path and a body are not among these; a resource is the path's pattern.
    assert logged <= {
        "$context.apiId",
        "$context.error.responseType",
        "$context.httpMethod",
        "$context.identity.apiKeyId",
        "$context.identity.sourceIp",
        "$context.requestId",
        "$context.requestTime",
        "$context.resourcePath",
        "$context.responseLatency",
        "$context.responseLength",
        "$context.status",
        "$context.xrayTraceId",
    }
    assert gateway.get_account()["cloudwatchRoleArn"].endswith(
        resources["AWS::IAM::Role"]["ApiLogRole"]
    )


def test_a_page_of_an_allowed_origin_may_call_the_api_and_read_its_refusals(opted):
    page, stranger = {"Origin": PAGE}, {"Origin": "https://stranger.example.com"}
    asked = page | {"Access-Control-Request-Method": "GET"}
    preflight = opted.call("OPTIONS", "/datasets", key=None, headers=asked)
    answer = opted.call("GET", "/datasets", headers=page)
    refused = opted.call("GET", "/datasets", key=None, headers=page)
    found = [
        (each.status, {name.lower(): value for name, value in each.headers.items()})
        for each in (preflight, answer, refused)
    ]
    allowed = [(status, headers["access-control-allow-origin"]) for status, headers in found]
    assert allowed == [(204, PAGE), (200, PAGE), (403, "*")]
    assert opted.call("GET", "/datasets", headers=stranger).status == 403


def test_a_budget_mails_when_most_is_spent_and_when_more_is_forecast(opted, resources):
    budgets = opted.client("budgets")
    name = resources["AWS::Budgets::Budget"]["MonthlyBudget"]
    budget = budgets.describe_budget(AccountId=ACCOUNT, BudgetName=name)["Budget"]
    assert float(budget["BudgetLimit"]["Amount"]) == 50
    notifications = budgets.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName=name)
    found = {(n["NotificationType"], n["Threshold"]) for n in notifications["Notifications"]}
    assert found == {("ACTUAL", 80.0), ("FORECASTED", 100.0)}


def test_there_is_a_dashboard_where_it_is_asked_for(opted):
    shown = opted.client("cloudwatch").get_dashboard(DashboardName="knn-pipeline")
    assert "Runs by outcome" in shown["DashboardBody"]


def test_an_alarm_goes_off_when_no_file_is_dropped_for_so_many_days(opted, resources):
    name = resources["AWS::CloudWatch::Alarm"]["NoDropAlarm"]
    (alarm,) = opted.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (86400, 3)
    assert (alarm["TreatMissingData"], alarm["ComparisonOperator"]) == (
        "breaching",
        "LessThanThreshold",
    )


def subscribed(opted: Deployed, topic: str, name: str) -> str:
    """The URL of a new queue that gets what is published to a topic."""
    sns, sqs = opted.client("sns"), opted.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    policy = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
        ]
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def test_an_alarm_reaches_its_encrypted_topic(opted, resources):
    """The key lets CloudWatch: an alarm without that is one that nobody hears of."""
    sqs, cloudwatch = opted.client("sqs"), opted.client("cloudwatch")
    url = subscribed(opted, resources["AWS::SNS::Topic"]["AlarmTopic"], "heard")
    name = resources["AWS::CloudWatch::Alarm"]["FailedRunAlarm"]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    (message,) = wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert name in message["Body"]


def test_the_verdict_of_a_run_is_told_to_the_topic_and_the_webhook(opted, run, resources, tmp_path):
    sqs, events = opted.client("sqs"), opted.client("events")
    url = subscribed(opted, resources["AWS::SNS::Topic"]["VerdictSnsTopic"], "verdicts")
    webhook = resources["AWS::Events::ApiDestination"]["VerdictApiDestination"]
    endpoint = events.describe_api_destination(Name=webhook)["InvocationEndpoint"]
    assert endpoint == "https://hooks.example.com/services/T0/B0/secret"
    useless = tmp_path / "useless.csv"
    useless.write_text("a,b\n1,2\n")
    with listening() as listener:
        events.update_api_destination(Name=webhook, InvocationEndpoint=listener.url)
        opted.cli("drop", str(useless))
        wait_for(lambda: listener.posted)
        (message,) = wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    subject = next(m["Subject"] for m in opted.mails() if m["Subject"].startswith("useless"))
    assert [posted for _, posted in listener.posted] == [{"text": subject}]
    assert json.loads(json.loads(message["Body"])["Message"]) == subject


@contextmanager
def tried(opted: Deployed, percent: int) -> Iterator[Callable[[], set[str]]]:
    """Drop a file whose model is tried beside the live one; yield what asks, and tells who answers.

    At the end it has been followed to its report.
    """
    settings = {"endpoint_kind": "realtime", "k": "3", "standardisation": "none"}
    settings |= {"weights": "uniform", "metric": "L2", "canary_percent": str(percent)}
    given = [part for pair in settings.items() for part in ("--set", "=".join(pair))]
    command = ("drop", str(ROOT / "data/iris.csv"), "--dataset", TRIED, *given)
    dropping = opted.started(*command)

    def asked() -> set[str]:
        answers = [opted.call("POST", f"/datasets/{TRIED}/predictions", ROWS) for _ in range(5)]
        assert {answer.status for answer in answers} == {200}
        assert {label for answer in answers for label in labels(answer)} == {"setosa"}
        return {answer.body["run"] for answer in answers}

    try:
        yield asked
    finally:
        dropping.communicate(timeout=300)


def test_a_new_model_is_tried_on_a_share_of_the_requests_and_dropped_if_it_fails_them(opted, run):
    """Clients notice neither; with roles and the use of the key enforced."""
    with tried(opted, 50):
        # The first model of a dataset goes live at once.
        pass
    (first,) = (each["run"] for each in opted.runs(TRIED))
    with tried(opted, 50) as asked:
        (second,) = wait_for(lambda: asked() - {first})
    status = {each["run"]: each["status"] for each in opted.runs(TRIED)}
    assert status == {first: "Retired", second: "Live"}
    assert "it answered 50 % of the requests" in mail_about(opted, second)
    with tried(opted, 50) as asked:
        (third,) = wait_for(lambda: asked() - {second})
        opted.client("sagemaker").delete_endpoint(EndpointName=third)
        wait_for(lambda: asked() and ended(opted, third))
    assert ended(opted, third)["error"]["code"] == "CanaryFailed"
    assert "its endpoint stopped serving" in mail_about(opted, third)
    assert asked() == {second}
    assert "canary" not in live_item(opted, TRIED)


def mail_about(opted: Deployed, run: str) -> str:
    """The text of the email about a run."""
    return str(next(mail["BodyText"] for mail in opted.mails() if run in mail["BodyText"]))


def ended(opted: Deployed, run: str) -> dict[str, Any]:
    """The item of a run that has ended, an empty one until then."""
    (item,) = (each for each in opted.runs(TRIED) if each["run"] == run)
    return item if Status(item["status"]).has_ended else {}


def live_item(opted: Deployed, dataset: str) -> dict[str, Any]:
    """The pointer of a dataset."""
    key = {"dataset": {"S": dataset}, "sort": {"S": "live"}}
    table = opted.output("RegistryTableName")
    found: dict[str, Any] = opted.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    return found


def test_an_event_that_can_not_be_delivered_reaches_its_encrypted_queue(opted, resources, key):
    """As with a function that EventBridge may not invoke."""
    lambda_ = opted.client("lambda")
    function = resources["AWS::Lambda::Function"]["SplitFunction"]
    statement = json.loads(lambda_.get_policy(FunctionName=function)["Policy"])["Statement"][0]
    lambda_.remove_permission(FunctionName=function, StatementId=statement["Sid"])
    try:
        opted.client("s3").put_object(
            Bucket=opted.output("RunsBucketName"),
            Key="runs/lost-20260101T000000Z-00000000/clean/manifest.json",
            Body=b"{}",
        )
        sqs, url = opted.client("sqs"), resources["AWS::SQS::Queue"]["SplitDeadLetterQueue"]
        (message,) = wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
        assert "lost-20260101T000000Z-00000000" in message["Body"]
    finally:
        lambda_.add_permission(
            FunctionName=function,
            StatementId=statement["Sid"],
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
        )


def change(stack: Deployed, **parameters: str) -> None:
    """Update the stack with other parameters, and wait until it is done."""
    cloudformation = stack.client("cloudformation")
    before = cloudformation.describe_stacks(StackName="knn-pipeline")["Stacks"][0]["Parameters"]
    kept = [p["ParameterKey"] for p in before if p["ParameterKey"] not in parameters]
    cloudformation.update_stack(
        StackName="knn-pipeline",
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
            *({"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()),
        ],
    )
    waiter = cloudformation.get_waiter("stack_update_complete")
    waiter.wait(StackName="knn-pipeline", WaiterConfig={"Delay": 1, "MaxAttempts": 120})


def test_what_a_former_key_has_encrypted_can_be_read_only_as_long_as_it_is_named(opted, run, key):
    accepted = opted.call("POST", "/datasets/iris/predictions", ROWS)
    path = f"/datasets/iris/predictions/{accepted.body['id']}"
    wait_for(lambda: opted.call("GET", path).status == 200)
    kms = opted.client("kms")
    policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    other = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    change(opted, EncryptionKey=other)
    assert opted.call("GET", path).status != 200
    change(opted, FormerEncryptionKeys=key)
    assert opted.call("GET", path).status == 200
    assert opted.call("POST", "/datasets/iris/predictions", ROWS).status == accepted.status


def test_an_api_that_takes_signatures_takes_no_key(opted, run):
    change(opted, ApiAuthorization="iam")
    assert opted.call("GET", "/datasets").status == 403
    assert opted.call("GET", "/health", key=None).status == 200
    api = opted.output("ApiUrl").removeprefix("https://").partition(".")[0]
    url = f"{opted.endpoint_url}/_aws/execute-api/{api}/v1/datasets"
    request = AWSRequest("GET", url)
    SigV4Auth(Credentials("test", "test"), "execute-api", "us-east-1").add_auth(request)
    signed = opted.call("GET", "/datasets", key=None, headers=dict(request.headers))
    assert [live["run"] for live in signed.body["datasets"] if live["dataset"] == "iris"] == [run]
    asked = opted.cli("predict", "iris", "5.1", "3.5", "1.4", "0.2")
    assert json.loads(asked.stdout)["predictions"][0]["label"] == "setosa", asked.stderr
    assert "it takes signatures" in opted.cli("key").stderr
    assert "none, the API takes signatures" in opted.cli("status").stdout


@pytest.fixture(scope="module")
def deleted(opted: Deployed, run: str, resources: dict[str, dict[str, str]]) -> None:
    """The stack is deleted, after a run; what follows comes last."""
    cloudformation = opted.client("cloudformation")
    cloudformation.delete_stack(StackName="knn-pipeline")
    waiter = cloudformation.get_waiter("stack_delete_complete")
    waiter.wait(StackName="knn-pipeline", WaiterConfig={"Delay": 1, "MaxAttempts": 120})


def test_deleting_the_stack_keeps_the_key_that_the_buckets_need(opted, deleted, key):
    assert opted.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert opted.client("apigateway").get_account()["cloudwatchRoleArn"]
    assert opted.client("sagemaker").list_endpoints()["Endpoints"] == []


def test_what_was_live_is_restored_from_what_a_deleted_stack_has_left(
    opted, run, resources, deleted
):
    left = resources["AWS::DynamoDB::Table"]["RegistryTable"]
    # The identity that mails has stayed as well.
    assert opted.client("sesv2").get_email_identity(EmailIdentity="reports@example.org")
    result = opted.cli("up", "--parameter", "CreateReportIdentity=no")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "There is no table nothing" in opted.cli("restore", "nothing").stderr
    result = opted.cli("restore", left)
    assert f"iris.csv, as it was in {run}" in result.stdout, result.stdout + result.stderr
    wait_for(lambda: [item["status"] for item in opted.runs("iris")] == ["Live"])
    answer = opted.call("POST", "/datasets/iris/predictions", ROWS)
    assert labels(answer) == ["setosa"]
