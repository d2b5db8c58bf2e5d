"""Training jobs on the embedded AWS, as boto3 sees them."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import HYPERPARAMETERS, IMAGE, Workshop, unique, wait_for
from embedded_aws.testing import REGION


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


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_every_object_under_the_prefix_is_read(workshop: Workshop, mode: str) -> None:
    workshop.put("parts/a/rows.csv", b"0,1\n0,2\n")
    workshop.put("parts/b/rows.csv", b"1,9")
    job = workshop.train(
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": mode},
        InputDataConfig=[workshop.channel("train", "parts/")],
    )
    assert job["TrainingJobStatus"] == "Completed"
    assert "reservoir sample from algo-1: data=(3, 1)" in "\n".join(
        log_lines(workshop, job["TrainingJobName"])
    )


@pytest.mark.parametrize("mode", ["File", "Pipe"])
def test_a_channel_may_have_a_mode_of_its_own_and_name_its_objects_in_a_manifest(
    workshop: Workshop, mode: str
) -> None:
    workshop.put("listed/a.csv", b"0,1\n0,2\n")
    workshop.put("listed/b.csv", b"1,9\n")
    workshop.put("listed/c.csv", b"not,listed\n")
    names = [{"prefix": f"s3://{workshop.bucket}/listed/"}, "a.csv", "b.csv"]
    source = {
        "S3DataType": "ManifestFile",
        "S3Uri": workshop.put(f"{mode}.manifest", json.dumps(names).encode()),
        "S3DataDistributionType": "ShardedByS3Key",
    }
    channel = workshop.channel(
        "train",
        DataSource={"S3DataSource": source},
        InputMode=mode,
        ShuffleConfig={"Seed": 1},
    )
    job = workshop.train(InputDataConfig=[channel])
    assert job["TrainingJobStatus"] == "Completed", job
    assert "reservoir sample from algo-1: data=(3, 1)" in "\n".join(
        log_lines(workshop, job["TrainingJobName"])
    )
    assert job["InputDataConfig"][0]["DataSource"]["S3DataSource"] == source


def test_a_manifest_that_lists_what_is_not_there_fails_the_job(workshop: Workshop) -> None:
    names = [{"prefix": f"s3://{workshop.bucket}/listed/"}, "missing.csv"]
    uri = workshop.put("missing.manifest", json.dumps(names).encode())
    source = {"S3DataType": "ManifestFile", "S3Uri": uri}
    channel = workshop.channel("train", DataSource={"S3DataSource": source}, InputMode="File")
    job = workshop.train(InputDataConfig=[channel])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Data download failed:")
    assert "missing.csv" in job["FailureReason"]


def test_an_uncompressed_model_is_a_folder_of_files(workshop: Workshop) -> None:
    output = {"S3OutputPath": f"s3://{workshop.bucket}/plain/", "CompressionType": "NONE"}
    job = workshop.train(OutputDataConfig=output)
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{workshop.bucket}/plain/{job['TrainingJobName']}/output/model/"
    assert workshop.exists(f"{uri}model_algo-1")


def test_the_artefact_is_encrypted_with_the_jobs_key(workshop: Workshop) -> None:
    key = workshop.aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    output = {"S3OutputPath": f"s3://{workshop.bucket}/secret", "KmsKeyId": key}
    job = workshop.train(OutputDataConfig=output)
    name = f"secret/{job['TrainingJobName']}/output/model.tar.gz"
    stored = workshop.s3.head_object(Bucket=workshop.bucket, Key=name)
    assert stored["ServerSideEncryption"] == "aws:kms"
    assert key in stored["SSEKMSKeyId"]
    assert job["OutputDataConfig"]["KmsKeyId"] == key


def test_whatever_a_request_says_is_described(workshop: Workshop) -> None:
    said: dict[str, Any] = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
        "CheckpointConfig": {"S3Uri": f"s3://{workshop.bucket}/checkpoints"},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "Environment": {"PYTHONPATH": "/nowhere", "COLOUR": "blue"},
        "RetryStrategy": {"MaximumRetryAttempts": 1},
        "DebugHookConfig": {"S3OutputPath": f"s3://{workshop.bucket}/debug"},
        "TensorBoardOutputConfig": {"S3OutputPath": f"s3://{workshop.bucket}/board"},
        "ProfilerConfig": {"S3OutputPath": f"s3://{workshop.bucket}/profile"},
        "ExperimentConfig": {"ExperimentName": "iris"},
        "RemoteDebugConfig": {"EnableRemoteDebug": True},
        "InfraCheckConfig": {"EnableInfraCheck": True},
    }
    job = workshop.train(**said)
    assert job["TrainingJobStatus"] == "Completed", job
    assert {member: job[member] for member in said} == said
    assert job["ProfilingStatus"] == "Enabled"


def test_a_job_of_a_built_in_algorithm_shows_its_metrics(trained: dict[str, Any]) -> None:
    shown = trained["AlgorithmSpecification"]["MetricDefinitions"]
    assert [metric["Name"] for metric in shown] == ["test:accuracy", "test:mse"]


def statistics(workshop: Workshop, metric: str, dimension: str, value: str) -> dict[str, float]:
    """What CloudWatch has of a metric, in all."""
    cloudwatch = workshop.aws.client("cloudwatch")
    (found,) = cloudwatch.get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "/aws/sagemaker/TrainingJobs",
                        "MetricName": metric,
                        "Dimensions": [{"Name": dimension, "Value": value}],
                    },
                    "Period": 86400,
                    "Stat": "Average",
                },
            }
        ],
        StartTime="2020-01-01T00:00:00Z",
        EndTime="2100-01-01T00:00:00Z",
    )["MetricDataResults"]
    return dict(zip(map(str, found["Timestamps"]), found["Values"], strict=True))


def test_cloudwatch_has_the_algorithms_metrics(workshop: Workshop, trained: dict[str, Any]) -> None:
    name = trained["TrainingJobName"]
    (accuracy,) = statistics(workshop, "test:accuracy", "TrainingJobName", name).values()
    assert accuracy == pytest.approx(0.9736842105263158)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process uses")
def test_cloudwatch_has_what_the_instance_used(workshop: Workshop, trained: dict[str, Any]) -> None:
    name = trained["TrainingJobName"]
    for metric in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
        (value,) = statistics(workshop, metric, "Host", f"{name}/algo-1").values()
        assert 0 < value <= 100 * (os.cpu_count() or 1)


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
    # Not even an empty one, which the SDK takes amiss: aws/sagemaker-python-sdk pull request 6091.
    assert "ModelArtifacts" not in job


def test_a_bad_hyperparameter_fails_the_job(workshop: Workshop) -> None:
    job = workshop.train(HyperParameters={**HYPERPARAMETERS, "k": "0"})
    assert job["FailureReason"].startswith(
        "ClientError: The value '0' is not valid for the 'k' hyperparameter"
    )


def test_a_content_type_that_the_algorithm_does_not_read_fails_the_job(workshop: Workshop) -> None:
    channel = workshop.channel("train", ContentType="application/json")
    job = workshop.train(InputDataConfig=[channel])
    assert job["FailureReason"].startswith("ClientError: No iterator has been registered")


MANY = "many/"


def put_many_rows(workshop: Workshop) -> None:
    """Rows that take some seconds to score, one a batch."""
    rows = b"".join(b"%d,%d.5,%d\n" % (i % 3, i % 1000, i % 77) for i in range(60_000))
    workshop.put(f"{MANY}rows.csv", rows)


def long_job(workshop: Workshop, name: str, **changes: Any) -> dict[str, Any]:
    """A job that needs some seconds."""
    put_many_rows(workshop)
    return workshop.job(
        name,
        HyperParameters={**HYPERPARAMETERS, "sample_size": "60000", "mini_batch_size": "1"},
        InputDataConfig=[workshop.channel("train", MANY), workshop.channel("test", MANY)],
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


def trainers(workshop: Workshop) -> list[int]:
    """The processes that train for the server."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
    return [
        int(pid)
        for pid, parent, command in rows
        if int(parent) == workshop.aws.process.pid and "embedded_aws.knn train" in command
    ]


def test_a_killed_trainer_fails_its_job_and_hurts_nothing_else(workshop: Workshop) -> None:
    name = unique("job")
    workshop.sagemaker.create_training_job(**long_job(workshop, name))
    wait_for(lambda: secondary_status(workshop, name) == "Training")
    (pid,) = wait_for(lambda: trainers(workshop))
    os.kill(pid, signal.SIGKILL)
    job = workshop.ended(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Please use an instance type with more")
    assert workshop.train()["TrainingJobStatus"] == "Completed"


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


def test_another_account_and_another_region_see_nothing(
    workshop: Workshop, trained: dict[str, Any]
) -> None:
    name = trained["TrainingJobName"]
    for options in ({"aws_access_key_id": "111122223333"}, {"region_name": "eu-west-1"}):
        elsewhere = workshop.aws.client("sagemaker", **options)
        with pytest.raises(ClientError, match="Requested resource not found"):
            elsewhere.describe_training_job(TrainingJobName=name)


def test_each_change_of_status_is_an_event_on_the_default_bus(workshop: Workshop) -> None:
    received = workshop.events("SageMaker Training Job State Change")
    name = unique("job")
    tags = [{"Key": "dataset", "Value": "iris"}]
    arn = workshop.sagemaker.create_training_job(**workshop.job(name, Tags=tags))["TrainingJobArn"]

    def statuses() -> list[str]:
        details = [event["detail"] for event in received()]
        return [
            detail["SecondaryStatus"] for detail in details if detail["TrainingJobName"] == name
        ]

    wait_for(lambda: "Completed" in statuses())
    assert statuses() == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    (last,) = [event for event in received() if event["detail"]["SecondaryStatus"] == "Completed"]
    assert last["source"] == "aws.sagemaker"
    assert last["resources"] == [arn]
    assert last["region"] == REGION
    assert isinstance(last["detail"]["CreationTime"], int)
    assert last["detail"]["CreationTime"] > 1_600_000_000_000
    assert last["detail"]["Tags"] == {"dataset": "iris"}
