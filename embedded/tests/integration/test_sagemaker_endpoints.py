"""Models, endpoint configurations, endpoints and predictions on the embedded AWS."""

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import IMAGE, ROLE, Workshop, unique, wait_for

SETOSA, VIRGINICA = b"5.1,3.5,1.4,0.2", b"6.5,3.0,5.8,2.2"


@pytest.fixture(scope="module")
def model(workshop: Workshop) -> str:
    """A model of iris."""
    return workshop.model()


@pytest.fixture(scope="module")
def endpoint(workshop: Workshop, model: str) -> str:
    """A serverless endpoint of it."""
    return workshop.endpoint(workshop.config(model))


@pytest.fixture(scope="module")
def async_endpoint(workshop: Workshop, model: str) -> str:
    """An asynchronous endpoint of it."""
    return workshop.endpoint(workshop.async_config(model))


def invoke(workshop: Workshop, endpoint: str, body: bytes, **options: Any) -> Any:
    """Call an endpoint with CSV, unless told otherwise; the parsed JSON."""
    request = {"ContentType": "text/csv", "Accept": "application/json", **options}
    answer = workshop.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **request)
    return json.loads(answer["Body"].read())


def endpoint_log(workshop: Workshop, endpoint: str) -> str:
    """All that an endpoint has logged."""
    logs = workshop.aws.client("logs")
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    events = logs.filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events)


def test_an_endpoint_predicts_in_the_documented_form(workshop: Workshop, endpoint: str) -> None:
    assert invoke(workshop, endpoint, SETOSA + b"\n" + VIRGINICA) == {
        "predictions": [{"predicted_label": 0.0}, {"predicted_label": 2.0}]
    }


def test_an_answer_says_what_it_is_and_which_variant_gave_it(
    workshop: Workshop, endpoint: str
) -> None:
    answer = workshop.runtime.invoke_endpoint(
        EndpointName=endpoint, Body=SETOSA, ContentType="text/csv", Accept="application/jsonlines"
    )
    assert answer["ContentType"] == "application/jsonlines"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["Body"].read() == b'{"predicted_label": 0.0}'


def test_an_endpoint_goes_from_creating_to_in_service(workshop: Workshop, model: str) -> None:
    client, name = workshop.sagemaker, unique("endpoint")
    client.create_endpoint(EndpointName=name, EndpointConfigName=workshop.config(model))
    waiter = client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    described = client.describe_endpoint(EndpointName=name)
    (variant,) = described["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    (image,) = variant["DeployedImages"]
    assert image["SpecifiedImage"] == IMAGE
    repository = re.escape(IMAGE.partition(":")[0])
    assert re.fullmatch(repository + "@sha256:[0-9a-f]{64}", image["ResolvedImage"])


def test_a_deleted_endpoint_is_gone(workshop: Workshop, model: str) -> None:
    client, name = workshop.sagemaker, workshop.endpoint(workshop.config(model))
    client.delete_endpoint(EndpointName=name)
    waiter = client.get_waiter("endpoint_deleted")
    waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    with pytest.raises(ClientError, match="not found"):
        invoke(workshop, name, SETOSA)


def test_an_endpoint_lives_on_when_its_model_and_configuration_are_deleted(
    workshop: Workshop,
) -> None:
    client, model = workshop.sagemaker, workshop.model()
    config = workshop.config(model)
    name = workshop.endpoint(config)
    client.delete_model(ModelName=model)
    client.delete_endpoint_config(EndpointConfigName=config)
    assert invoke(workshop, name, SETOSA)["predictions"] == [{"predicted_label": 0.0}]


def test_an_endpoint_can_not_be_updated_once_its_configuration_is_deleted(
    workshop: Workshop, model: str
) -> None:
    client, config = workshop.sagemaker, workshop.config(model)
    name = workshop.endpoint(config)
    client.delete_endpoint_config(EndpointConfigName=config)
    with pytest.raises(ClientError, match=f'Could not find endpoint configuration ".*/{config}"'):
        client.update_endpoint(EndpointName=name, EndpointConfigName=workshop.config(model))
    assert client.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"


def test_an_update_replaces_the_model_while_the_endpoint_answers(
    workshop: Workshop, model: str
) -> None:
    name = workshop.endpoint(workshop.config(model))
    workshop.put("other/rows.csv", b"7,0,0,0,0\n")
    job = workshop.train(InputDataConfig=[workshop.channel("train", "other/")])
    other = unique("model")
    workshop.sagemaker.create_model(
        ModelName=other,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
        },
    )
    config = workshop.config(other)
    workshop.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    assert invoke(workshop, name, SETOSA)["predictions"]
    assert workshop.settled(name)["EndpointConfigName"] == config
    assert invoke(workshop, name, SETOSA)["predictions"] == [{"predicted_label": 7.0}]


def test_an_artefact_that_is_no_model_fails_the_endpoint(workshop: Workshop) -> None:
    uri = workshop.put("foreign/model.tar.gz", b"not an archive")
    name = unique("model")
    workshop.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": uri},
    )
    endpoint = workshop.endpoint(workshop.config(name))
    described = workshop.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )
    assert "not a k-NN model" in endpoint_log(workshop, endpoint)


def test_a_model_without_its_artefact_is_refused(workshop: Workshop) -> None:
    with pytest.raises(ClientError, match="Could not find model data at"):
        workshop.sagemaker.create_model(
            ModelName=unique("model"),
            ExecutionRoleArn=ROLE,
            PrimaryContainer={
                "Image": IMAGE,
                "ModelDataUrl": f"s3://{workshop.bucket}/none/model.tar.gz",
            },
        )


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("describe_endpoint", {"EndpointName": "none"}, 'Could not find endpoint "arn:aws:'),
        ("delete_endpoint", {"EndpointName": "none"}, 'Could not find endpoint "arn:aws:'),
        ("describe_model", {"ModelName": "none"}, 'Could not find model "arn:aws:'),
        (
            "describe_endpoint_config",
            {"EndpointConfigName": "none"},
            'Could not find endpoint configuration "arn:aws:',
        ),
        (
            "create_endpoint",
            {"EndpointName": "e", "EndpointConfigName": "none"},
            "Could not find endpoint configuration",
        ),
    ],
)
def test_what_does_not_exist_is_a_validation_exception(
    workshop: Workshop, operation: str, request_: dict[str, str], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        getattr(workshop.sagemaker, operation)(**request_)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_what_exists_already_can_not_be_created_again(
    workshop: Workshop, model: str, endpoint: str
) -> None:
    config = workshop.config(model)
    with pytest.raises(ClientError, match="Cannot create already existing endpoint "):
        workshop.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    with pytest.raises(ClientError, match="Cannot create already existing endpoint configuration"):
        workshop.config(model, EndpointConfigName=config)


def serverless(memory: int, **changes: int) -> dict[str, int]:
    """A serverless configuration."""
    return {"MemorySizeInMB": memory, "MaxConcurrency": 5, **changes}


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"ServerlessConfig": serverless(1500)}, "MemorySizeInMB must be one of"),
        ({"ServerlessConfig": serverless(7168)}, "less than or equal to 6144"),
        (
            {"ServerlessConfig": serverless(1024, ProvisionedConcurrency=6)},
            "ProvisionedConcurrency",
        ),
        ({"ServerlessConfig": serverless(1024), "InstanceType": "ml.m5.large"}, "can't have both"),
        ({"InstanceType": "ml.m5.large"}, "needs InstanceType and InitialInstanceCount"),
        ({"ServerlessConfig": serverless(1024), "ModelName": "none"}, "Could not find model"),
    ],
)
def test_a_variant_against_the_rules_is_refused(
    workshop: Workshop, model: str, variant: dict[str, Any], message: str
) -> None:
    variants = [{"VariantName": "AllTraffic", "ModelName": model, **variant}]
    with pytest.raises(ClientError, match=message):
        workshop.config(model, ProductionVariants=variants)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        (b"1,2", "text/csv", 400, "rows of 2 features, but the model was trained on 4"),
        (b"1,2,3,nan", "text/csv", 400, "line 1, column 4"),
        (b"{", "application/json", 400, "not valid JSON"),
        (SETOSA, "image/png", 415, "is not supported"),
    ],
)
def test_what_the_model_refuses_is_a_model_error(
    workshop: Workshop, endpoint: str, body: bytes, content_type: str, status: int, message: str
) -> None:
    runtime = workshop.runtime
    with pytest.raises(runtime.exceptions.ModelError) as refused:
        runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType=content_type)
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == status
    assert message in answer["OriginalMessage"]
    assert f"/aws/sagemaker/Endpoints/{endpoint}" in answer["LogStreamArn"]


def test_an_endpoint_that_does_not_exist_is_a_validation_error(workshop: Workshop) -> None:
    runtime = workshop.runtime
    with pytest.raises(runtime.exceptions.ValidationError, match="Endpoint none of account"):
        runtime.invoke_endpoint(EndpointName="none", Body=SETOSA)


def test_a_serverless_endpoint_takes_four_megabytes(workshop: Workshop, endpoint: str) -> None:
    # Wide, so that the answer, 26 bytes a row, keeps below the limit too.
    row = b"5.100000000000,3.500000000000,1.400000000000,0.200000000000\n"
    fits = row * (4 * 1024 * 1024 // len(row))
    assert len(invoke(workshop, endpoint, fits)["predictions"]) == len(fits) // len(row)
    refusal = workshop.runtime.exceptions.ValidationError
    with pytest.raises(refusal, match=r"Request \S+ has oversize body\.$"):
        invoke(workshop, endpoint, fits + row)


def test_a_target_variant_must_exist(workshop: Workshop, endpoint: str) -> None:
    assert invoke(workshop, endpoint, SETOSA, TargetVariant="AllTraffic")
    with pytest.raises(ClientError, match="Variant none was not found"):
        invoke(workshop, endpoint, SETOSA, TargetVariant="none")


def test_an_asynchronous_request_is_answered_in_s3(workshop: Workshop, async_endpoint: str) -> None:
    answer = workshop.runtime.invoke_endpoint_async(
        EndpointName=async_endpoint,
        InputLocation=workshop.put("requests/1.csv", SETOSA),
        ContentType="text/csv",
        InferenceId="request-1",
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "request-1"
    assert answer["OutputLocation"].startswith(f"s3://{workshop.bucket}/answers/")
    wait_for(lambda: workshop.exists(answer["OutputLocation"]))
    assert json.loads(workshop.read(answer["OutputLocation"])) == {
        "predictions": [{"predicted_label": 0.0}]
    }


@pytest.mark.parametrize(("key", "message"), [("bad.csv", b"column 4"), ("none.csv", b"NoSuchKey")])
def test_an_asynchronous_request_that_fails_says_so_in_s3(
    workshop: Workshop, async_endpoint: str, key: str, message: bytes
) -> None:
    workshop.put("requests/bad.csv", b"1,2,3,x")
    answer = workshop.runtime.invoke_endpoint_async(
        EndpointName=async_endpoint,
        InputLocation=f"s3://{workshop.bucket}/requests/{key}",
        ContentType="text/csv",
    )
    wait_for(lambda: workshop.exists(answer["FailureLocation"]))
    assert message in workshop.read(answer["FailureLocation"])
    assert not workshop.exists(answer["OutputLocation"])


def test_each_kind_of_endpoint_refuses_the_calls_of_the_other(
    workshop: Workshop, endpoint: str, async_endpoint: str
) -> None:
    with pytest.raises(ClientError, match="use InvokeEndpointAsync"):
        invoke(workshop, async_endpoint, SETOSA)
    with pytest.raises(ClientError, match="use InvokeEndpoint"):
        workshop.runtime.invoke_endpoint_async(
            EndpointName=endpoint, InputLocation=f"s3://{workshop.bucket}/x"
        )


def test_endpoints_models_and_configurations_are_listed(
    workshop: Workshop, model: str, endpoint: str
) -> None:
    client = workshop.sagemaker
    listed = workshop.listed("list_endpoints", NameContains=endpoint, StatusEquals="InService")
    assert [item["EndpointName"] for item in listed] == [endpoint]
    assert workshop.listed("list_models", NameContains=model)[0]["ModelName"] == model
    config = client.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    configs = workshop.listed("list_endpoint_configs", NameContains=config)
    assert [item["EndpointConfigName"] for item in configs] == [config]


def test_no_endpoint_is_monitored(workshop: Workshop, endpoint: str) -> None:
    answer = workshop.sagemaker.list_monitoring_schedules(EndpointName=endpoint)
    assert answer["MonitoringScheduleSummaries"] == []


def test_an_operation_that_is_not_there_says_so(workshop: Workshop) -> None:
    with pytest.raises(ClientError, match="does not have ListNotebookInstances"):
        workshop.sagemaker.list_notebook_instances()
