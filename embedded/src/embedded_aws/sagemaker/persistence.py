"""State across restarts: records are kept, what was under way is settled honestly."""

from collections.abc import Callable
from typing import Any

from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import lock
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.hosting import async_inference, deployment, serving
from embedded_aws.sagemaker.jobs import KINDS, TRAINING, TUNING, JobKind, changed
from embedded_aws.sagemaker.training.jobs import enter
from embedded_aws.sagemaker.tuning import jobs as tuning_jobs

RESTARTED = "InternalServerError: the embedded AWS was restarted while this was under way."

get_state = store.TABLES.get_state
interrupted_jobs: list[tuple[JobKind, Scope, str]] = []
"""Jobs that ran when the server stopped, by kind, scope and name."""


def load_persisted_state(state: dict[str, Any]) -> None:
    """Put back what ``store.TABLES.get_state`` gave.

    A job that was running can't go on, and an endpoint that was being deleted is not gone yet:
    ``end_interrupted`` will see to it. An endpoint that was being created has failed, one being
    updated runs as before. Models of endpoints in service are read from S3 with the first request;
    asynchronous requests wait in line again.
    """
    with lock:
        store.TABLES.load_persisted_state(state)
        for kind in KINDS:
            interrupted_jobs.extend(
                (kind, scope, name)
                for scope, name, job in kind.table.everywhere()
                if not kind.has_ended(job)
            )
        for _, _, endpoint in store.endpoints.everywhere():
            if endpoint["EndpointStatus"] == "Creating":
                endpoint.update(EndpointStatus="Failed", FailureReason=RESTARTED)
            elif endpoint["EndpointStatus"] in ("Updating", "RollingBack"):
                deployment.end_deployment(endpoint)
                endpoint["EndpointStatus"] = "InService"
    async_inference.restore_queues()


def end_interrupted() -> None:
    """Fail the jobs that ran when the server stopped, once it answers: it is an event, too.

    Endpoints that were being deleted go, with all that hangs on them.
    """
    for scope, _, endpoint in store.endpoints.everywhere():
        if endpoint["EndpointStatus"] == "Deleting":
            deployment.remove(scope, endpoint)
    own: dict[JobKind, Callable[..., None]] = {TRAINING: enter, TUNING: tuning_jobs.set_status}
    # A tuning job counts its training jobs, which come first.
    while interrupted_jobs:
        kind, scope, name = interrupted_jobs.pop(0)
        set_status: Callable[..., None] = own.get(kind) or kind.set_status
        set_status(scope, name, "Failed", FailureReason=RESTARTED)


def reset() -> None:
    """Forget everything; jobs that run see that they are to stop."""
    with changed:
        for kind in KINDS:
            for _, _, job in kind.table.everywhere():
                if not kind.has_ended(job):
                    job[kind.status] = "Stopping"
        changed.notify_all()
        store.TABLES.reset()
    async_inference.restore_queues()
    with serving.lock:
        serving.loaded.clear()
