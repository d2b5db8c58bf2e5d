"""Endpoints of several variants, updates, captured data and queues, where a minute takes 0.3 s."""

import base64
import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import IMAGE, ROLE, Workshop, unique, wait_for

SETOSA, VIRGINICA = b"5.1,3.5,1.4,0.2", b"6.5,3.0,5.8,2.2"


@pytest.fixture(scope="module")
def artefact(workshop: Workshop) -> str:
    """Where the artefact of a trained model lies."""
    return str(workshop.train()["ModelArtifacts"]["S3ModelArtifacts"])


@pytest.fixture(scope="module")
def model(workshop: Workshop, artefact: str) -> str:
    """A model of iris."""
    return create_model(workshop, artefact)


@pytest.fixture(scope="module")
def sevens(workshop: Workshop) -> str:
    """A model that answers 7 whatever it is asked."""
    workshop.put("sevens/rows.csv", b"7,0,0,0,0\n")
    job = workshop.train(InputDataConfig=[workshop.channel("train", "sevens/")])
    return create_model(workshop, job["ModelArtifacts"]["S3ModelArtifacts"])


def create_model(workshop: Workshop, artefact: str, **changes: Any) -> str:
    """A model of an artefact."""
    name = unique("model")
    container = {"Image": IMAGE, "ModelDataUrl": artefact}
    request = {"ExecutionRoleArn": ROLE, "PrimaryContainer": container, **changes}
    workshop.sagemaker.create_model(ModelName=name, **request)
    return name


def instances(model: str, name: str = "AllTraffic", **changes: Any) -> dict[str, Any]:
    """A variant on one instance."""
    variant = {"VariantName": name, "ModelName": model, "InstanceType": "ml.m5.large"}
    return {**variant, "InitialInstanceCount": 1, **changes}


def realtime(workshop: Workshop, *variants: dict[str, Any], **changes: Any) -> str:
    """A real-time endpoint of these variants."""
    return workshop.endpoint(workshop.config("", ProductionVariants=list(variants), **changes))


def predict(workshop: Workshop, endpoint: str, body: bytes = SETOSA, **options: Any) -> Any:
    """The labels that an endpoint predicts, and the variant that did."""
    request = {"ContentType": "text/csv", "Accept": "application/json", **options}
    answer = workshop.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **request)
    predictions = json.loads(answer["Body"].read())["predictions"]
    labels = [prediction["predicted_label"] for prediction in predictions]
    return labels, answer["InvokedProductionVariant"]


def describe(workshop: Workshop, endpoint: str) -> Any:
    """The description of an endpoint."""
    return workshop.sagemaker.describe_endpoint(EndpointName=endpoint)


def in_service(workshop: Workshop, endpoint: str) -> Any:
    """The description of an endpoint once it is in service again."""

    def settled() -> Any:
        described = describe(workshop, endpoint)
        return described if described["EndpointStatus"] == "InService" else None

    return wait_for(settled)


# --- variants --------------------------------------------------------------------------------


def test_traffic_follows_the_weights_as_they_are_changed(
    workshop: Workshop, model: str, sevens: str
) -> None:
    endpoint = realtime(workshop, instances(model, "Old"), instances(sevens, "New"))

    def traffic() -> Counter[str]:
        return Counter(predict(workshop, endpoint)[1] for _ in range(40))

    assert set(traffic()) == {"Old", "New"}
    workshop.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "Old", "DesiredWeight": 0.0},
            {"VariantName": "New", "DesiredWeight": 2.0, "DesiredInstanceCount": 3},
        ],
    )
    described = in_service(workshop, endpoint)
    assert traffic() == {"New": 40}
    assert predict(workshop, endpoint, TargetVariant="Old") == ([0.0], "Old")
    new = next(v for v in described["ProductionVariants"] if v["VariantName"] == "New")
    assert (new["CurrentWeight"], new["CurrentInstanceCount"]) == (2.0, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"VariantName": "None"}, 'The variant name\\(s\\) "None" is/are not present within'),
        ({"VariantName": "AllTraffic", "DesiredInstanceCount": 0}, "only asynchronous endpoints"),
        (
            {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 3}},
            "is not serverless",
        ),
    ],
)
def test_a_change_that_a_variant_can_not_follow_is_refused(
    workshop: Workshop, shared: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        workshop.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=shared, DesiredWeightsAndCapacities=[change]
        )


@pytest.fixture(scope="module")
def shared(workshop: Workshop, model: str) -> str:
    """A real-time endpoint that its tests leave as it is."""
    return realtime(workshop, instances(model))


def test_the_concurrency_of_a_serverless_variant_is_changed(workshop: Workshop, model: str) -> None:
    endpoint = workshop.endpoint(workshop.config(model))
    workshop.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 9}}
        ],
    )
    (variant,) = in_service(workshop, endpoint)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"]["MaxConcurrency"] == 9


# --- updates ---------------------------------------------------------------------------------


def test_an_update_may_keep_weights_and_counts(workshop: Workshop, model: str, sevens: str) -> None:
    endpoint = realtime(workshop, instances(model, InitialInstanceCount=3))
    config = workshop.config("", ProductionVariants=[instances(sevens, InitialVariantWeight=5.0)])

    def count_and_weight(**options: Any) -> tuple[int, float]:
        workshop.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=config, **options
        )
        (variant,) = in_service(workshop, endpoint)["ProductionVariants"]
        return variant["CurrentInstanceCount"], variant["CurrentWeight"]

    weight = [{"VariantPropertyType": "DesiredWeight"}]
    assert count_and_weight(RetainAllVariantProperties=True) == (3, 1.0)
    assert count_and_weight(
        RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=weight
    ) == (3, 5.0)
    assert count_and_weight() == (1, 5.0)
    assert predict(workshop, endpoint)[0] == [7.0]
    with pytest.raises(ClientError, match="only when RetainAllVariantProperties is true"):
        count_and_weight(ExcludeRetainedVariantProperties=weight)


def canary(*alarms: str) -> dict[str, Any]:
    """A deployment that bakes a quarter of the traffic for an hour, 18 s here, or until alarm."""
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 3600,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 25},
    }
    return {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]},
    }


def test_an_alarm_during_a_canary_brings_the_old_fleet_back(
    workshop: Workshop, model: str, sevens: str
) -> None:
    cloudwatch, alarm = workshop.aws.client("cloudwatch"), unique("alarm")
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="Test",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    endpoint = realtime(workshop, instances(model))
    before = describe(workshop, endpoint)["EndpointConfigName"]
    config = workshop.config("", ProductionVariants=[instances(sevens)])
    workshop.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=config, DeploymentConfig=canary(alarm)
    )

    def is_baking() -> bool:
        pending = describe(workshop, endpoint).get("PendingDeploymentSummary", {})
        return any(
            status["Status"] == "Baking"
            for variant in pending.get("ProductionVariants", [])
            for status in variant["VariantStatus"]
        )

    wait_for(is_baking)
    wait_for(lambda: predict(workshop, endpoint)[0] == [7.0])
    wait_for(lambda: predict(workshop, endpoint)[0] == [0.0])
    with pytest.raises(ClientError, match=r'Cannot update in-progress endpoint "arn:aws:.*"\.'):
        workshop.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        workshop.sagemaker.delete_endpoint(EndpointName=endpoint)

    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    described = in_service(workshop, endpoint)
    assert described["EndpointConfigName"] == before
    assert alarm in described["FailureReason"]
    assert "PendingDeploymentSummary" not in described
    assert {predict(workshop, endpoint)[0][0] for _ in range(10)} == {0.0}


def test_an_update_that_would_shift_too_much_at_once_is_refused(
    workshop: Workshop, model: str
) -> None:
    endpoint = realtime(workshop, instances(model))
    plan = canary("alarm")
    routing = plan["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    routing["CanarySize"] = {"Type": "CAPACITY_PERCENT", "Value": 90}
    config = describe(workshop, endpoint)["EndpointConfigName"]
    with pytest.raises(ClientError, match="CanarySize must be at most 50%"):
        workshop.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=config, DeploymentConfig=plan
        )
    assert describe(workshop, endpoint)["EndpointStatus"] == "InService"


def test_an_update_to_a_model_that_is_none_is_rolled_back(workshop: Workshop, model: str) -> None:
    endpoint = realtime(workshop, instances(model))
    broken = create_model(workshop, workshop.put("broken/model.tar.gz", b"nothing"))
    workshop.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=workshop.config("", ProductionVariants=[instances(broken)]),
    )
    described = in_service(workshop, endpoint)
    assert "did not pass the ping health check" in described["FailureReason"]
    assert predict(workshop, endpoint)[0] == [0.0]


def test_a_failed_endpoint_can_only_be_deleted(workshop: Workshop, model: str) -> None:
    broken = create_model(workshop, workshop.put("broken/model.tar.gz", b"nothing"))
    endpoint = realtime(workshop, instances(broken))
    config = workshop.config(model)
    with pytest.raises(ClientError, match="DeleteEndpoint is the only operation"):
        workshop.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    workshop.sagemaker.delete_endpoint(EndpointName=endpoint)


def test_an_artefact_that_is_gone_fails_the_endpoint(workshop: Workshop, artefact: str) -> None:
    uri = workshop.put("going/model.tar.gz", workshop.read(artefact))
    going = create_model(workshop, uri)
    workshop.s3.delete_object(Bucket=workshop.bucket, Key="going/model.tar.gz")
    described = describe(workshop, realtime(workshop, instances(going)))
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        f'Failed to download model data for container "container_1" from URL: "{uri}".'
    )


def async_output(workshop: Workshop, **changes: Any) -> dict[str, Any]:
    """An asynchronous configuration that writes to the bucket."""
    output = {
        "S3OutputPath": f"s3://{workshop.bucket}/answers",
        "S3FailurePath": f"s3://{workshop.bucket}/failures",
        **changes,
    }
    return {"OutputConfig": output}


def test_an_endpoint_stays_of_its_kind_but_that_serverless_may_become_real_time(
    workshop: Workshop, model: str
) -> None:
    serverless = workshop.config(model)
    on_instances = workshop.config("", ProductionVariants=[instances(model)])
    asynchronous = workshop.async_config(model)
    endpoint = workshop.endpoint(serverless)
    update = workshop.sagemaker.update_endpoint
    update(EndpointName=endpoint, EndpointConfigName=on_instances)
    in_service(workshop, endpoint)
    with pytest.raises(ClientError, match="Cannot update instance-based endpoint"):
        update(EndpointName=endpoint, EndpointConfigName=serverless)
    with pytest.raises(ClientError, match="AsyncInferenceConfig parameter cannot be added to"):
        update(EndpointName=endpoint, EndpointConfigName=asynchronous)
    other = workshop.endpoint(asynchronous)
    with pytest.raises(ClientError, match="AsyncInferenceConfig parameter cannot be removed from"):
        update(EndpointName=other, EndpointConfigName=on_instances)


# --- models and configurations ---------------------------------------------------------------


def test_a_model_is_shown_with_where_its_data_lies(
    workshop: Workshop, model: str, artefact: str
) -> None:
    shown = workshop.sagemaker.describe_model(ModelName=model)
    assert shown["ExecutionRoleArn"] == ROLE
    assert shown["EnableNetworkIsolation"] is False
    assert shown["PrimaryContainer"] == {
        "Image": IMAGE,
        "Mode": "SingleModel",
        "ModelDataUrl": artefact,
        "ModelDataSource": {
            "S3DataSource": {
                "S3Uri": artefact,
                "S3DataType": "S3Object",
                "CompressionType": "Gzip",
            }
        },
    }


def test_a_model_may_lie_unpacked_below_a_prefix(workshop: Workshop, artefact: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(workshop.read(artefact))) as tar:
        for entry in tar.getmembers():
            content = tar.extractfile(entry)
            assert content is not None
            workshop.put(f"unpacked/{entry.name}", content.read())
    source = {
        "S3Uri": f"s3://{workshop.bucket}/unpacked/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    unpacked = create_model(workshop, "", PrimaryContainer=container)
    assert predict(workshop, realtime(workshop, instances(unpacked)), VIRGINICA)[0] == [2.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PrimaryContainer": {"Image": IMAGE}}, "k-NN needs its artefact"),
        ({"PrimaryContainer": {"Image": "me/mine:1"}}, "can't run the image 'me/mine:1'"),
        (
            {"PrimaryContainer": {"Image": IMAGE, "Mode": "MultiModel"}},
            "no multi-model endpoints",
        ),
        ({"Containers": [{"Image": IMAGE}]}, "either a PrimaryContainer or Containers"),
        ({"InferenceExecutionConfig": {"Mode": "Serial"}}, "needs Containers"),
    ],
)
def test_a_model_against_the_rules_is_refused(
    workshop: Workshop, artefact: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        create_model(workshop, artefact, **changes)


def test_names_are_told_apart_without_regard_to_case(workshop: Workshop, shared: str) -> None:
    config = describe(workshop, shared)["EndpointConfigName"]
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        workshop.sagemaker.create_endpoint(EndpointName=shared.upper(), EndpointConfigName=config)


CAPTURE = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://b/captured",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DataCaptureConfig": CAPTURE}, "can't have DataCaptureConfig"),
        (
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/answers"}}},
            "can't have AsyncInferenceConfig",
        ),
    ],
)
def test_what_serverless_endpoints_do_not_have_is_refused_with_the_configuration(
    workshop: Workshop, model: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match="One or more endpoint features are not supported"):
        workshop.config(model, **changes)
    with pytest.raises(ClientError, match=message):
        workshop.config(model, **changes)


@pytest.mark.parametrize(
    ("isolation", "named"),
    [
        ({"EnableNetworkIsolation": True}, "a model with EnableNetworkIsolation"),
        (
            {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}},
            "a model with a VpcConfig",
        ),
    ],
)
def test_an_isolated_model_is_not_served_without_instances(
    workshop: Workshop, artefact: str, isolation: dict[str, Any], named: str
) -> None:
    isolated = create_model(workshop, artefact, **isolation)
    with pytest.raises(ClientError, match=named):
        workshop.config(isolated)
    assert predict(workshop, realtime(workshop, instances(isolated)))[0] == [0.0]


def test_a_configuration_is_shown_as_it_was_given(workshop: Workshop, model: str) -> None:
    capture = {**CAPTURE, "DestinationS3Uri": f"s3://{workshop.bucket}/captured"}
    variant = instances(model, InitialVariantWeight=2.0, VolumeSizeInGB=20)
    name = workshop.config(
        "",
        ProductionVariants=[variant],
        DataCaptureConfig=capture,
        KmsKeyId="alias/key",
        Tags=[{"Key": "team", "Value": "iris"}],
    )
    shown = workshop.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert shown["ProductionVariants"] == [variant]
    assert shown["DataCaptureConfig"] == capture
    assert shown["KmsKeyId"] == "alias/key"
    tags = workshop.sagemaker.list_tags(ResourceArn=shown["EndpointConfigArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "iris"}]


@pytest.mark.parametrize("member", ["ShadowProductionVariants", "ExplainerConfig"])
def test_what_is_not_there_is_refused_by_name(workshop: Workshop, model: str, member: str) -> None:
    value: Any = {
        "ShadowProductionVariants": [instances(model, "Shadow")],
        "ExplainerConfig": {"ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": {}}}},
    }[member]
    with pytest.raises(ClientError, match=f"does not have {member}"):
        workshop.config("", ProductionVariants=[instances(model)], **{member: value})


# --- the runtime -----------------------------------------------------------------------------


def test_an_answer_comes_as_a_stream_of_one_part(workshop: Workshop, shared: str) -> None:
    answer = workshop.runtime.invoke_endpoint_with_response_stream(
        EndpointName=shared, Body=SETOSA, ContentType="text/csv", Accept="application/json"
    )
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert json.loads(b"".join(parts)) == {"predictions": [{"predicted_label": 0.0}]}


def test_custom_attributes_come_back_empty_as_the_model_sets_none(
    workshop: Workshop, shared: str
) -> None:
    answer = workshop.runtime.invoke_endpoint(
        EndpointName=shared, Body=SETOSA, ContentType="text/csv", CustomAttributes="trace=1"
    )
    assert answer["CustomAttributes"] == ""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"TargetModel": "a.tar.gz"}, "is not a multi-model endpoint"),
        ({"TargetContainerHostname": "a"}, "is not a multi-container endpoint"),
        ({"SessionId": "NEW_SESSION"}, "has no stateful sessions"),
        (
            {"InferenceComponentName": "a"},
            "Inference Component Name header is not allowed for endpoints to which you dont plan",
        ),
    ],
)
def test_the_runtime_refuses_what_the_endpoint_does_not_have(
    workshop: Workshop, shared: str, option: dict[str, str], message: str
) -> None:
    with pytest.raises(workshop.runtime.exceptions.ValidationError, match=message):
        predict(workshop, shared, **option)


def test_a_real_time_endpoint_takes_twenty_five_megabytes(workshop: Workshop, shared: str) -> None:
    too_much = b"0" * (25 * 1024 * 1024 + 1)
    with pytest.raises(ClientError, match="exceeded 26214400 bytes") as refused:
        predict(workshop, shared, too_much)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def statistics(workshop: Workshop, metric: str, statistic: str, **dimensions: str) -> float:
    """A statistic of a metric in AWS/SageMaker over the last hour; 0 without data."""
    answer = workshop.aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SageMaker",
                        "MetricName": metric,
                        "Dimensions": [
                            {"Name": name, "Value": value} for name, value in dimensions.items()
                        ],
                    },
                    "Period": 3600,
                    "Stat": statistic,
                },
            }
        ],
        StartTime=0,
        EndTime=4_000_000_000,
    )
    return float(sum(answer["MetricDataResults"][0]["Values"]))


def test_invocations_are_measured(workshop: Workshop, model: str) -> None:
    endpoint = realtime(workshop, instances(model, InitialInstanceCount=2))
    predict(workshop, endpoint)
    with pytest.raises(workshop.runtime.exceptions.ModelError):
        predict(workshop, endpoint, b"1,2")
    variant = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
    assert statistics(workshop, "Invocations", "Sum", **variant) == 2
    assert statistics(workshop, "InvocationsPerInstance", "Sum", **variant) == 1
    assert statistics(workshop, "Invocation4XXErrors", "Sum", **variant) == 1
    assert statistics(workshop, "Invocation5XXErrors", "Sum", **variant) == 0
    assert statistics(workshop, "ModelLatency", "Maximum", **variant) > 0
    assert statistics(workshop, "OverheadLatency", "SampleCount", **variant) == 2


def test_requests_and_answers_are_captured(workshop: Workshop, model: str) -> None:
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{workshop.bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    endpoint = realtime(workshop, instances(model), DataCaptureConfig=capture)
    assert describe(workshop, endpoint)["DataCaptureConfig"]["CaptureStatus"] == "Started"
    predict(workshop, endpoint, InferenceId="request-1")

    def captured() -> list[str]:
        listed = workshop.s3.list_objects_v2(
            Bucket=workshop.bucket, Prefix=f"captured/{endpoint}/AllTraffic/2"
        )
        return [item["Key"] for item in listed.get("Contents", [])]

    (key,) = wait_for(captured)
    record = json.loads(workshop.read(f"s3://{workshop.bucket}/{key}"))
    assert record["eventMetadata"]["inferenceId"] == "request-1"
    data = record["captureData"]
    assert data["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": SETOSA.decode(),
        "encoding": "CSV",
    }
    assert data["endpointOutput"]["encoding"] == "BASE64"
    assert b"predicted_label" in base64.b64decode(data["endpointOutput"]["data"])


# --- asynchronous inference ------------------------------------------------------------------


@pytest.fixture(scope="module")
def notification(workshop: Workshop) -> Callable[[str], dict[str, Any]]:
    """The notification of an inference id once it has come, by way of a topic and a queue."""
    sns, sqs = workshop.aws.client("sns"), workshop.aws.client("sqs")
    topic = sns.create_topic(Name=topic_name(workshop))["TopicArn"]
    url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])

    seen: dict[str, dict[str, Any]] = {}

    def receive() -> None:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            told = json.loads(json.loads(message["Body"])["Message"])
            seen[told["inferenceId"]] = told
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def received(inference_id: str) -> dict[str, Any]:
        def has_come() -> bool:
            receive()
            return inference_id in seen

        wait_for(has_come)
        return seen[inference_id]

    return received


def topic_name(workshop: Workshop) -> str:
    """The topic of a workshop."""
    return f"topic-{workshop.bucket}"


@pytest.fixture(scope="module")
def later(workshop: Workshop, model: str) -> str:
    """An asynchronous endpoint that notifies of both ends."""
    topic = f"arn:aws:sns:us-east-1:000000000000:{topic_name(workshop)}"
    notification = {"SuccessTopic": topic, "ErrorTopic": topic}
    return realtime(
        workshop,
        instances(model),
        AsyncInferenceConfig=async_output(workshop, NotificationConfig=notification),
    )


def ask(workshop: Workshop, endpoint: str, body: bytes = SETOSA, **options: Any) -> Any:
    """Ask an asynchronous endpoint, with the payload in S3."""
    return workshop.runtime.invoke_endpoint_async(
        EndpointName=endpoint,
        InputLocation=workshop.put(f"requests/{unique('request')}.csv", body),
        ContentType="text/csv",
        **options,
    )


def test_success_is_notified_in_the_documented_form(
    workshop: Workshop, notification: Callable[[str], dict[str, Any]], later: str
) -> None:
    answer = ask(workshop, later, InferenceId="mine-1", Accept="application/json")
    message = notification(answer["InferenceId"])
    assert message.pop("eventTime") >= message.pop("receivedTime")
    asked = message["requestParameters"].pop("inputLocation")
    assert asked.startswith(f"s3://{workshop.bucket}/requests/")
    assert message == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "accept": "application/json",
            "contentType": "text/csv",
            "endpointName": later,
        },
        "responseParameters": {
            "contentType": "application/json",
            "outputLocation": answer["OutputLocation"],
        },
        "inferenceId": "mine-1",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def test_failure_is_notified_and_written_where_the_answer_said(
    workshop: Workshop, notification: Callable[[str], dict[str, Any]], later: str
) -> None:
    answer = ask(workshop, later, b"1,2")
    message = notification(answer["InferenceId"])
    assert message["invocationStatus"] == "Failed"
    assert "Received client error (400) from primary" in message["failureReason"]
    assert answer["FailureLocation"].startswith(f"s3://{workshop.bucket}/failures/")
    assert answer["FailureLocation"].endswith("-error.out")
    assert b"Received client error (400)" in workshop.read(answer["FailureLocation"])


def test_a_small_payload_may_come_with_the_request(workshop: Workshop, later: str) -> None:
    answer = workshop.runtime.invoke_endpoint_async(
        EndpointName=later, Body=VIRGINICA, ContentType="text/csv"
    )
    wait_for(lambda: workshop.exists(answer["OutputLocation"]))
    assert b"2.0" in workshop.read(answer["OutputLocation"])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "exactly one of Body and InputLocation"),
        ({"Body": SETOSA, "InputLocation": "s3://b/k"}, "exactly one of Body and InputLocation"),
        ({"Body": b"0" * 128_001}, "more than the 128000"),
        ({"Body": SETOSA, "RequestTTLSeconds": 21601}, "less than or equal to 21600"),
        ({"Body": SETOSA, "InvocationTimeoutSeconds": 3601}, "less than or equal to 3600"),
    ],
)
def test_an_asynchronous_request_against_the_rules_is_refused(
    workshop: Workshop, later: str, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        workshop.runtime.invoke_endpoint_async(EndpointName=later, **request_)


def test_a_request_may_say_where_below_the_path_its_answer_goes(
    workshop: Workshop, later: str
) -> None:
    answer = ask(workshop, later, S3OutputPathExtension="today", Filename="one.json")
    assert answer["OutputLocation"] == f"s3://{workshop.bucket}/answers/today/one.json"
    assert answer["FailureLocation"].startswith(f"s3://{workshop.bucket}/failures/today/one.json")
    wait_for(lambda: workshop.exists(answer["OutputLocation"]))


def without_instances(workshop: Workshop, model: str) -> str:
    """An asynchronous endpoint that has been scaled to zero."""
    endpoint = workshop.endpoint(workshop.async_config(model))
    set_instances(workshop, endpoint, 0)
    return endpoint


def set_instances(workshop: Workshop, endpoint: str, count: int) -> None:
    """Give an endpoint so many instances."""
    workshop.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )
    in_service(workshop, endpoint)


def test_requests_wait_while_there_is_no_instance(workshop: Workshop, model: str) -> None:
    endpoint = without_instances(workshop, model)
    answers = [ask(workshop, endpoint) for _ in range(3)]
    wait_for(
        lambda: (
            statistics(workshop, "ApproximateBacklogSize", "Maximum", EndpointName=endpoint) == 3
        )
    )
    dimension = {"EndpointName": endpoint}
    wait_for(lambda: statistics(workshop, "HasBacklogWithoutCapacity", "Maximum", **dimension))
    assert not any(workshop.exists(answer["OutputLocation"]) for answer in answers)
    set_instances(workshop, endpoint, 1)
    wait_for(lambda: all(workshop.exists(answer["OutputLocation"]) for answer in answers))
    variant = {**dimension, "VariantName": "AllTraffic"}
    wait_for(lambda: statistics(workshop, "InvocationsProcessed", "Sum", **variant) == 3)
    assert statistics(workshop, "TimeInBacklog", "Minimum", **variant) > 0


def test_a_request_that_has_waited_for_too_long_expires(workshop: Workshop, model: str) -> None:
    endpoint = without_instances(workshop, model)
    answer = ask(workshop, endpoint, RequestTTLSeconds=60)
    wait_for(lambda: workshop.exists(answer["FailureLocation"]))
    assert b"expired" in workshop.read(answer["FailureLocation"])
    variant = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
    wait_for(lambda: statistics(workshop, "ExpiredRequests", "Sum", **variant) == 1)


# --- events ----------------------------------------------------------------------------------


def test_states_are_told_on_eventbridge(workshop: Workshop, model: str) -> None:
    events, sqs, name = workshop.aws.client("events"), workshop.aws.client("sqs"), unique("rule")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {"source": ["aws.sagemaker"], "detail": {"EndpointName": [name]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])
    config = workshop.config("", ProductionVariants=[instances(model)])
    workshop.sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=config, Tags=[{"Key": "team", "Value": "iris"}]
    )
    in_service(workshop, name)
    workshop.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    in_service(workshop, name)
    workshop.sagemaker.delete_endpoint(EndpointName=name)
    told: list[dict[str, Any]] = []

    def all_told() -> bool:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            told.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return any(event["detail"]["EndpointStatus"] == "DELETING" for event in told)

    wait_for(all_told)
    states = [e for e in told if e["detail-type"] == "SageMaker Endpoint State Change"]
    assert [event["detail"]["EndpointStatus"] for event in states] == [
        "CREATING",
        "IN_SERVICE",
        "UPDATING",
        "IN_SERVICE",
        "DELETING",
    ]
    detail = states[1]["detail"]
    assert detail["Tags"] == {"team": "iris"}
    assert isinstance(detail["LastModifiedTime"], int)
    assert detail["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    deployments = [
        e for e in told if e["detail-type"] == "SageMaker Endpoint Deployment State Change"
    ]
    pending = deployments[0]["detail"]["PendingDeploymentSummary"]["ProductionVariants"][0]
    assert pending["VariantStatus"][0]["StatusMessage"] == "Launching 1 instance(s)."
