"""Training jobs on the embedded AWS, as boto3 sees them."""

import gzip
import io
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.embedded_aws import REGION
from tests.integration.iris_jobs import HYPERPARAMETERS, IMAGE, Workshop, unique, wait_for


def log_lines(workshop: Workshop, job: str) -> list[str]:
    """What a job logged."""
    logs = workshop.aws.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/algo-1-")
    (stream,) = [stream["logStreamName"] for stream in streams["logStreams"]]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    return [event["message"] for event in events["events"]]


@pytest.fixture(scope="module")
def trained(workshop: Workshop) -> dict[str, Any]:
    """The introduction's job, completed."""
    return workshop.train()


def test_the_introductions_job_completes_with_its_accuracy(trained: dict[str, Any]) -> None:
    assert trained["TrainingJobStatus"] == "Completed"
    assert {metric["MetricName"]: metric["Value"] for metric in trained["FinalMetricDataList"]} == {
        "test:accuracy": pytest.approx(0.9736842105263158)
    }


def test_a_job_goes_through_the_documented_stages(trained: dict[str, Any]) -> None:
    transitions = trained["SecondaryStatusTransitions"]
    assert [transition["Status"] for transition in transitions] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    times = [transition["StartTime"] for transition in transitions]
    assert times == sorted(times)
    assert all(transition["EndTime"] for transition in transitions)


def test_the_artefact_is_where_the_job_says(workshop: Workshop, trained: dict[str, Any]) -> None:
    uri = trained["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{workshop.bucket}/output/{trained['TrainingJobName']}/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(workshop.read(uri))) as tar:
        assert "model_algo-1" in tar.getnames()


def test_the_log_has_the_algorithms_score_lines(
    workshop: Workshop, trained: dict[str, Any]
) -> None:
    log = "\n".join(log_lines(workshop, trained["TrainingJobName"]))
    assert "#test_score (algo-1) : ('accuracy', 0.9736842105263158)" in log
    assert "#test_score (algo-1) : ('macro_f_1.000', 0.97170347)" in log


def test_boto3s_waiter_sees_the_end(workshop: Workshop) -> None:
    name = unique("job")
    workshop.sagemaker.create_training_job(**workshop.job(name))
    waiter = workshop.sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def test_file_mode_reads_every_object_under_the_prefix(workshop: Workshop) -> None:
    workshop.put("parts/a/rows.csv", b"0,1\n0,2\n")
    workshop.put("parts/b/rows.csv", b"1,9")
    job = workshop.train(
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        InputDataConfig=[workshop.channel("train", "parts/")],
    )
    assert job["TrainingJobStatus"] == "Completed"
    assert "reservoir sample from algo-1: data=(3, 1)" in "\n".join(
        log_lines(workshop, job["TrainingJobName"])
    )


def test_pipe_mode_joins_objects_that_lack_a_last_newline(workshop: Workshop) -> None:
    workshop.put("pipe/1.csv", b"0,1\n0,2")
    workshop.put("pipe/2.csv", b"1,9")
    job = workshop.train(InputDataConfig=[workshop.channel("train", "pipe/")])
    assert "reservoir sample from algo-1: data=(3, 1)" in "\n".join(
        log_lines(workshop, job["TrainingJobName"])
    )


def test_pipe_mode_unpacks_a_channel_that_is_compressed(workshop: Workshop) -> None:
    workshop.put("gzipped/1.csv.gz", gzip.compress(b"0,1\n1,9\n"))
    channel = workshop.channel("train", "gzipped/", CompressionType="Gzip")
    job = workshop.train(InputDataConfig=[channel])
    assert job["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize("mode", ["Pipe", "File"])
def test_bad_data_fails_the_job_with_a_reason_that_names_line_and_column(
    workshop: Workshop, mode: str
) -> None:
    workshop.put("bad/rows.csv", b"0,1\n0,setosa\n")
    job = workshop.train(
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": mode},
        InputDataConfig=[workshop.channel("train", "bad/")],
    )
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Unable to read data channel 'train'.")
    assert "line 2, column 2: 'setosa' is not a finite number" in job["FailureReason"]
    assert "ModelArtifacts" not in job or not job["ModelArtifacts"]


def test_a_bad_hyperparameter_fails_the_job(workshop: Workshop) -> None:
    job = workshop.train(HyperParameters={**HYPERPARAMETERS, "k": "0"})
    assert job["FailureReason"].startswith(
        "ClientError: The value '0' is not valid for the 'k' hyperparameter"
    )


def test_a_content_type_that_the_algorithm_does_not_read_fails_the_job(workshop: Workshop) -> None:
    channel = workshop.channel("train", ContentType="application/json")
    job = workshop.train(InputDataConfig=[channel])
    assert job["FailureReason"].startswith("ClientError: No iterator has been registered")


def long_job(workshop: Workshop, name: str, **changes: Any) -> dict[str, Any]:
    """A job that needs some seconds: many rows to score, one a batch."""
    rows = b"".join(b"%d,%d.5,%d\n" % (i % 3, i % 1000, i % 77) for i in range(60_000))
    workshop.put("many/rows.csv", rows)
    return workshop.job(
        name,
        HyperParameters={**HYPERPARAMETERS, "sample_size": "60000", "mini_batch_size": "1"},
        InputDataConfig=[workshop.channel("train", "many/"), workshop.channel("test", "many/")],
        **changes,
    )


def secondary_status(workshop: Workshop, name: str) -> str:
    """Where a job stands."""
    job = workshop.sagemaker.describe_training_job(TrainingJobName=name)
    return str(job["SecondaryStatus"])


def test_a_job_that_runs_can_be_stopped(workshop: Workshop) -> None:
    name = unique("job")
    workshop.sagemaker.create_training_job(**long_job(workshop, name))
    wait_for(lambda: secondary_status(workshop, name) == "Training")
    workshop.sagemaker.stop_training_job(TrainingJobName=name)
    job = workshop.ended(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert "Stopping" in [entry["Status"] for entry in job["SecondaryStatusTransitions"]]


def test_a_job_that_runs_too_long_is_stopped(workshop: Workshop) -> None:
    name = unique("job")
    limit = {"MaxRuntimeInSeconds": 1}
    workshop.sagemaker.create_training_job(**long_job(workshop, name, StoppingCondition=limit))
    job = workshop.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_job_that_has_ended_can_not_be_stopped(
    workshop: Workshop, trained: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="training job is in status Completed"):
        workshop.sagemaker.stop_training_job(TrainingJobName=trained["TrainingJobName"])


def test_the_name_of_an_existing_job_is_in_use(workshop: Workshop, trained: dict[str, Any]) -> None:
    client = workshop.sagemaker
    with pytest.raises(client.exceptions.ResourceInUse):
        client.create_training_job(**workshop.job(trained["TrainingJobName"]))


def test_a_job_that_does_not_exist_is_a_validation_exception(workshop: Workshop) -> None:
    with pytest.raises(ClientError, match="Requested resource not found") as refused:
        workshop.sagemaker.describe_training_job(TrainingJobName="no-such-job")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TrainingJobName": "under_score"}, "regular expression pattern"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "xgb:1", "TrainingInputMode": "File"}},
            "can't run the image 'xgb:1'",
        ),
        ({"RoleArn": "arn:aws:iam::1:user/somebody"}, "roleArn"),
        ({"OutputDataConfig": {"S3OutputPath": "https://elsewhere/x"}}, "must be an S3 URL"),
    ],
)
def test_a_request_that_breaks_the_rules_is_refused(
    workshop: Workshop, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        workshop.sagemaker.create_training_job(**{**workshop.job(unique("job")), **changes})


@pytest.mark.parametrize("prefix", ["nothing/here/"])
def test_a_channel_without_objects_is_refused(workshop: Workshop, prefix: str) -> None:
    channels = [workshop.channel("train", prefix)]
    with pytest.raises(ClientError, match="No S3 objects found under S3 URL"):
        workshop.sagemaker.create_training_job(
            **workshop.job(unique("job"), InputDataConfig=channels)
        )


def test_jobs_are_listed_by_name_and_status_and_in_pages(workshop: Workshop) -> None:
    client = workshop.sagemaker
    prefix = unique("listed")
    names = [f"{prefix}-{number}" for number in range(3)]
    for name in names:
        client.create_training_job(**workshop.job(name))
    for name in names:
        workshop.ended(name)
    paginator = client.get_paginator("list_training_jobs")
    pages = list(
        paginator.paginate(
            NameContains=prefix,
            StatusEquals="Completed",
            SortBy="Name",
            SortOrder="Descending",
            PaginationConfig={"PageSize": 2},
        )
    )
    assert [len(page["TrainingJobSummaries"]) for page in pages] == [2, 1]
    listed = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
    assert listed == sorted(names, reverse=True)


def test_tags_can_be_given_added_and_removed(workshop: Workshop) -> None:
    client = workshop.sagemaker
    name = unique("job")
    tags = [{"Key": "dataset", "Value": "iris"}]
    arn = client.create_training_job(**workshop.job(name, Tags=tags))["TrainingJobArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    client.delete_tags(ResourceArn=arn, TagKeys=["dataset"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "test"}]


def test_another_account_and_another_region_see_nothing(
    workshop: Workshop, trained: dict[str, Any]
) -> None:
    name = trained["TrainingJobName"]
    for options in ({"aws_access_key_id": "111122223333"}, {"region_name": "eu-west-1"}):
        elsewhere = workshop.aws.client("sagemaker", **options)
        with pytest.raises(ClientError, match="Requested resource not found"):
            elsewhere.describe_training_job(TrainingJobName=name)


def test_each_change_of_status_is_an_event_on_the_default_bus(workshop: Workshop) -> None:
    sqs, events = workshop.aws.client("sqs"), workshop.aws.client("events")
    queue = sqs.create_queue(QueueName=unique("events"))["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    name, rule = unique("job"), unique("rule")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {"TrainingJobName": [name]},
    }
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(
        Rule=rule, Targets=[{"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}]
    )
    arn = workshop.sagemaker.create_training_job(**workshop.job(name))["TrainingJobArn"]
    received: list[dict[str, Any]] = []

    def completed() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        received.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return "Completed" in [event["detail"]["TrainingJobStatus"] for event in received]

    wait_for(completed)
    (last,) = [event for event in received if event["detail"]["TrainingJobStatus"] == "Completed"]
    assert last["source"] == "aws.sagemaker"
    assert last["resources"] == [arn]
    assert last["region"] == REGION
    assert isinstance(last["detail"]["CreationTime"], int)
    assert last["detail"]["CreationTime"] > 1_600_000_000_000
