"""SageMaker tasks of Step Functions on the embedded AWS."""

import itertools
import json
from typing import Any

import pytest

from embedded.tests.helpers.iris_jobs import (
    HYPERPARAMETERS,
    IMAGE,
    ROLE,
    Workshop,
    unique,
    wait_for,
)
from embedded.tests.integration.test_sagemaker_training import long_job, secondary_status
from embedded.tests.integration.test_sagemaker_transform import SETOSA, transform_job
from embedded.tests.integration.test_sagemaker_tuning import (
    categories,
    described,
    ended,
    slow_definition,
    training_jobs,
    tuning_job,
)


def start(workshop: Workshop, states: dict[str, Any], data: dict[str, Any]) -> str:
    """Start an execution of a state machine made of these states; the execution's ARN."""
    states_client = workshop.aws.client("stepfunctions")
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    machine = states_client.create_state_machine(
        name=unique("machine"), definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]
    started = states_client.start_execution(stateMachineArn=machine, input=json.dumps(data))
    return str(started["executionArn"])


def finish(workshop: Workshop, execution: str) -> dict[str, Any]:
    """Describe an execution once it has ended."""
    client = workshop.aws.client("stepfunctions")

    def description() -> dict[str, Any] | None:
        found: dict[str, Any] = client.describe_execution(executionArn=execution)
        return None if found["status"] == "RUNNING" else found

    ended = wait_for(description)
    assert ended is not None
    return ended


def task(resource: str, arguments: Any = "{% $states.input %}", **fields: Any) -> dict[str, Any]:
    """A task that is the last state."""
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Arguments": arguments,
        "End": True,
        **fields,
    }


def run(workshop: Workshop, resource: str, data: dict[str, Any]) -> dict[str, Any]:
    """Run one task on an input."""
    return finish(workshop, start(workshop, {"Task": task(resource)}, data))


TRAIN = "sagemaker:createTrainingJob.sync"
TUNE = "sagemaker:createHyperParameterTuningJob.sync"
TRANSFORM = "sagemaker:createTransformJob.sync"
ONE_OF_A_GRID = {"Strategy": "Grid", "ParameterRanges": categories(k=["1"])}


def test_a_synchronous_training_task_gives_the_description_of_the_ended_job(
    workshop: Workshop,
) -> None:
    name = unique("job")
    ended = run(workshop, TRAIN, workshop.job(name))
    assert ended["status"] == "SUCCEEDED", ended
    job = json.loads(ended["output"])
    assert job["TrainingJobStatus"] == "Completed"
    assert job["FinalMetricDataList"][0]["MetricName"] == "test:accuracy"
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"/{name}/output/model.tar.gz")
    assert job["CreationTime"] > 1_600_000_000_000


def test_a_job_of_a_synchronous_task_is_tagged_with_its_execution(workshop: Workshop) -> None:
    name = unique("job")
    request = workshop.job(name, Tags=[{"Key": "dataset", "Value": "iris"}])
    execution = start(workshop, {"Train": task(TRAIN)}, request)
    job = json.loads(finish(workshop, execution)["output"])
    tags = {
        "dataset": "iris",
        "AWS_STEP_FUNCTIONS_EXECUTION_ARN": execution,
        "MANAGED_BY_AWS": "STARTED_BY_STEP_FUNCTIONS",
    }
    assert job["Tags"] == tags
    listed = workshop.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in listed} == tags


def test_a_synchronous_tuning_task_gives_the_name_of_the_best_training_job(
    workshop: Workshop,
) -> None:
    name = unique("tune")
    request = tuning_job(workshop, name, jobs=1, config=ONE_OF_A_GRID)
    job = json.loads(run(workshop, TUNE, request)["output"])
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    (best,) = training_jobs(workshop, name)
    assert job["BestTrainingJob"] == {"TrainingJobName": best["TrainingJobName"]}
    assert job["HyperParameterTuningEndTime"] > 1_600_000_000_000
    assert job["Tags"]["MANAGED_BY_AWS"] == "STARTED_BY_STEP_FUNCTIONS"


def test_a_synchronous_transform_task_ends_with_its_job(workshop: Workshop) -> None:
    model = workshop.model()
    workshop.put("task/a.csv", SETOSA)
    name = unique("transform")
    job = json.loads(
        run(workshop, TRANSFORM, transform_job(workshop, name, model, "task/"))["output"]
    )
    assert job["TransformJobStatus"] == "Completed"
    assert workshop.exists(f"s3://{workshop.bucket}/{name}/a.csv.out")

    failed = run(
        workshop, TRANSFORM, transform_job(workshop, unique("transform"), model, "nothing/here/")
    )
    assert (failed["status"], failed["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(failed["cause"])["FailureReason"].startswith("ClientError: S3 key")


def test_a_tuning_job_is_stopped_when_its_execution_is(workshop: Workshop) -> None:
    name = unique("tune")
    request = tuning_job(workshop, name, TrainingJobDefinition=slow_definition(workshop))
    execution = start(workshop, {"Tune": task(TUNE)}, request)
    wait_for(lambda: workshop.listed("list_hyper_parameter_tuning_jobs", NameContains=name))
    wait_for(lambda: len(training_jobs(workshop, name)) == 2)
    workshop.aws.client("stepfunctions").stop_execution(executionArn=execution)
    assert ended(workshop, name)["HyperParameterTuningJobStatus"] == "Stopped"
    assert described(workshop, name)["TrainingJobStatusCounters"]["Stopped"] == 2


def test_a_failed_job_is_a_failed_task_with_the_description_as_its_cause(
    workshop: Workshop,
) -> None:
    request = workshop.job(unique("job"), HyperParameters={**HYPERPARAMETERS, "k": "0"})
    ended = run(workshop, TRAIN, request)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(ended["cause"])
    assert cause["TrainingJobStatus"] == "Failed"
    assert cause["FailureReason"].startswith("ClientError: The value '0' is not valid for")


def test_without_sync_a_training_task_does_not_wait(workshop: Workshop) -> None:
    name = unique("job")
    ended = run(workshop, "sagemaker:createTrainingJob", workshop.job(name))
    arn = workshop.ended(name)["TrainingJobArn"]
    assert json.loads(ended["output"]) == {"TrainingJobArn": arn}


def test_a_name_in_use_has_the_error_name_of_the_optimised_integration(workshop: Workshop) -> None:
    name = workshop.train()["TrainingJobName"]
    ended = run(workshop, TRAIN, workshop.job(name))
    assert ended["error"] == "SageMaker.ResourceInUseException"
    assert "already exists" in ended["cause"]


def test_what_sagemaker_refuses_has_the_general_error_name(workshop: Workshop) -> None:
    ended = run(
        workshop, "sagemaker:createEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}
    )
    assert ended["error"] == "SageMaker.AmazonSageMakerException"
    assert "Could not find endpoint configuration" in ended["cause"]


def test_a_job_is_stopped_when_its_execution_is(workshop: Workshop) -> None:
    name = unique("job")
    execution = start(workshop, {"Train": task(TRAIN)}, long_job(workshop, name))
    wait_for(lambda: workshop.listed("list_training_jobs", NameContains=name))
    wait_for(lambda: secondary_status(workshop, name) == "Training")
    workshop.aws.client("stepfunctions").stop_execution(executionArn=execution)
    assert workshop.ended(name)["TrainingJobStatus"] == "Stopped"


def test_a_job_is_stopped_when_its_task_times_out(workshop: Workshop) -> None:
    name = unique("job")
    states = {"Train": task(TRAIN, TimeoutSeconds=1)}
    ended = finish(workshop, start(workshop, states, long_job(workshop, name)))
    assert ended["error"] == "States.Timeout"
    assert workshop.ended(name)["TrainingJobStatus"] == "Stopped"


def test_a_state_machine_trains_deploys_and_waits_until_the_endpoint_is_in_service(
    workshop: Workshop,
) -> None:
    name = unique("run")
    describe = task("aws-sdk:sagemaker:describeEndpoint", {"EndpointName": name})
    states: dict[str, Any] = {
        "Train": {
            **task(TRAIN),
            "Assign": {"artefact": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}"},
        },
        "Create model": task(
            "sagemaker:createModel",
            {
                "ModelName": name,
                "ExecutionRoleArn": ROLE,
                "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "{% $artefact %}"},
            },
        ),
        "Create configuration": task(
            "sagemaker:createEndpointConfig",
            {
                "EndpointConfigName": name,
                "ProductionVariants": [
                    {
                        "VariantName": "AllTraffic",
                        "ModelName": name,
                        "ServerlessConfig": {
                            "MemorySizeInMB": "{% $number('1024') %}",
                            "MaxConcurrency": 1,
                        },
                    }
                ],
            },
        ),
        "Create endpoint": task(
            "sagemaker:createEndpoint", {"EndpointName": name, "EndpointConfigName": name}
        ),
        "Describe endpoint": describe,
    }
    names = list(states)
    for state, following in itertools.pairwise(names):
        states[state] = {**states[state], "Next": following}
        del states[state]["End"]
    del describe["End"]
    states["Describe endpoint"]["Next"] = "In service?"
    in_service = "{% $states.input.EndpointStatus = 'InService' %}"
    states["In service?"] = {
        "Type": "Choice",
        "Choices": [{"Condition": in_service, "Next": "Done"}],
        "Default": "Describe endpoint",
    }
    states["Done"] = {"Type": "Succeed"}
    ended = finish(workshop, start(workshop, states, workshop.job(name)))
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["EndpointStatus"] == "InService"


def test_sdk_tasks_have_the_error_names_of_the_sdk(workshop: Workshop) -> None:
    ended = run(workshop, "aws-sdk:sagemaker:describeEndpoint", {"EndpointName": "none"})
    assert ended["error"] == "SageMaker.SageMakerException"
    assert "Could not find endpoint" in ended["cause"]


INVOKE = "aws-sdk:sagemakerruntime:invokeEndpoint"


@pytest.fixture(scope="module")
def endpoint(workshop: Workshop) -> str:
    """A serverless endpoint."""
    return workshop.endpoint(workshop.config(workshop.model()))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("5.1,3.5,1.4,0.2", "text/csv"),
        ({"instances": [{"features": [5.1, 3.5, 1.4, 0.2]}]}, "application/json"),
    ],
)
def test_a_task_invokes_an_endpoint(
    workshop: Workshop, endpoint: str, body: Any, content_type: str
) -> None:
    request = {"EndpointName": endpoint, "ContentType": content_type, "Body": body}
    ended = run(workshop, INVOKE, request)
    assert json.loads(ended["output"]) == {
        "Body": '{"predictions": [{"predicted_label": 0.0}]}',
        "ContentType": "application/json",
        "InvokedProductionVariant": "AllTraffic",
    }


def test_a_task_that_invokes_fails_in_the_words_of_the_runtime(
    workshop: Workshop, endpoint: str
) -> None:
    request = {"EndpointName": endpoint, "ContentType": "text/csv", "Body": "1"}
    ended = run(workshop, INVOKE, request)
    assert ended["error"] == "SageMakerRuntime.ModelErrorException"
    assert "Received client error (400) from primary" in ended["cause"]
    ended = run(workshop, INVOKE, {**request, "EndpointName": "none"})
    assert ended["error"] == "SageMakerRuntime.ValidationErrorException"
