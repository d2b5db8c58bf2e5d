"""Training jobs: their records, and what clients can ask of them.

What a job does while it runs is in ``training_run``.
"""

from typing import Any

from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.jobs import FINAL, TRAINING, changed, now
from embedded_aws.sagemaker.listing import matches, named, sorted_page
from embedded_aws.sagemaker.training.request import check_training_job, with_defaults

# What the console and the SDKs' logs show beside each secondary status.
STATUS_MESSAGES = {
    "Starting": "Starting the training job",
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job runtime exceeded MaxWaitTimeInSeconds provided",
    "Failed": "Training job failed",
}
# The status that goes with a secondary status, where it isn't the same as before.
STATUS_OF = {
    "Completed": "Completed",
    "Failed": "Failed",
    "Stopping": "Stopping",
    "Stopped": "Stopped",
    "MaxRuntimeExceeded": "Stopped",
    "MaxWaitTimeExceeded": "Stopped",
}


def create_training_job(scope: Scope, request: Document, **members: Any) -> Document:
    """CreateTrainingJob: keep the record; the caller starts the run.

    ``members`` are what Describe shows of a job besides, ``TuningJobArn`` say.
    """
    check_training_job(scope, request)
    return keep_training_job(scope, with_defaults(request), **members)


def keep_training_job(scope: Scope, request: Document, **members: Any) -> Document:
    """Keep the record of a job whose request has been checked and completed."""
    name = request["TrainingJobName"]
    created = now()
    document: Document = {
        **request,
        **members,
        "TrainingJobArn": store.arn(scope, "training-job", name),
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "",
        "CreationTime": created,
        "LastModifiedTime": created,
        "SecondaryStatusTransitions": [],
    }
    response = TRAINING.keep(scope, document)
    enter(scope, name, "Starting")
    return response


def output_uri(job: Document, name: str) -> str:
    """Where something that a job leaves goes, ``model.tar.gz`` say."""
    folder = job["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return f"{folder}/{job['TrainingJobName']}/output/{name}"


def enter(scope: Scope, name: str, secondary: str, **members: Any) -> None:
    """Move a job on to a secondary status, with whatever else changes; tell who waits and listens.

    A job that has ended stays as it ended, and one that was deleted is forgotten.
    """
    with changed:
        job = store.training_jobs.get(scope, name)
        if job is None or TRAINING.has_ended(job):
            return
        at = now()
        transitions = job["SecondaryStatusTransitions"]
        if transitions:
            transitions[-1]["EndTime"] = at
        transition = {
            "Status": secondary,
            "StartTime": at,
            "StatusMessage": members.get("FailureReason", STATUS_MESSAGES[secondary]),
        }
        job.update(members, SecondaryStatus=secondary, LastModifiedTime=at)
        job["TrainingJobStatus"] = STATUS_OF.get(secondary, job["TrainingJobStatus"])
        if TRAINING.has_ended(job):
            transition["EndTime"] = at
            job["TrainingEndTime"] = at
            if "TrainingStartTime" in job:
                seconds = max(1, round(at - job["TrainingStartTime"]))
                job["TrainingTimeInSeconds"] = job["BillableTimeInSeconds"] = seconds
        transitions.append(transition)
        detail = TRAINING.event_detail(scope, job)
        changed.notify_all()
    TRAINING.announce(scope, job, detail)


def explain(scope: Scope, name: str, message: str) -> None:
    """Show another message beside the secondary status that a job is in."""
    with changed:
        job = store.training_jobs.get(scope, name)
        if job is not None and not TRAINING.has_ended(job):
            job["SecondaryStatusTransitions"][-1]["StatusMessage"] = message
            job["LastModifiedTime"] = now()


def find(scope: Scope, name: str) -> Document:
    """The job of that name.

    The words are those that clients look for (aws/amazon-sagemaker-examples issue 2360); the
    code is ``ValidationException`` although the model declares ``ResourceNotFound``
    (aws/aws-sdk issue 165, aws/amazon-sagemaker-operator-for-k8s clientwrapper).
    """
    job = store.training_jobs.get(scope, name)
    if job is None:
        raise validation_error("Requested resource not found.")
    return job


def describe_training_job(scope: Scope, request: Document) -> Document:
    """DescribeTrainingJob.

    Without hyperparameters there is no such member: aws/sagemaker-python-sdk issue 657.
    """
    with lock:
        job = find(scope, request["TrainingJobName"])
        hyperparameters = job["HyperParameters"] or None
        return {**job, "HyperParameters": hyperparameters, "WarmPoolStatus": warm_pool_status(job)}


def warm_pool_status(job: Document) -> Document | None:
    """What has become of the instances that a job is to keep; None if it keeps none.

    Source: developer guide, "Train Using SageMaker Managed Warm Pools". Here no later job finds
    them any faster, so none is ever said to reuse them.
    """
    seconds = (job.get("ResourceConfig") or {}).get("KeepAlivePeriodInSeconds")
    if not seconds:
        return None
    if not TRAINING.has_ended(job):
        return {"Status": "InUse"}
    kept = now() - job["TrainingEndTime"]
    if kept < seconds:
        return {"Status": "Available"}
    return {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": seconds}


def stop_training_job(scope: Scope, request: Document) -> Document:
    """StopTrainingJob: the run sees the status and ends its process."""
    return TRAINING.stop(scope, find(scope, request["TrainingJobName"]), enter)


def update_training_job(scope: Scope, request: Document) -> Document:
    """UpdateTrainingJob: profiling while the job runs, and how long its instances are kept."""
    changes: Document = {
        member: request[member]
        for member in ("ProfilerConfig", "ProfilerRuleConfigurations", "RemoteDebugConfig")
        if member in request
    }
    with changed:
        job = find(scope, request["TrainingJobName"])
        if changes and TRAINING.has_ended(job):
            raise validation_error(
                f"{', '.join(changes)} of a training job in status {job['TrainingJobStatus']} "
                "can't be updated"
            )
        if "ResourceConfig" in request:
            if job["TrainingJobStatus"] in FINAL and not holds_warm_pool(job):
                raise validation_error(
                    "KeepAlivePeriodInSeconds can only be updated while the job runs or its warm "
                    "pool is Available"
                )
            job["ResourceConfig"] = {**job["ResourceConfig"], **request["ResourceConfig"]}
        job.update(changes)
        if "ProfilerConfig" in changes:
            disabled = request["ProfilerConfig"].get("DisableProfiler")
            job["ProfilingStatus"] = "Disabled" if disabled else "Enabled"
        job["LastModifiedTime"] = now()
        return {"TrainingJobArn": job["TrainingJobArn"]}


def holds_warm_pool(job: Document) -> bool:
    """Whether instances of an ended job are still kept."""
    return (warm_pool_status(job) or {}).get("Status") == "Available"


def delete_training_job(scope: Scope, request: Document) -> Document:
    """DeleteTrainingJob; what it left in S3 and in the logs stays."""
    name = request["TrainingJobName"]
    with changed:
        job = find(scope, name)
        if not TRAINING.has_ended(job):
            raise ServiceError(
                "ResourceInUse",
                f"The training job {name} is in status {job['TrainingJobStatus']}: only one that "
                "has ended can be deleted",
            )
        if holds_warm_pool(job):
            raise ServiceError(
                "ResourceInUse",
                f"The training job {name} retains an Available warm pool: update its "
                "KeepAlivePeriodInSeconds to 0 first",
            )
        store.training_jobs.delete(scope, name)
        store.tags.delete(scope, job["TrainingJobArn"])
    return {}


def list_training_jobs(scope: Scope, request: Document) -> Document:
    """ListTrainingJobs.

    With MaxResults, StatusEquals filters what is on a page, as NameContains always does.
    Source: API reference, "ListTrainingJobs".
    """
    with lock:
        jobs = [
            {**job, "WarmPoolStatus": warm_pool_status(job)}
            for job in store.training_jobs.all(scope)
        ]
    page_first = "MaxResults" in request
    found = [job for job in jobs if is_listed(request, job, not page_first)]
    page, token = sorted_page(
        request, found, "TrainingJobName", "TrainingJobStatus", default_order="Ascending"
    )
    page = [job for job in page if is_listed(request, job, True)]
    return {"TrainingJobSummaries": named(request, page, "TrainingJobName"), "NextToken": token}


def is_listed(request: Document, job: Document, by_status: bool) -> bool:
    """Whether a job passes the filters of a List request, that by status included or not."""
    plan, pool = request.get("TrainingPlanArnEquals"), request.get("WarmPoolStatusEquals")
    return (
        matches(request, job, "TrainingJobStatus" if by_status else None)
        and plan in (None, job["ResourceConfig"].get("TrainingPlanArn"))
        and pool in (None, (job["WarmPoolStatus"] or {}).get("Status"))
    )
