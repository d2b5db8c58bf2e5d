"""Training jobs: their records, and what clients can ask of them.

What a job does while it runs is in ``training_run``.
"""

import threading
import time
from typing import Any

from local.sagemaker import platform, protocol, store, tagging
from local.sagemaker.errors import ServiceError, validation_error
from local.sagemaker.image import require_known_image
from local.sagemaker.listing import list_page
from local.sagemaker.platform import Scope
from local.sagemaker.store import Document

FINAL = ("Completed", "Failed", "Stopped")
DEFAULT_MAX_RUNTIME = 86400

# What the console and the SDKs' logs show beside each secondary status.
STATUS_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Failed": "Training job failed",
}

changed = threading.Condition(store.lock)
"""Notified whenever a job's status changes."""


def create_training_job(scope: Scope, request: Document) -> Document:
    """CreateTrainingJob: keep the record; the caller starts the run."""
    check_algorithm(request)
    for channel in request.get("InputDataConfig", []):
        check_channel(scope, channel, request["RoleArn"])
    name = request["TrainingJobName"]
    arn = scope.arn("training-job", name)
    now = time.time()
    document: Document = {
        **request,
        "TrainingJobArn": arn,
        "ModelArtifacts": {"S3ModelArtifacts": artefact_uri(request)},
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "",
        "CreationTime": now,
        "LastModifiedTime": now,
        "SecondaryStatusTransitions": [],
        "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
        "EnableInterContainerTrafficEncryption": request.get(
            "EnableInterContainerTrafficEncryption", False
        ),
        "EnableManagedSpotTraining": request.get("EnableManagedSpotTraining", False),
        "HyperParameters": request.get("HyperParameters", {}),
        "StoppingCondition": {
            "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME,
            **request.get("StoppingCondition", {}),
        },
    }
    document.pop("Tags", None)
    with store.lock:
        if store.training_jobs.get(scope, name):
            raise ServiceError(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, and a "
                f"training job with this name already exists ({arn})",
            )
        store.training_jobs.put(scope, name, document)
        tagging.set_tags(scope, arn, request.get("Tags", []))
    enter(scope, name, "Starting")
    return {"TrainingJobArn": arn}


def check_algorithm(request: Document) -> None:
    """Refuse what is not a job of the built-in k-NN on one or more instances."""
    algorithm = request.get("AlgorithmSpecification", {})
    require_known_image(algorithm.get("TrainingImage"))
    if not request.get("ResourceConfig"):
        raise validation_error("ResourceConfig is required")
    if not request.get("OutputDataConfig", {}).get("S3OutputPath", "").startswith("s3://"):
        raise validation_error("OutputDataConfig.S3OutputPath must be an S3 URL")
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(names)) != len(names):
        raise validation_error("Channel names must be unique within a training job")


def check_channel(scope: Scope, channel: Document, role: str) -> None:
    """Refuse a channel whose data isn't there, in SageMaker's words."""
    source = channel["DataSource"].get("S3DataSource")
    if source is None or source["S3DataType"] != "S3Prefix":
        raise validation_error(
            f"The embedded SageMaker reads channels of S3DataType S3Prefix only, "
            f"not {channel['ChannelName']!r}"
        )
    uri = source["S3Uri"]
    try:
        found = platform.list_keys(scope.acting_as(role), uri)
    except platform.DataError:
        found = []
    if not found:
        bucket = uri.removeprefix("s3://").partition("/")[0]
        raise validation_error(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure '
            f"that the bucket exists in the selected region ({scope.region}), that objects exist "
            f'under that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions '
            f'on bucket "{bucket}".'
        )


def artefact_uri(request: Document) -> str:
    """Where the artefact of a job goes."""
    folder = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return f"{folder}/{request['TrainingJobName']}/output/model.tar.gz"


def enter(scope: Scope, name: str, secondary: str, **members: Any) -> None:
    """Move a job on to a secondary status, with whatever else changes; tell who waits and listens.

    A job that has ended stays as it ended.
    """
    with changed:
        job = find(scope, name)
        if job["TrainingJobStatus"] in FINAL:
            return
        now = time.time()
        transitions = job["SecondaryStatusTransitions"]
        if transitions:
            transitions[-1]["EndTime"] = now
        transition = {
            "Status": secondary,
            "StartTime": now,
            "StatusMessage": members.get("FailureReason", STATUS_MESSAGES[secondary]),
        }
        job.update(members, SecondaryStatus=secondary, LastModifiedTime=now)
        if secondary in ("Completed", "Failed", "Stopping", "Stopped"):
            job["TrainingJobStatus"] = secondary
        elif secondary == "MaxRuntimeExceeded":
            job["TrainingJobStatus"] = "Stopped"
        if job["TrainingJobStatus"] in FINAL:
            transition["EndTime"] = now
            job["TrainingEndTime"] = now
            if "TrainingStartTime" in job:
                seconds = max(1, round(now - job["TrainingStartTime"]))
                job["TrainingTimeInSeconds"] = job["BillableTimeInSeconds"] = seconds
        transitions.append(transition)
        event = event_detail(job)
        changed.notify_all()
    platform.publish_event(
        scope, "SageMaker Training Job State Change", job["TrainingJobArn"], event
    )


def event_detail(job: Document) -> Document:
    """The detail of a state change event.

    Source: developer guide, "Automating Amazon SageMaker with Amazon EventBridge".
    """
    return {**in_milliseconds(job), "Tags": {}}


def in_milliseconds(job: Document) -> Document:
    """The Describe answer with times in epoch milliseconds, as events and tasks have it."""
    shape = protocol.operation_model("DescribeTrainingJob").output_shape
    answer: Document = protocol.timestamps_in_milliseconds(job, shape) if shape else {}
    return answer


def find(scope: Scope, name: str) -> Document:
    """The job of that name.

    The words are those that clients look for (aws/amazon-sagemaker-examples issue 2360); the
    code is ``ValidationException`` although the model declares ``ResourceNotFound``
    (aws/aws-sdk issue 165).
    """
    job = store.training_jobs.get(scope, name)
    if job is None:
        raise validation_error("Requested resource not found.")
    return job


def describe_training_job(scope: Scope, request: Document) -> Document:
    """DescribeTrainingJob; the artefact shows once there is one."""
    job = dict(find(scope, request["TrainingJobName"]))
    if job["TrainingJobStatus"] != "Completed":
        job["ModelArtifacts"] = {}
    return job


def stop_training_job(scope: Scope, request: Document) -> Document:
    """StopTrainingJob: the run sees the status and ends its process."""
    with store.lock:
        job = find(scope, request["TrainingJobName"])
        if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            raise validation_error(
                "The request was rejected because the training job is in status "
                f"{job['TrainingJobStatus']}."
            )
        stopping = job["TrainingJobStatus"] == "Stopping"
    if not stopping:
        enter(scope, request["TrainingJobName"], "Stopping")
    return {}


def list_training_jobs(scope: Scope, request: Document) -> Document:
    """ListTrainingJobs."""
    page, token = list_page(
        request,
        store.training_jobs.all(scope),
        "TrainingJobName",
        "TrainingJobStatus",
        default_order="Ascending",
    )
    return {"TrainingJobSummaries": page, "NextToken": token}


def wait_until_ended(scope: Scope, name: str, timeout: float) -> Document | None:
    """Wait up to ``timeout`` seconds for a job's end; its Describe answer, or None until then."""
    with changed:
        changed.wait_for(lambda: find(scope, name)["TrainingJobStatus"] in FINAL, timeout)
        ended = find(scope, name)["TrainingJobStatus"] in FINAL
    return describe_training_job(scope, {"TrainingJobName": name}) if ended else None
