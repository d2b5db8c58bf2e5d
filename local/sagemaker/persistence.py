"""State across restarts: records are kept, what was under way is settled honestly."""

from typing import Any

from local.sagemaker import async_inference, deployment, serving, store
from local.sagemaker.training_jobs import FINAL, enter

RESTARTED = "InternalServerError: the embedded AWS was restarted while this was under way."


def get_state() -> dict[str, Any]:
    """Everything to keep, as plain JSON."""
    with store.lock:
        return {name: table.to_json() for name, table in store.TABLES.items()}


def restore(state: dict[str, Any]) -> None:
    """Put back what ``get_state`` gave.

    A job that was running can't go on, so it has failed; an endpoint that was being created has
    too, one being updated runs as before, one being deleted is gone. Models of endpoints in
    service are read from S3 with the first request; asynchronous requests wait in line again.
    """
    with store.lock:
        for name, table in store.TABLES.items():
            table.load_json(state.get(name, []))
        for scope, name, job in store.training_jobs.everywhere():
            if job["TrainingJobStatus"] not in FINAL:
                enter(scope, name, "Failed", FailureReason=RESTARTED)
        for scope, name, endpoint in store.endpoints.everywhere():
            if endpoint["EndpointStatus"] == "Creating":
                endpoint.update(EndpointStatus="Failed", FailureReason=RESTARTED)
            elif endpoint["EndpointStatus"] in ("Updating", "RollingBack"):
                deployment.end_deployment(endpoint)
                endpoint["EndpointStatus"] = "InService"
            elif endpoint["EndpointStatus"] == "Deleting":
                store.endpoints.delete(scope, name)
    async_inference.restore_queues()


def reset() -> None:
    """Forget everything."""
    with store.lock:
        for table in store.TABLES.values():
            table.rows.clear()
    async_inference.restore_queues()
    with serving.lock:
        serving.loaded.clear()
