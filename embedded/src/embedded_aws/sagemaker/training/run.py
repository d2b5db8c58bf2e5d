"""A training job's run: fetch the data, run the algorithm in a process of its own, keep its model.

The process sees a folder laid out like ``/opt/ml`` (``training_folder``) and nothing of AWS, as a
container would.

``SAGEMAKER_TRAINING_FAULTS``
    What the first jobs fail of, one after the other: ``CapacityError,InternalServerError``, say.
"""

import logging
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, cast

from embedded_aws.aws import platform
from embedded_aws.aws.platform import LogStream, Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import algorithm_process, job_metrics, roles
from embedded_aws.sagemaker.capacity import instances
from embedded_aws.sagemaker.jobs import REASON_LENGTH, TRAINING, now
from embedded_aws.sagemaker.training.folder import (
    HOST,
    POLL_SECONDS,
    Pipe,
    failure_reason,
    feed,
    fetch_channels,
    has_files,
    prepare,
    upload_model,
    upload_output_data,
)
from embedded_aws.sagemaker.training.jobs import create_training_job, enter, explain

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
SAMPLE_SECONDS = 0.05
JOIN_SECONDS = 5.0
# How long an algorithm may go on after SIGTERM, to save what it has.
# Source: API reference, "StopTrainingJob".
STOP_SECONDS = 120.0
KILLED = 137
# Source of the words: kubeflow/pipelines, the SageMaker components' list of failure reasons.
OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data "
    "processed on an instance."
)

# As quoted in DIAGNijmegen/rse-grand-challenge issue 2631; of the second the words are ours.
REASONS = {
    "CapacityError": "CapacityError: Unable to provision requested ML compute capacity. Please "
    "retry using a different ML instance type.",
    "InternalServerError": "InternalServerError: We encountered an internal error. Try again.",
}
faults = [kind for kind in os.environ.get("SAGEMAKER_TRAINING_FAULTS", "").split(",") if kind]

logger = logging.getLogger(__name__)


class Interrupted(Exception):
    """The job has to end before its time; ``status`` is the secondary status that it ends in."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class TrainingFailed(Exception):
    """The job can't go on; the message is its failure reason."""


def create_and_start(scope: Scope, request: Document) -> Document:
    """CreateTrainingJob, and off it goes."""
    response = create_training_job(scope, request)
    start(scope, request["TrainingJobName"])
    return response


def start(scope: Scope, name: str) -> None:
    """Run a job in the background."""
    TRAINING.run_in_background(scope, name, run, enter)


def run(scope: Scope, job: Document) -> None:
    """Take a job from Starting to its end."""
    name = job["TrainingJobName"]
    try:
        with instances.place(
            waiting=lambda: enter(scope, name, "Pending"), check=lambda: check(job)
        ):
            explain(scope, name, "Preparing the instances for training")
            fail_if_asked()
            run_with_retries(scope.acting_as(job["RoleArn"]), job)
        enter(scope, name, "Completed")
    except Interrupted as interrupted:
        enter(scope, name, interrupted.status)
    except TrainingFailed as error:
        enter(scope, name, "Failed", FailureReason=str(error)[:REASON_LENGTH])


def fail_if_asked() -> None:
    """Fail of the next fault that was asked for."""
    with lock:
        kind = faults.pop(0) if faults else ""
    if kind:
        raise TrainingFailed(REASONS.get(kind, kind))


def run_with_retries(scope: Scope, job: Document) -> None:
    """Run a job, again after an error that isn't the customer's, as its retry strategy says.

    Source: API reference, "RetryStrategy": after an InternalServerError, back to Starting.
    """
    left = (job.get("RetryStrategy") or {}).get("MaximumRetryAttempts", 0)
    while True:
        try:
            with tempfile.TemporaryDirectory(prefix="sagemaker-training-") as folder:
                return run_in(scope, job, Path(folder))
        except (Interrupted, TrainingFailed):
            raise
        except Exception:
            if not left:
                raise
            logger.exception("training job %s is run again", job["TrainingJobName"])
        left -= 1
        enter(scope, job["TrainingJobName"], "Starting")


def run_in(scope: Scope, job: Document, folder: Path) -> None:
    """Do the work in a folder that stands for ``/opt/ml``."""
    name = job["TrainingJobName"]
    if not roles.may_pull_image(scope, job["AlgorithmSpecification"]["TrainingImage"]):
        raise TrainingFailed(f"ClientError: {roles.CANNOT_PULL_IMAGE}")
    check(job)
    started = job.get("TrainingStartTime") or now()
    enter(scope, name, "Downloading", TrainingStartTime=started)
    prepare(folder, job)
    try:
        pipes = fetch_channels(scope, job, folder, lambda: check(job))
    except platform.DataError as error:
        raise TrainingFailed(f"ClientError: Data download failed:{error}") from error
    check(job)
    explain(scope, name, "Downloading the training image")

    enter(scope, name, "Training")
    try:
        run_algorithm(scope, job, folder, pipes)
    except Interrupted:
        # What an algorithm saved when it was told to stop is kept.
        if has_files(folder / "model"):
            keep(scope, job, folder)
        raise
    keep(scope, job, folder)
    # A model that is complete isn't thrown away for its lateness, unless that was asked for.
    if job["TrainingJobStatus"] == "Stopping":
        raise Interrupted("Stopped")


def keep(scope: Scope, job: Document, folder: Path) -> None:
    """Store what the algorithm left."""
    enter(scope, job["TrainingJobName"], "Uploading")
    try:
        upload_output_data(scope, job, folder)
        uri = upload_model(scope, job, folder)
    except platform.DataError as error:
        raise TrainingFailed(f"ClientError: Artifact upload failed:{error}") from error
    if uri is not None:
        with lock:
            job["ModelArtifacts"] = {"S3ModelArtifacts": uri}


def check(job: Document) -> None:
    """Leave off once somebody has asked the job to stop, or its time is up.

    Raises Interrupted: with the status that the job is to end in.
    """
    if job["TrainingJobStatus"] == "Stopping":
        raise Interrupted("Stopped")
    at, condition = now(), job["StoppingCondition"]
    if at > job["CreationTime"] + condition.get("MaxWaitTimeInSeconds", float("inf")):
        raise Interrupted("MaxWaitTimeExceeded")
    if at > job.get("TrainingStartTime", at) + condition["MaxRuntimeInSeconds"]:
        raise Interrupted("MaxRuntimeExceeded")


def run_algorithm(scope: Scope, job: Document, folder: Path, pipes: list[Pipe]) -> None:
    """Run the process to its end, feeding its pipes, keeping its log and metrics."""
    name = job["TrainingJobName"]
    log = LogStream(scope, LOG_GROUP, f"{name}/{HOST}-{int(time.time())}")
    process = algorithm_process.start(["train", str(folder)], folder, environment(job))
    use = job_metrics.Utilisation(
        scope, job_metrics.TRAINING_NAMESPACE, f"{name}/{HOST}", process.pid, folder
    )
    feed_errors: list[Exception] = []
    threads = [threading.Thread(target=keep_log, args=(process, log, job), daemon=True)]
    threads += [
        threading.Thread(target=feed, args=(scope, process, pipe, feed_errors), daemon=True)
        for pipe in pipes
    ]
    try:
        for thread in threads:
            thread.start()
        wait(process, job, use)
    except Interrupted as interrupted:
        if interrupted.status != "Stopped":
            enter(scope, name, "Stopping")
        raise
    finally:
        algorithm_process.end(process, STOP_SECONDS)
        for thread in threads:
            thread.join(JOIN_SECONDS)
        use.publish(use.take())
        publish_metrics(scope, job)
    raise_failure(process.returncode, folder, feed_errors)


def environment(job: Document) -> dict[str, str]:
    """What the process finds in its environment.

    Source: developer guide, "How Amazon SageMaker Runs Your Training Image".
    """
    return {
        **job.get("Environment", {}),
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
    }


def wait(process: subprocess.Popen[bytes], job: Document, use: job_metrics.Utilisation) -> None:
    """Wait for the process, unless the job is to stop or its time is up."""
    sampled = 0.0
    while process.poll() is None:
        check(job)
        if time.monotonic() > sampled + SAMPLE_SECONDS:
            use.sample()
            sampled = time.monotonic()
        time.sleep(POLL_SECONDS)


def raise_failure(returncode: int, folder: Path, feed_errors: list[Exception]) -> None:
    """Raise why a process that has ended has failed, if it has."""
    for error in feed_errors:
        if isinstance(error, platform.DataError | OSError):
            raise TrainingFailed(f"ClientError: Data download failed:{error}") from error
        raise error
    if returncode:
        code = exit_code(returncode)
        reason = failure_reason(folder)
        if not reason:
            reason = OUT_OF_MEMORY if code == KILLED else f"AlgorithmError: , exit code: {code}"
        raise TrainingFailed(reason)


def exit_code(returncode: int) -> int:
    """The exit code that a shell would show: 137 for a process killed by signal 9."""
    return 128 - returncode if returncode < 0 else returncode


def keep_log(process: subprocess.Popen[bytes], log: LogStream, job: Document) -> None:
    """Send the process's output to CloudWatch Logs, and pick the metrics out of it."""
    output = cast(IO[bytes], process.stdout)
    rest = b""
    while block := os.read(output.fileno(), 65536):
        *lines, rest = (rest + block).split(b"\n")
        record(lines, log, job)
    record([rest] if rest else [], log, job)
    output.close()


def record(lines: list[bytes], log: LogStream, job: Document) -> None:
    """Keep complete lines; whatever happens, the process must be able to go on printing."""
    texts = [line.decode("utf-8", "replace") for line in lines if line.strip()]
    definitions = job["AlgorithmSpecification"]["MetricDefinitions"]
    found = [metric for text in texts for metric in job_metrics.find_metrics(text, definitions)]
    if found:
        with lock:
            before = job.get("FinalMetricDataList", [])
            job["FinalMetricDataList"] = job_metrics.last_of_each(before + found)
    log.write(texts)


def publish_metrics(scope: Scope, job: Document) -> None:
    """Put the algorithm's metrics into CloudWatch, where the SDK's analytics look for them.

    Source: aws/sagemaker-python-sdk, ``analytics.TrainingJobAnalytics``.
    """
    job_metrics.publish(
        scope,
        job_metrics.TRAINING_NAMESPACE,
        ("TrainingJobName", job["TrainingJobName"]),
        [
            {"MetricName": metric["MetricName"], "Value": metric["Value"], "Unit": "None"}
            for metric in job.get("FinalMetricDataList", [])
        ],
    )
