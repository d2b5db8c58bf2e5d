"""Hyperparameter tuning jobs: their records, and what clients can ask of them.

How a job searches is in ``tuning_run``. Of each training job that it launched the record keeps a
summary under ``Launched``, so that deleting one loses nothing.
"""

import math
from typing import Any

from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.jobs import TRAINING, TUNING, changed, now
from embedded_aws.sagemaker.listing import list_page, sorted_page
from embedded_aws.sagemaker.tuning.request import (
    check_tuning_job,
    config_with_defaults,
    definition_with_defaults,
    definitions_of,
    objective_of,
)

# How a failed training job counts. Source: API reference, "TrainingJobStatusCounters".
RETRYABLE = "InternalServerError"


def create_tuning_job(scope: Scope, request: Document) -> Document:
    """CreateHyperParameterTuningJob: keep the record; the caller starts the run."""
    check_tuning_job(scope, request)
    name = request["HyperParameterTuningJobName"]
    created = now()
    document: Document = {
        **request,
        "HyperParameterTuningJobConfig": config_with_defaults(
            request["HyperParameterTuningJobConfig"]
        ),
        "HyperParameterTuningJobArn": store.arn(scope, "hyper-parameter-tuning-job", name),
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": created,
        "LastModifiedTime": created,
        "Launched": [],
    }
    if "TrainingJobDefinition" in request:
        document["TrainingJobDefinition"] = definition_with_defaults(
            request, request["TrainingJobDefinition"]
        )
    if "TrainingJobDefinitions" in request:
        document["TrainingJobDefinitions"] = [
            definition_with_defaults(request, definition)
            for definition in request["TrainingJobDefinitions"]
        ]
    response = TUNING.keep(scope, document)
    set_status(scope, name, "InProgress")
    return response


def set_status(scope: Scope, name: str, status: str, **members: Any) -> None:
    """Move a job to a status, with its training jobs counted."""
    with lock:
        job = store.tuning_jobs.get(scope, name)
        if job is not None:
            refresh(scope, job)
    TUNING.set_status(scope, name, status, **members)


def find(scope: Scope, name: str) -> Document:
    """The job of that name.

    Source of code and words: aws/amazon-sagemaker-operator-for-k8s, clientwrapper.
    """
    job = store.tuning_jobs.get(scope, name)
    if job is None:
        raise ServiceError(
            "ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}."
        )
    return job


def refresh(scope: Scope, job: Document) -> None:
    """Bring the summaries of a job's training jobs up to date, and what is made of them."""
    for summary in job["Launched"]:
        if summary["ObjectiveStatus"] != "Pending":
            continue
        training_job = store.training_jobs.get(scope, summary["TrainingJobName"])
        if training_job is None:
            # Deleted before anybody looked what came of it.
            summary.update(TrainingJobStatus="Stopped", ObjectiveStatus="Failed")
            continue
        for member in (
            "TrainingJobStatus",
            "TrainingStartTime",
            "TrainingEndTime",
            "FailureReason",
        ):
            if member in training_job:
                summary[member] = training_job[member]
        metric = objective_metric(training_job, summary["Objective"])
        if metric is not None:
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = metric
        if TRAINING.has_ended(training_job):
            summary["ObjectiveStatus"] = "Failed" if metric is None else "Succeeded"
    job.update(results(job))


def objective_metric(training_job: Document, objective: Document) -> Document | None:
    """The value of the objective that a training job has reported, if it can be compared."""
    for metric in training_job.get("FinalMetricDataList", []):
        if metric["MetricName"] == objective["MetricName"] and math.isfinite(metric["Value"]):
            return {"MetricName": metric["MetricName"], "Value": metric["Value"]}
    return None


def goodness(summary: Document) -> float:
    """The objective value of a training job: the higher, the better."""
    value: float = summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    return value if summary["Objective"]["Type"] == "Maximize" else -value


def succeeded(job: Document) -> list[Document]:
    """The training jobs that completed with an objective value, in the order of their launch."""
    return [
        summary
        for summary in job["Launched"]
        if summary["TrainingJobStatus"] == "Completed" and summary["ObjectiveStatus"] == "Succeeded"
    ]


def best(summaries: list[Document]) -> Document | None:
    """The best of training jobs; of those with different objectives, among the first's."""
    if not summaries:
        return None
    objective = summaries[0]["Objective"]
    return max((item for item in summaries if item["Objective"] == objective), key=goodness)


def not_improving(job: Document) -> int:
    """How many training jobs have ended since one improved on the best by more than 1 %.

    Source: API reference, "BestObjectiveNotImproving".
    """
    reached, count = None, 0
    for summary in sorted(succeeded(job), key=lambda item: float(item["TrainingEndTime"])):
        value = goodness(summary)
        if reached is None or value > reached + 0.01 * abs(reached):
            reached, count = value, 0
        else:
            count += 1
    return count


def results(job: Document) -> Document:
    """What Describe shows of a job's training jobs."""
    launched: list[Document] = job["Launched"]
    statuses = [summary["TrainingJobStatus"] for summary in launched]
    failures = [item.get("FailureReason", "") for item in launched if failed(item)]
    retryable = sum(reason.startswith(RETRYABLE) for reason in failures)
    objectives = [summary["ObjectiveStatus"] for summary in launched]
    ended = job.get("HyperParameterTuningEndTime", now())
    return {
        "TrainingJobStatusCounters": {
            "Completed": statuses.count("Completed"),
            "InProgress": statuses.count("InProgress") + statuses.count("Stopping"),
            "RetryableError": retryable,
            "NonRetryableError": len(failures) - retryable,
            "Stopped": statuses.count("Stopped"),
        },
        "ObjectiveStatusCounters": {
            status: objectives.count(status) for status in ("Succeeded", "Pending", "Failed")
        },
        "BestTrainingJob": best(succeeded(job)),
        "TuningJobCompletionDetails": {
            "NumberOfTrainingJobsObjectiveNotImproving": not_improving(job)
        },
        "ConsumedResources": {"RuntimeInSeconds": int(ended - job["CreationTime"])},
    }


def failed(summary: Document) -> bool:
    """Whether a training job has failed."""
    return bool(summary["TrainingJobStatus"] == "Failed")


def describe_tuning_job(scope: Scope, request: Document) -> Document:
    """DescribeHyperParameterTuningJob."""
    with lock:
        job = find(scope, request["HyperParameterTuningJobName"])
        refresh(scope, job)
        return {**job, "OverallBestTrainingJob": overall_best(scope, job)}


def overall_best(scope: Scope, job: Document) -> Document | None:
    """The best training job of a warm start and its parents.

    Source: API reference, "DescribeHyperParameterTuningJob": for IdenticalDataAndAlgorithm only.
    """
    warm_start = job.get("WarmStartConfig", {})
    if warm_start.get("WarmStartType") != "IdenticalDataAndAlgorithm":
        return None
    candidates = [
        {**summary, "TuningJobName": source["HyperParameterTuningJobName"]}
        for source in [job, *parents(scope, job)]
        for summary in succeeded(source)
    ]
    return best(candidates)


def parents(scope: Scope, job: Document) -> list[Document]:
    """The tuning jobs that a warm start begins with, but for those deleted since."""
    listed = job.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
    found = (store.tuning_jobs.get(scope, item["HyperParameterTuningJobName"]) for item in listed)
    return [parent for parent in found if parent is not None]


def stop_tuning_job(scope: Scope, request: Document) -> Document:
    """StopHyperParameterTuningJob: the run sees the status and stops its training jobs."""
    return TUNING.stop(scope, find(scope, request["HyperParameterTuningJobName"]), set_status)


def delete_tuning_job(scope: Scope, request: Document) -> Document:
    """DeleteHyperParameterTuningJob; its training jobs and what they left stay."""
    with changed:
        job = find(scope, request["HyperParameterTuningJobName"])
        if not TUNING.has_ended(job):
            raise ServiceError(
                "ResourceInUse",
                f"The hyperparameter tuning job {request['HyperParameterTuningJobName']} is in "
                f"status {job[TUNING.status]}: only one that has ended can be deleted",
            )
        store.tuning_jobs.delete(scope, request["HyperParameterTuningJobName"])
        store.tags.delete(scope, job["HyperParameterTuningJobArn"])
    return {}


def list_tuning_jobs(scope: Scope, request: Document) -> Document:
    """ListHyperParameterTuningJobs."""
    with lock:
        jobs = store.tuning_jobs.all(scope)
        for job in jobs:
            refresh(scope, job)
        summaries = [
            {
                **job,
                "Strategy": job["HyperParameterTuningJobConfig"]["Strategy"],
                "ResourceLimits": job["HyperParameterTuningJobConfig"]["ResourceLimits"],
            }
            for job in jobs
        ]
    page, token = list_page(
        request,
        summaries,
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobStatus",
        default_order="Ascending",
        default_sort="Name",
    )
    return {"HyperParameterTuningJobSummaries": page, "NextToken": token}


def list_training_jobs_of(scope: Scope, request: Document) -> Document:
    """ListTrainingJobsForHyperParameterTuningJob."""
    with lock:
        job = find(scope, request["HyperParameterTuningJobName"])
        refresh(scope, job)
        launched = [dict(summary) for summary in job["Launched"]]
    status, sort_by = request.get("StatusEquals"), request.get("SortBy")
    found = [item for item in launched if status in (None, item["TrainingJobStatus"])]
    if sort_by == "FinalObjectiveMetricValue":
        found = [item for item in found if item["ObjectiveStatus"] == "Succeeded"]
        for item in found:
            metric = item["FinalHyperParameterTuningJobObjectiveMetric"]
            item["FinalObjectiveMetricValue"] = metric["Value"]
    page, token = sorted_page(
        request,
        found,
        "TrainingJobName",
        "TrainingJobStatus",
        default_order="Ascending",
        default_sort="Name",
    )
    return {"TrainingJobSummaries": page, "NextToken": token}


def summary_of(
    job: Document, number: int, name: str, arn: str, combination: dict[str, str]
) -> Document:
    """The summary of a training job that is launched for a definition."""
    definition = definitions_of(job)[number]
    return {
        "TrainingJobDefinitionName": definition.get("DefinitionName"),
        "TrainingJobName": name,
        "TrainingJobArn": arn,
        "CreationTime": now(),
        "TrainingJobStatus": "InProgress",
        "TunedHyperParameters": combination,
        "ObjectiveStatus": "Pending",
        "Objective": objective_of(job, definition),
        "Definition": number,
    }
