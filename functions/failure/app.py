"""Failure: what Preprocess or Split failed on for good is reported, as any run is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent

from pipeline import layout
from pipeline.events import pin_of, source_of
from pipeline.executions import RUNS_BUCKET, registry, s3, start_batch, start_run
from pipeline.handling import logger, read_environment, tracer
from pipeline.registry import Status, record_status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True)
class Environment:
    """What Failure is told besides."""

    score_state_machine_arn: str


environment = read_environment(Environment)


# What failed may quote the file: customer data, which no trace should hold.
@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Start the execution that reports a run; one that got further has an execution already.

    What Preprocess should only have handed on to be scored is handed on from here.

    Source of the event: Lambda developer guide, "Capturing records of Lambda asynchronous
    invocations".
    """
    created = S3EventBridgeNotificationEvent(event["requestPayload"])
    if created.detail.object["key"].startswith(layout.SCORE):
        batch = start_batch(
            source_of(created), pin_of(created), environment.score_state_machine_arn
        )
        return {"batch": batch}
    stage = "Split" if created.detail.bucket.name == RUNS_BUCKET else "Preprocess"
    run = of_split(created) if stage == "Split" else of_preprocess(created)
    logger.set_correlation_id(run)
    tracer.put_annotation("run", run)
    start_run(run, {"failure": problem(stage, event)})
    logger.warning("not prepared", extra={"stage": stage})
    return {"run": run}


def of_split(created: S3EventBridgeNotificationEvent) -> str:
    """Return the run whose manifest was written."""
    return layout.run_of_key(created.detail.object["key"])


def of_preprocess(created: S3EventBridgeNotificationEvent) -> str:
    """Return the run of an uploaded file, which Preprocess may not even have recorded."""
    source = source_of(created)
    run = layout.run_id(source)
    origin = {"bucket": source.bucket, "key": source.key, "version": source.version}
    record_status(
        registry, s3, RUNS_BUCKET, run, Status.PREPARING, source=origin, dropped=source.dropped
    )
    return run


def problem(stage: str, event: dict[str, Any]) -> dict[str, str]:
    """Return what the report says of it."""
    answer = event.get("responsePayload") or {}
    said = [str(answer[name]) for name in ("errorType", "errorMessage") if answer.get(name)]
    tries = event["requestContext"]["approximateInvokeCount"]
    times = "once" if tries == 1 else f"{tries} times"
    return {
        "code": "NotPrepared",
        "message": f"{stage} was tried {times} and failed: {': '.join(said) or 'no reason given'}",
        "remedy": f"Upload the file again. If that fails too, look at the log of {stage}.",
    }
