"""A tuning job's run: launch training jobs, learn from what they report, stop when it's enough."""

import uuid

from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import store, tagging
from embedded_aws.sagemaker.jobs import TUNING, changed, now
from embedded_aws.sagemaker.training import run as training_run
from embedded_aws.sagemaker.training.jobs import keep_training_job, stop_training_job
from embedded_aws.sagemaker.training.request import with_defaults
from embedded_aws.sagemaker.tuning.jobs import (
    best,
    create_tuning_job,
    failed,
    goodness,
    not_improving,
    parents,
    refresh,
    set_status,
    succeeded,
    summary_of,
)
from embedded_aws.sagemaker.tuning.ranges import Range
from embedded_aws.sagemaker.tuning.request import (
    definitions_of,
    job_limit,
    ranges_of,
    training_request,
)
from embedded_aws.sagemaker.tuning.search import Search, Trial, make_search

POLL_SECONDS = 1.0
FAILURES_ALLOWED = 5


def create_and_start(scope: Scope, request: Document) -> Document:
    """CreateHyperParameterTuningJob, and off it goes."""
    response = create_tuning_job(scope, request)
    TUNING.run_in_background(scope, request["HyperParameterTuningJobName"], run, set_status)
    return response


def run(scope: Scope, job: Document) -> None:
    """Take a job to its end."""
    TuningRun(scope, job).to_end()


class TuningRun:
    """One tuning job while it runs."""

    def __init__(self, scope: Scope, job: Document) -> None:
        self.scope = scope
        self.job = job
        self.name: str = job["HyperParameterTuningJobName"]
        self.config: Document = job["HyperParameterTuningJobConfig"]
        self.limit = job_limit(job)
        self.ranges = [ranges_of(job, definition) for definition in definitions_of(job)]
        self.searches: list[Search | None] = [
            make_search(self.config["Strategy"], ranges, self.config.get("RandomSeed"))
            for ranges in self.ranges
        ]
        self.turn = -1

    def to_end(self) -> None:
        """Launch training jobs as long as that makes sense; then let those that run end."""
        while self.wants_more():
            while self.has_room() and self.launch():
                pass
            if not self.running() and not any(self.searches):
                break
            self.wait()
        self.stop_running()
        while self.running():
            self.wait()
        status, reason = self.outcome()
        set_status(self.scope, self.name, status, **({"FailureReason": reason} if reason else {}))

    def wait(self) -> None:
        """Wait until a training job may have ended, or the tuning job is to stop."""
        with changed:
            if self.running():
                changed.wait(POLL_SECONDS)

    def running(self) -> list[Document]:
        """The training jobs that haven't ended."""
        with lock:
            refresh(self.scope, self.job)
            return [item for item in self.job["Launched"] if item["ObjectiveStatus"] == "Pending"]

    def is_stopping(self) -> bool:
        """Whether somebody has asked the job to stop."""
        return bool(self.job[TUNING.status] == "Stopping")

    def wants_more(self) -> bool:
        """Whether to go on: nobody and no limit or criterion says to leave off."""
        running = self.running()
        launched: list[Document] = self.job["Launched"]
        return not (
            self.is_stopping()
            or store.tuning_jobs.get(self.scope, self.name) is not self.job
            or self.has_met_criteria()
            or self.has_failed_too_often()
            or self.is_out_of_time()
            or (len(launched) >= self.limit and not running)
        )

    def has_room(self) -> bool:
        """Whether another training job may be launched now."""
        limits = self.config["ResourceLimits"]
        return (
            len(self.job["Launched"]) < self.limit
            and len(self.running()) < limits["MaxParallelTrainingJobs"]
        )

    def has_met_criteria(self) -> bool:
        """Whether the best job is good enough, or none has been better for long.

        Source: developer guide, "Track and set completion criteria for your tuning job". How
        SageMaker detects convergence isn't documented; here it is never detected.
        """
        criteria = self.config.get("TuningJobCompletionCriteria", {})
        target = criteria.get("TargetObjectiveMetricValue")
        patience = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        winner = best(succeeded(self.job))
        if target is not None and winner is not None:
            sign = 1 if winner["Objective"]["Type"] == "Maximize" else -1
            if goodness(winner) >= sign * target:
                return True
        return patience is not None and not_improving(self.job) >= patience

    def has_failed_too_often(self) -> bool:
        """Whether the first training jobs have all failed."""
        failures = sum(failed(item) for item in self.job["Launched"])
        return failures >= FAILURES_ALLOWED and not succeeded(self.job)

    def is_out_of_time(self) -> bool:
        """Whether the job has run as long as it may."""
        limits = self.config["ResourceLimits"]
        longest = limits.get("MaxRuntimeInSeconds", float("inf"))
        return bool(now() > self.job["CreationTime"] + longest)

    def launch(self) -> bool:
        """Launch one training job; False when every combination has been tried.

        Several definitions take turns.
        """
        for _ in self.searches:
            number = self.turn = (self.turn + 1) % len(self.searches)
            search = self.searches[number]
            if search is None:
                continue
            combination = search.propose(self.trials(number), self.unfinished(number))
            if combination is not None:
                self.start(number, combination)
                return True
            self.searches[number] = None
        return False

    def trials(self, number: int) -> list[Trial]:
        """What is known of a definition's combinations, from parents of a warm start too."""
        own = [item for item in succeeded(self.job) if item["Definition"] == number]
        inherited = [item for parent in parents(self.scope, self.job) for item in succeeded(parent)]
        return [
            (item["TunedHyperParameters"], goodness(item))
            for item in own + inherited
            if fits(item["TunedHyperParameters"], self.ranges[number])
        ]

    def unfinished(self, number: int) -> list[dict[str, str]]:
        """The combinations of a definition that are being tried."""
        return [
            item["TunedHyperParameters"] for item in self.running() if item["Definition"] == number
        ]

    def start(self, number: int, combination: dict[str, str]) -> None:
        """Create a training job with a combination, and start it.

        Source of the name's form: training jobs of tuning jobs, ``<tuning job>-001-0f0444b1``.
        """
        definition = definitions_of(self.job)[number]
        ordinal = len(self.job["Launched"]) + 1
        name = f"{self.name}-{ordinal:03}-{uuid.uuid4().hex[:8]}"
        tags = tagging.tags_of(self.scope, self.job["HyperParameterTuningJobArn"])
        request = {
            **training_request(definition),
            "TrainingJobName": name,
            "HyperParameters": {**definition["StaticHyperParameters"], **combination},
            "Tags": tagging.as_list(tags),
        }
        response = keep_training_job(
            self.scope, with_defaults(request), TuningJobArn=self.job["HyperParameterTuningJobArn"]
        )
        with lock:
            self.job["Launched"].append(
                summary_of(self.job, number, name, response["TrainingJobArn"], combination)
            )
        training_run.start(self.scope, name)

    def stop_running(self) -> None:
        """Stop the training jobs that still run."""
        for item in self.running():
            try:
                stop_training_job(self.scope, {"TrainingJobName": item["TrainingJobName"]})
            except ServiceError:
                # It ended in this very moment.
                pass

    def outcome(self) -> tuple[str, str | None]:
        """The status that the job ends in, and why if it failed.

        Source of the words: what users report of failed tuning jobs of built-in algorithms.
        """
        if self.is_stopping():
            return "Stopped", None
        if succeeded(self.job):
            return "Completed", None
        if self.has_failed_too_often():
            return "Failed", (
                f"No training job succeeded after {FAILURES_ALLOWED} attempts. For additional "
                "details, please take a look at the training job failures by listing training "
                "jobs for the hyperparameter tuning job."
            )
        return "Failed", (
            "All training jobs failed. Please take a look at the training job failures to get "
            "more details."
        )


def fits(combination: dict[str, str], ranges: list[Range]) -> bool:
    """Whether a combination, a parent's say, can be placed within the ranges."""
    try:
        for item in ranges:
            item.position(combination[item.name])
    except (KeyError, ValueError):
        return False
    return True
