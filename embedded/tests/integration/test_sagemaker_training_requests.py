"""What CreateTrainingJob refuses, and how training jobs are listed, updated, tagged and deleted."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import IMAGE, Workshop, unique
from embedded.tests.integration.test_sagemaker_training import long_job, secondary_status, wait_for

KNN = {"TrainingImage": IMAGE, "TrainingInputMode": "Pipe"}
CLUSTER = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}


@pytest.fixture(scope="module")
def finished(workshop: Workshop) -> list[dict[str, Any]]:
    """Three jobs that have ended, one of them badly, in the order of their creation."""
    prefix = unique("listed")
    jobs = []
    for number, k in enumerate(("1", "1", "0")):
        name = f"{prefix}-{number}"
        hyperparameters = {"k": k, "sample_size": "10", "predictor_type": "classifier"}
        request = workshop.job(name, HyperParameters=hyperparameters)
        workshop.sagemaker.create_training_job(**request)
        jobs.append(workshop.ended(name))
    return jobs


def prefix_of(jobs: list[dict[str, Any]]) -> str:
    """What the names of the jobs have in common."""
    return str(jobs[0]["TrainingJobName"]).rpartition("-")[0]


def listed(workshop: Workshop, **request: Any) -> list[str]:
    """The last parts of the names of listed jobs."""
    summaries = workshop.listed("list_training_jobs", **request)
    return [summary["TrainingJobName"].rpartition("-")[2] for summary in summaries]


def channel_of(workshop: Workshop, **source: str) -> list[dict[str, Any]]:
    """A train channel with a changed source."""
    channel = workshop.channel("train")
    channel["DataSource"]["S3DataSource"].update(source)
    return [channel]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TrainingJobName": "under_score"}, "regular expression pattern"),
        ({"TrainingJobName": "-job"}, "regular expression pattern"),
        (
            {"AlgorithmSpecification": {**KNN, "TrainingImage": "xgb:1"}},
            "can't run the image 'xgb:1'",
        ),
        (
            {"AlgorithmSpecification": {"AlgorithmName": "mine", "TrainingInputMode": "File"}},
            "no algorithm resources",
        ),
        (
            {
                "AlgorithmSpecification": {
                    **KNN,
                    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
                }
            },
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please "
            "retry the request without specifying metric definitions.",
        ),
        ({"RoleArn": "arn:aws:iam::1:user/somebody"}, "roleArn"),
        ({"OutputDataConfig": {"S3OutputPath": "https://elsewhere/x"}}, "is not an S3 URL"),
        ({"ResourceConfig": {**CLUSTER, "InstanceCount": 0}}, "needs an InstanceType"),
        ({"ResourceConfig": {**CLUSTER, "InstanceType": "t2.nano"}}, "enum value set"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 2419201}}, "must not be above 2419200"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 599},
            },
            "must be present and be greater than or equal to MaxRuntimeInSeconds",
        ),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 3601},
            },
            "k-NN does not checkpoint",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600}},
            "set EnableManagedSpotTraining too",
        ),
        ({"Tags": [{"Key": "aws:cloudformation", "Value": "x"}]}, "must not start with aws:"),
        (
            {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
            "Tag keys must be unique",
        ),
        ({"Tags": [{"Key": "a\tb", "Value": "1"}]}, "regular expression pattern"),
    ],
)
def test_a_request_that_breaks_the_rules_is_refused(
    workshop: Workshop, changes: dict[str, Any], message: str
) -> None:
    name = unique("job")
    with pytest.raises(ClientError) as refused:
        workshop.sagemaker.create_training_job(**{**workshop.job(name), **changes})
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert message in refused.value.response["Error"]["Message"]
    assert not listed(workshop, NameContains=name)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"S3Uri": "s3://{bucket}/nothing/here/"}, "No S3 objects found under S3 URL"),
        ({"S3Uri": "s3://no-such-bucket/train/"}, "No S3 objects found under S3 URL"),
        ({"S3DataType": "Converse"}, "k-NN does not read channels of S3DataType Converse"),
        (
            {"S3DataType": "AugmentedManifestFile"},
            "k-NN does not read channels of S3DataType AugmentedManifestFile",
        ),
    ],
)
def test_a_channel_without_data_or_of_a_kind_that_k_nn_does_not_read_is_refused(
    workshop: Workshop, source: dict[str, str], message: str
) -> None:
    source = {key: value.format(bucket=workshop.bucket) for key, value in source.items()}
    channels = channel_of(workshop, **source)
    with pytest.raises(ClientError, match=message):
        workshop.sagemaker.create_training_job(
            **workshop.job(unique("job"), InputDataConfig=channels)
        )


def test_an_augmented_manifest_is_for_pipe_mode_only(workshop: Workshop) -> None:
    (channel,) = channel_of(workshop, S3DataType="AugmentedManifestFile")
    request = workshop.job(unique("job"), InputDataConfig=[{**channel, "InputMode": "File"}])
    with pytest.raises(ClientError, match="only be used if the Channel's input mode is Pipe"):
        workshop.sagemaker.create_training_job(**request)


def test_two_channels_of_one_name_are_refused(workshop: Workshop) -> None:
    channels = [workshop.channel("train"), workshop.channel("train")]
    with pytest.raises(ClientError, match="Channel names must be unique"):
        workshop.sagemaker.create_training_job(
            **workshop.job(unique("job"), InputDataConfig=channels)
        )


def test_a_name_in_use_is_refused_in_the_words_of_aws(
    workshop: Workshop, finished: list[dict[str, Any]]
) -> None:
    client, job = workshop.sagemaker, finished[0]
    with pytest.raises(client.exceptions.ResourceInUse) as refused:
        client.create_training_job(**workshop.job(job["TrainingJobName"]))
    assert refused.value.response["Error"]["Message"] == (
        "Training job names must be unique within an AWS account and region, and a training job "
        f"with this name already exists ({job['TrainingJobArn']})"
    )


def test_jobs_are_listed_in_the_order_that_is_asked_for(
    workshop: Workshop, finished: list[dict[str, Any]]
) -> None:
    name = prefix_of(finished)
    assert listed(workshop, NameContains=name, SortBy="Name", SortOrder="Descending") == [
        "2",
        "1",
        "0",
    ]
    assert listed(workshop, NameContains=name, SortBy="CreationTime") == ["0", "1", "2"]
    assert listed(workshop, NameContains=name, SortBy="Status") == ["0", "1", "2"]


def test_jobs_are_listed_by_status_and_time(
    workshop: Workshop, finished: list[dict[str, Any]]
) -> None:
    name = prefix_of(finished)
    assert listed(workshop, NameContains=name.upper(), StatusEquals="Failed") == ["2"]
    created = finished[1]["CreationTime"]
    assert listed(workshop, NameContains=name, CreationTimeAfter=created) == ["2"]
    assert listed(workshop, NameContains=name, CreationTimeBefore=created) == ["0"]
    changed = finished[1]["LastModifiedTime"]
    assert listed(workshop, NameContains=name, LastModifiedTimeAfter=changed) == ["2"]


def test_pages_neither_repeat_nor_skip_and_a_status_filters_what_is_on_them(
    workshop: Workshop, finished: list[dict[str, Any]]
) -> None:
    paginator = workshop.sagemaker.get_paginator("list_training_jobs")
    pages = list(
        paginator.paginate(
            NameContains=prefix_of(finished),
            StatusEquals="Completed",
            SortBy="Name",
            SortOrder="Descending",
            PaginationConfig={"PageSize": 1},
        )
    )
    names = [[job["TrainingJobName"][-1] for job in page["TrainingJobSummaries"]] for page in pages]
    # Those of other jobs are empty.
    assert [] in names
    assert [name for name in names if name] == [["1"], ["0"]]


def test_a_token_of_nobodys_is_refused(workshop: Workshop) -> None:
    with pytest.raises(ClientError, match="Invalid NextToken"):
        workshop.sagemaker.list_training_jobs(NextToken="bm90IGEgdG9rZW4=")


def test_a_deleted_job_is_gone_and_its_name_is_free_again(workshop: Workshop) -> None:
    client, name = workshop.sagemaker, workshop.train()["TrainingJobName"]
    client.delete_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match="Requested resource not found"):
        client.describe_training_job(TrainingJobName=name)
    client.create_training_job(**workshop.job(name))
    assert workshop.ended(name)["TrainingJobStatus"] == "Completed"


def test_a_job_that_runs_can_be_updated_but_not_deleted(workshop: Workshop) -> None:
    client, name = workshop.sagemaker, unique("job")
    client.create_training_job(**long_job(workshop, name))
    wait_for(lambda: secondary_status(workshop, name) == "Training")
    with pytest.raises(client.exceptions.ResourceInUse, match="is in status InProgress"):
        client.delete_training_job(TrainingJobName=name)
    client.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": True})
    client.stop_training_job(TrainingJobName=name)
    job = workshop.ended(name)
    assert job["ProfilerConfig"] == {"DisableProfiler": True}
    assert job["ProfilingStatus"] == "Disabled"
    with pytest.raises(ClientError, match="in status Stopped can't be updated"):
        client.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": False})


def test_instances_that_are_kept_are_available_until_they_are_given_up(
    workshop: Workshop,
) -> None:
    client = workshop.sagemaker
    job = workshop.train(ResourceConfig={**CLUSTER, "KeepAlivePeriodInSeconds": 600})
    name = job["TrainingJobName"]
    assert job["WarmPoolStatus"] == {"Status": "Available"}
    assert listed(workshop, NameContains=name, WarmPoolStatusEquals="Available")
    assert not listed(workshop, NameContains=name, WarmPoolStatusEquals="Terminated")
    with pytest.raises(client.exceptions.ResourceInUse, match="Available warm pool"):
        client.delete_training_job(TrainingJobName=name)
    kept = {"KeepAlivePeriodInSeconds": 1}
    client.update_training_job(TrainingJobName=name, ResourceConfig=kept)

    def terminated() -> bool:
        described = client.describe_training_job(TrainingJobName=name)
        return bool(described["WarmPoolStatus"]["Status"] == "Terminated")

    wait_for(terminated)
    client.delete_training_job(TrainingJobName=name)


def test_tags_can_be_given_added_replaced_and_removed(
    workshop: Workshop, finished: list[dict[str, Any]]
) -> None:
    client, name = workshop.sagemaker, unique("job")
    given = [{"Key": "dataset", "Value": "iris"}, {"Key": "größe", "Value": "1 m²"}]
    arn = client.create_training_job(**workshop.job(name, Tags=given))["TrainingJobArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "dataset", "Value": "wine"}])
    client.delete_tags(ResourceArn=arn, TagKeys=["größe", "not-there"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "dataset", "Value": "wine"}]
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    with pytest.raises(ClientError, match="more than 50 tags"):
        client.add_tags(ResourceArn=arn, Tags=many)
    workshop.ended(name)


def test_what_is_not_there_has_no_tags(workshop: Workshop, finished: list[dict[str, Any]]) -> None:
    arn = finished[0]["TrainingJobArn"] + "-not"
    with pytest.raises(ClientError, match="Requested resource not found"):
        workshop.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])


def test_times_of_a_job_are_in_order(finished: list[dict[str, Any]]) -> None:
    for job in finished:
        assert (
            job["CreationTime"]
            <= job["TrainingStartTime"]
            <= job["TrainingEndTime"]
            <= job["LastModifiedTime"]
        )
        assert job["TrainingEndTime"].timestamp() <= time.time()
        assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
