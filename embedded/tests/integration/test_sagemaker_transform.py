"""Batch transform jobs on the embedded AWS, as boto3 sees them."""

import gzip
import json
import struct
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded.tests.helpers.iris_jobs import IMAGE, Workshop, unique, wait_for

SETOSA, VIRGINICA = b"5.1,3.5,1.4,0.2", b"6.5,3.0,5.8,2.2"
LOG_GROUP = "/aws/sagemaker/TransformJobs"


@pytest.fixture(scope="module")
def model(workshop: Workshop) -> str:
    """A model of iris, k = 1."""
    return workshop.model()


def transform_job(
    workshop: Workshop,
    name: str,
    model: str,
    prefix: str,
    source: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A CreateTransformJob request for CSV lines below a prefix, JSON lines out."""
    data = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{workshop.bucket}/{prefix}"}
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {
            "DataSource": {"S3DataSource": data},
            "ContentType": "text/csv",
            "SplitType": "Line",
            **(source or {}),
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{workshop.bucket}/{name}",
            "Accept": "application/jsonlines",
            "AssembleWith": "Line",
            **(output or {}),
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **changes,
    }


def described(workshop: Workshop, name: str) -> dict[str, Any]:
    """The description of a job."""
    job: dict[str, Any] = workshop.sagemaker.describe_transform_job(TransformJobName=name)
    return job


def ended(workshop: Workshop, name: str) -> dict[str, Any]:
    """The description of a job once it has ended."""
    final = ("Completed", "Failed", "Stopped")
    wait_for(lambda: described(workshop, name)["TransformJobStatus"] in final)
    return described(workshop, name)


def transform(workshop: Workshop, model: str, prefix: str, **options: Any) -> dict[str, Any]:
    """Run a job to its end, and describe it."""
    name = unique("transform")
    request = transform_job(workshop, name, model, prefix, **options)
    workshop.sagemaker.create_transform_job(**request)
    return ended(workshop, name)


def outputs(workshop: Workshop, job: dict[str, Any]) -> dict[str, bytes]:
    """What a job stored, by name below its output path."""
    path = f"{job['TransformJobName']}/"
    listing = workshop.s3.list_objects_v2(Bucket=workshop.bucket, Prefix=path)
    keys = [item["Key"] for item in listing.get("Contents", [])]
    return {key.removeprefix(path): workshop.read(f"s3://{workshop.bucket}/{key}") for key in keys}


def output(workshop: Workshop, job: dict[str, Any]) -> bytes:
    """What a job stored for its only object."""
    assert job["TransformJobStatus"] == "Completed", job
    (content,) = outputs(workshop, job).values()
    return content


def log(workshop: Workshop, job: dict[str, Any], suffix: str) -> list[str]:
    """What a job logged in the stream whose name has that end."""
    logs = workshop.aws.client("logs")
    streams = logs.describe_log_streams(
        logGroupName=LOG_GROUP, logStreamNamePrefix=f"{job['TransformJobName']}/"
    )["logStreams"]
    is_data_log = suffix == "/data-log"
    (name,) = [
        stream["logStreamName"]
        for stream in streams
        if stream["logStreamName"].endswith("/data-log") == is_data_log
    ]
    events = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=name, startFromHead=True)
    return [event["message"] for event in events["events"]]


@pytest.fixture(scope="module")
def two_objects(workshop: Workshop, model: str) -> dict[str, Any]:
    """A job over two objects, one of them in a folder."""
    workshop.put("batch/a.csv", SETOSA + b"\n" + VIRGINICA + b"\n")
    workshop.put("batch/deep/b.csv", VIRGINICA)
    workshop.put("batch/empty-folder/", b"")
    return transform(workshop, model, "batch/", Tags=[{"Key": "dataset", "Value": "iris"}])


def test_each_object_has_an_output_of_its_name_with_its_records_in_order(
    workshop: Workshop, two_objects: dict[str, Any]
) -> None:
    assert two_objects["TransformJobStatus"] == "Completed"
    assert outputs(workshop, two_objects) == {
        "a.csv.out": b'{"predicted_label": 0.0}\n{"predicted_label": 2.0}\n',
        "deep/b.csv.out": b'{"predicted_label": 2.0}\n',
    }


def test_a_job_describes_what_it_was_asked_for_and_when_it_ran(
    two_objects: dict[str, Any],
) -> None:
    assert two_objects["TransformInput"]["CompressionType"] == "None"
    assert two_objects["DataProcessing"] == {
        "InputFilter": "$",
        "OutputFilter": "$",
        "JoinSource": "None",
    }
    times = ("CreationTime", "TransformStartTime", "TransformEndTime")
    assert [two_objects[time] for time in times] == sorted(two_objects[time] for time in times)


def test_the_logs_tell_how_the_container_was_called(
    workshop: Workshop, two_objects: dict[str, Any]
) -> None:
    (how,) = log(workshop, two_objects, "/data-log")
    assert "[sagemaker logs]: MaxConcurrentTransforms=" in how
    assert how.endswith("MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD")
    container = "\n".join(log(workshop, two_objects, ""))
    assert "GET /execution-parameters" in container
    assert container.count("POST /invocations") == 2


def test_jobs_are_tagged_and_listed(workshop: Workshop, two_objects: dict[str, Any]) -> None:
    client, name = workshop.sagemaker, two_objects["TransformJobName"]
    tags = client.list_tags(ResourceArn=two_objects["TransformJobArn"])["Tags"]
    assert tags == [{"Key": "dataset", "Value": "iris"}]
    (listed,) = workshop.listed("list_transform_jobs", NameContains=name, StatusEquals="Completed")
    assert listed["TransformJobArn"] == two_objects["TransformJobArn"]
    later = two_objects["CreationTime"]
    assert not workshop.listed("list_transform_jobs", NameContains=name, CreationTimeAfter=later)


def test_boto3s_waiter_sees_the_end(workshop: Workshop, two_objects: dict[str, Any]) -> None:
    waiter = workshop.sagemaker.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName=two_objects["TransformJobName"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process uses")
def test_cloudwatch_has_what_the_instance_used(
    workshop: Workshop, two_objects: dict[str, Any]
) -> None:
    found = workshop.aws.client("cloudwatch").list_metrics(Namespace=LOG_GROUP)["Metrics"]
    mine = [
        metric["MetricName"]
        for metric in found
        if metric["Dimensions"][0]["Value"].startswith(two_objects["TransformJobName"])
    ]
    assert sorted(mine) == ["CPUUtilization", "MemoryUtilization"]


def test_an_object_goes_in_one_request_unless_it_is_split(workshop: Workshop, model: str) -> None:
    workshop.put("whole/a.csv", SETOSA + b"\n" + VIRGINICA)
    job = transform(
        workshop,
        model,
        "whole/",
        source={"SplitType": "None"},
        output={"Accept": "application/json", "AssembleWith": "None"},
    )
    predictions = [{"predicted_label": 0.0}, {"predicted_label": 2.0}]
    assert json.loads(output(workshop, job)) == {"predictions": predictions}


def test_single_records_go_one_by_one_and_answers_keep_their_order(
    workshop: Workshop, model: str
) -> None:
    rows = [SETOSA, VIRGINICA, VIRGINICA, SETOSA] * 8
    workshop.put("single/a.csv", b"\n".join(rows))
    job = transform(
        workshop,
        model,
        "single/",
        output={"Accept": "application/json"},
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=4,
        MaxPayloadInMB=1,
    )
    documents = [json.loads(line) for line in output(workshop, job).splitlines()]
    labels = [document["predictions"][0]["predicted_label"] for document in documents]
    assert labels == [0.0 if row == SETOSA else 2.0 for row in rows]
    (how,) = log(workshop, job, "/data-log")
    assert "MaxConcurrentTransforms=4, MaxPayloadInMB=1, BatchStrategy=SINGLE_RECORD" in how


def test_large_objects_are_cut_into_mini_batches_that_fit(workshop: Workshop, model: str) -> None:
    count = 150_000
    workshop.put("large/a.csv", (SETOSA + b"\n") * count)
    job = transform(workshop, model, "large/", MaxPayloadInMB=1)
    assert output(workshop, job).splitlines() == [b'{"predicted_label": 0.0}'] * count
    assert "\n".join(log(workshop, job, "")).count("POST /invocations") == 3


def test_compressed_objects_listed_in_a_manifest_are_unpacked(
    workshop: Workshop, model: str
) -> None:
    workshop.put("packed/a.csv.gz", gzip.compress(SETOSA + b"\n" + VIRGINICA))
    workshop.put("packed/not-listed.csv.gz", b"not gzip at all")
    manifest = [{"prefix": f"s3://{workshop.bucket}/packed/"}, "a.csv.gz"]
    uri = workshop.put("packed.manifest", json.dumps(manifest).encode())
    data = {"S3DataType": "ManifestFile", "S3Uri": uri}
    source = {"DataSource": {"S3DataSource": data}, "CompressionType": "Gzip"}
    job = transform(workshop, model, "unused", source=source)
    assert job["TransformJobStatus"] == "Completed", job
    assert list(outputs(workshop, job)) == ["a.csv.gz.out"]
    assert output(workshop, job).count(b"predicted_label") == 2


def protobuf(values: list[float]) -> bytes:
    """A RecordIO record of a protobuf record with features only."""
    packed = struct.pack(f"<{len(values)}f", *values)
    for field in (0x0A, 0x12, 0x12):  # values; float32_tensor; map's value
        packed = bytes([field, len(packed)]) + packed
    entry = b"\x0a\x06values" + packed
    record = bytes([0x0A, len(entry)]) + entry
    return struct.pack("<II", 0xCED7230A, len(record)) + record + bytes(-len(record) % 4)


def test_recordio_is_cut_into_its_records(workshop: Workshop, model: str) -> None:
    rows = ([5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.8, 2.2])
    workshop.put("records/a.pbr", b"".join(map(protobuf, rows)))
    source = {"ContentType": "application/x-recordio-protobuf", "SplitType": "RecordIO"}
    job = transform(workshop, model, "records/", source=source)
    assert output(workshop, job) == b'{"predicted_label": 0.0}\n{"predicted_label": 2.0}\n'


def test_records_of_recordio_can_be_sent_one_by_one(workshop: Workshop, model: str) -> None:
    rows = ([5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.8, 2.2])
    workshop.put("unframed/a.pbr", b"".join(map(protobuf, rows)))
    source = {"ContentType": "application/x-recordio-protobuf", "SplitType": "RecordIO"}
    job = transform(workshop, model, "unframed/", source=source, BatchStrategy="SingleRecord")
    assert output(workshop, job).count(b"predicted_label") == 2


def test_rows_are_joined_with_their_predictions_and_an_id_is_kept_from_the_model(
    workshop: Workshop, model: str
) -> None:
    workshop.put("joined/a.csv", b"row-1," + SETOSA + b"\nrow-2," + VIRGINICA + b"\n")
    processing = {
        "InputFilter": "$[1:]",
        "JoinSource": "Input",
        "OutputFilter": "$['SageMakerInput','SageMakerOutput']",
    }
    job = transform(workshop, model, "joined/", DataProcessing=processing)
    lines = [json.loads(line) for line in output(workshop, job).splitlines()]
    assert [line["SageMakerInput"][0] for line in lines] == ["row-1", "row-2"]
    assert [line["SageMakerOutput"]["predicted_label"] for line in lines] == [0.0, 2.0]


def test_json_lines_are_joined_with_their_predictions(workshop: Workshop, model: str) -> None:
    records = [
        {"id": 1, "features": [5.1, 3.5, 1.4, 0.2]},
        {"id": 2, "features": [6.5, 3.0, 5.8, 2.2]},
    ]
    workshop.put("lines/a.jsonl", "\n".join(map(json.dumps, records)).encode())
    processing = {"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"}
    source = {"ContentType": "application/jsonlines"}
    job = transform(workshop, model, "lines/", source=source, DataProcessing=processing)
    assert [json.loads(line) for line in output(workshop, job).splitlines()] == [
        {"id": 1, "SageMakerOutput": {"predicted_label": 0.0}},
        {"id": 2, "SageMakerOutput": {"predicted_label": 2.0}},
    ]


def test_a_filter_of_several_ranges_fails_the_job(workshop: Workshop, model: str) -> None:
    workshop.put("ranges/a.csv", SETOSA)
    job = transform(workshop, model, "ranges/", DataProcessing={"InputFilter": "$[0:1,2:]"})
    assert job["TransformJobStatus"] == "Failed"
    assert "only single range filters of format (eg: [1:5]) are supported" in "".join(
        log(workshop, job, "/data-log")
    )


def test_a_model_with_a_model_data_source_is_not_for_batch_transform(
    workshop: Workshop, model: str
) -> None:
    shown = workshop.sagemaker.describe_model(ModelName=model)
    container = {**shown["PrimaryContainer"]}
    del container["ModelDataUrl"]
    name = unique("model")
    workshop.sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=shown["ExecutionRoleArn"], PrimaryContainer=container
    )
    with pytest.raises(ClientError, match="which use ModelDataSource attribute"):
        transform(workshop, name, "batch/")


def test_an_object_with_a_bad_record_has_no_output_and_the_others_have(
    workshop: Workshop, model: str
) -> None:
    workshop.put("mixed/bad.csv", SETOSA + b"\n1,2\n")
    workshop.put("mixed/good.csv", SETOSA)
    job = transform(workshop, model, "mixed/")
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert list(outputs(workshop, job)) == ["good.csv.out"]
    told = log(workshop, job, "/data-log")[1:]
    assert all(f": {workshop.bucket}/mixed/bad.csv: " in line for line in told)
    assert told[0].endswith(": ClientError: 400")
    assert told[2].endswith(": Message:")
    assert len(told) > 3


def test_an_object_that_does_not_fit_into_a_request_fails_with_what_to_do(
    workshop: Workshop, model: str
) -> None:
    workshop.put("unsplit/a.csv", (SETOSA + b"\n") * 70_000)
    job = transform(workshop, model, "unsplit/", source={"SplitType": "None"}, MaxPayloadInMB=1)
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert "raise MaxPayloadInMB" in "\n".join(log(workshop, job, "/data-log"))


def test_a_prefix_without_objects_fails_the_job(workshop: Workshop, model: str) -> None:
    job = transform(workshop, model, "nothing/here/")
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        f"ClientError: S3 key: s3://{workshop.bucket}/nothing/here/ matched no files on s3"
    )


def test_an_artefact_that_is_no_model_fails_the_job(workshop: Workshop) -> None:
    uri = workshop.put("foreign/model.tar.gz", b"not an archive")
    name = unique("model")
    workshop.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn="arn:aws:iam::000000000000:role/sagemaker",
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": uri},
    )
    workshop.put("any/a.csv", SETOSA)
    job = transform(workshop, name, "any/")
    assert job["TransformJobStatus"] == "Failed"
    assert "not a model.tar.gz" in job["FailureReason"]


def test_a_stopped_job_stores_nothing(workshop: Workshop, model: str) -> None:
    client, name = workshop.sagemaker, unique("transform")
    workshop.put("slow/a.csv", SETOSA)
    workshop.put("slow/b.csv", b"\n".join([SETOSA] * 20_000))
    client.create_transform_job(
        **transform_job(workshop, name, model, "slow/", BatchStrategy="SingleRecord")
    )
    wait_for(lambda: "TransformStartTime" in described(workshop, name))
    client.stop_transform_job(TransformJobName=name)
    job = ended(workshop, name)
    assert job["TransformJobStatus"] == "Stopped"
    assert not outputs(workshop, job)
    with pytest.raises(ClientError, match="transform job is in status Stopped"):
        client.stop_transform_job(TransformJobName=name)


def test_the_state_of_a_transform_job_is_an_event(workshop: Workshop, model: str) -> None:
    received = workshop.events("SageMaker Transform Job State Change")
    workshop.put("event/a.csv", SETOSA)
    name = transform(workshop, model, "event/")["TransformJobName"]

    def details() -> list[dict[str, Any]]:
        return [
            event["detail"] for event in received() if event["detail"]["TransformJobName"] == name
        ]

    wait_for(lambda: len(details()) == 2)
    assert [item["TransformJobStatus"] for item in details()] == ["InProgress", "Completed"]
    assert details()[1]["TransformEndTime"] > 1_600_000_000_000


FILTERED = {"InputFilter": "$[1:]"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ModelName": "no-such-model"}, 'Could not find model "arn:aws:'),
        ({"MaxPayloadInMB": 101}, "must not be above 100 MB"),
        ({"MaxPayloadInMB": 30, "MaxConcurrentTransforms": 4}, "must not be above 100 MB"),
        ({"MaxPayloadInMB": 0}, "HTTP chunked encoding"),
        ({"DataProcessing": {"InputFilter": "$[a]"}}, "Invalid JSONPath"),
        (
            {"DataProcessing": {"InputFilter": "$[?(@.a)]"}},
            'Invalid InputFilter: "$[?(@.a)]". Unexpected "?" in JsonPath.',
        ),
        (
            {"DataProcessing": {"OutputFilter": "$['account_id','SageMakerOutput']"}},
            "Invalid OutputFilter: \"$['account_id','SageMakerOutput']\". Unexpected \"_\" in "
            "JsonPath. Supported operators for \"application/jsonlines\" are ['$', '[', ']', '*', "
            "'.', ' ', ',', ':', '-', ''']",
        ),
        ({"DataProcessing": FILTERED, "source": {"SplitType": "None"}}, "SplitType must be Line"),
        (
            {"DataProcessing": FILTERED, "source": {"ContentType": "application/octet-stream"}},
            "ContentType and Accept must be one of",
        ),
        (
            {"DataProcessing": {"JoinSource": "Input"}, "output": {"AssembleWith": "None"}},
            "AssembleWith must be Line",
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    workshop: Workshop, model: str, changes: dict[str, Any], message: str
) -> None:
    options = {name: changes[name] for name in ("source", "output") if name in changes}
    rest = {name: value for name, value in changes.items() if name not in options}
    request = transform_job(workshop, unique("transform"), model, "batch/", **options)
    with pytest.raises(ClientError) as refused:
        workshop.sagemaker.create_transform_job(**{**request, **rest})
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert message in refused.value.response["Error"]["Message"]


def test_an_augmented_manifest_is_not_for_batch_transform(workshop: Workshop, model: str) -> None:
    data = {"S3DataType": "AugmentedManifestFile", "S3Uri": f"s3://{workshop.bucket}/batch/"}
    source = {"DataSource": {"S3DataSource": data}}
    with pytest.raises(ClientError, match="not compatible with batch transform"):
        transform(workshop, model, "batch/", source=source)


def test_a_name_in_use_and_one_that_nobody_has(
    workshop: Workshop, model: str, two_objects: dict[str, Any]
) -> None:
    client = workshop.sagemaker
    with pytest.raises(client.exceptions.ResourceInUse, match="Job name must be unique within"):
        client.create_transform_job(
            **transform_job(workshop, two_objects["TransformJobName"], model, "batch/")
        )
    with pytest.raises(ClientError, match="Could not find requested job with name: none"):
        client.describe_transform_job(TransformJobName="none")
    with pytest.raises(ClientError, match="Could not find job to update with name: none"):
        client.stop_transform_job(TransformJobName="none")
