"""What training, tuning and transform jobs share: statuses, events, and waiting for the end."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded_aws.aws import platform, protocol
from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, Table, lock
from embedded_aws.sagemaker import store, tagging
from embedded_aws.sagemaker.requests import SERVICE

FINAL = ("Completed", "Failed", "Stopped")
REASON_LENGTH = 1024

logger = logging.getLogger(__name__)

changed = threading.Condition(lock)
"""Notified whenever the status of a job changes, or a place to run one becomes free."""


def now() -> float:
    """The present in epoch seconds, to the millisecond, as SageMaker keeps times."""
    return round(time.time(), 3)


@dataclass(frozen=True)
class JobKind:
    """A kind of job: its table, and what the API calls things.

    ``kind`` is the part of the names of members that all have, ``TrainingJob``. ``in_use`` are the
    words for a second job of one name.
    """

    kind: str
    table: Table
    spoken: str
    event: str
    end_time: str
    in_use: str

    @property
    def name(self) -> str:
        """The member that holds a job's name."""
        return f"{self.kind}Name"

    @property
    def arn(self) -> str:
        """The member that holds a job's ARN."""
        return f"{self.kind}Arn"

    @property
    def status(self) -> str:
        """The member that holds a job's status."""
        return f"{self.kind}Status"

    def keep(self, scope: Scope, document: Document) -> Document:
        """Keep the record of a new job, with its tags; the answer to the Create request.

        Raises ServiceError: ResourceInUse for a second job of one name.
        """
        tags = document.pop("Tags", [])
        name, arn = document[self.name], document[self.arn]
        with lock:
            # Names that differ by case have one ARN, and so would share their tags.
            if any(job[self.arn] == arn for job in self.table.all(scope)):
                raise self.name_in_use(document)
            self.table.put(scope, name, document)
            tagging.set_tags(scope, arn, tags)
        return {self.arn: arn}

    def set_status(self, scope: Scope, name: str, status: str, **members: Any) -> None:
        """Move a job to a status, with whatever else changes; tell who waits and listens.

        A job that has ended stays as it ended, and one that is gone is forgotten.
        """
        with changed:
            job = self.table.get(scope, name)
            if job is None or self.has_ended(job):
                return
            at = now()
            job.update(members, **{self.status: status}, LastModifiedTime=at)
            if self.has_ended(job):
                job[self.end_time] = at
            detail = self.event_detail(scope, job)
            changed.notify_all()
        self.announce(scope, job, detail)

    def run_in_background(
        self,
        scope: Scope,
        name: str,
        work: Callable[[Scope, Document], None],
        set_status: Callable[..., None],
    ) -> None:
        """Let ``work`` take a job to its end; whatever it raises instead fails the job.

        Nobody else would see it, and without an end the job, and who waits for it, would hang.
        """
        job = self.table.get(scope, name)

        def run() -> None:
            try:
                if job is not None:
                    work(scope, job)
            except Exception as error:
                logger.exception("%s job %s", self.spoken, name)
                reason = f"InternalServerError: {type(error).__name__}: {error}"
                set_status(scope, name, "Failed", FailureReason=reason[:REASON_LENGTH])

        threading.Thread(target=run, name=f"{self.kind}-{name}", daemon=True).start()

    def has_ended(self, job: Document) -> bool:
        """Whether a job will change no more."""
        return job[self.status] in FINAL

    def in_milliseconds(self, job: Document) -> Document:
        """The Describe answer with times in epoch milliseconds, as events and tasks have it."""
        shape = protocol.operation_model(SERVICE, f"Describe{self.kind}").output_shape
        answer: Document = protocol.timestamps_in_milliseconds(job, shape) if shape else {}
        return answer

    def event_detail(self, scope: Scope, job: Document) -> Document:
        """The detail of a state change event: the Describe answer, and the job's tags.

        Source: developer guide, "Automating Amazon SageMaker with Amazon EventBridge"; tags as a
        map in such an event in what Step Functions made of one.
        """
        return {**self.in_milliseconds(job), "Tags": tagging.tags_of(scope, job[self.arn])}

    def announce(self, scope: Scope, job: Document, detail: Document) -> None:
        """Publish a change of a job's state, taken down as ``detail`` when it happened."""
        platform.publish_event(scope, "aws.sagemaker", self.event, job[self.arn], detail)

    def wait_until_ended(self, job: Document, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a job's end; whether it has ended by then."""
        with changed:
            return changed.wait_for(lambda: self.has_ended(job), timeout)

    def require_stoppable(self, job: Document) -> None:
        """Refuse to stop a job that has ended.

        Source of the words: clients look for them in training and transform jobs' errors
        (kubeflow/pipelines, the SageMaker components' ``_stop_running_jobs``).
        """
        if self.has_ended(job):
            raise validation_error(
                f"The request was rejected because the {self.spoken} job is in status "
                f"{job[self.status]}."
            )

    def stop(self, scope: Scope, job: Document, set_status: Callable[..., None]) -> Document:
        """Move a job that runs to Stopping, which its run sees; the answer to the Stop request."""
        with lock:
            self.require_stoppable(job)
            stopping = job[self.status] == "Stopping"
        if not stopping:
            set_status(scope, job[self.name], "Stopping")
        return {}

    def name_in_use(self, job: Document) -> ServiceError:
        """The error for a second job of one name."""
        return ServiceError(
            "ResourceInUse", self.in_use.format(name=job[self.name], arn=job[self.arn])
        )


# Source of the three wordings: aws/amazon-sagemaker-examples pull request 3108 and issue 2440; that
# of transform jobs is what clients quote of processing jobs, which share no words with training.
TRAINING = JobKind(
    "TrainingJob",
    store.training_jobs,
    "training",
    "SageMaker Training Job State Change",
    "TrainingEndTime",
    "Training job names must be unique within an AWS account and region, and a training job with "
    "this name already exists ({arn})",
)
TUNING = JobKind(
    "HyperParameterTuningJob",
    store.tuning_jobs,
    "hyperparameter tuning",
    "SageMaker HyperParameter Tuning Job State Change",
    "HyperParameterTuningEndTime",
    "A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.",
)
TRANSFORM = JobKind(
    "TransformJob",
    store.transform_jobs,
    "transform",
    "SageMaker Transform Job State Change",
    "TransformEndTime",
    "Job name must be unique within an AWS account and region, and a job with this name already "
    "exists ({arn})",
)
KINDS = (TRAINING, TUNING, TRANSFORM)
