"""Split: clean rows become rows to train on and rows held out; then training starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes import (
    S3EventBridgeNotificationEvent,
    event_source,
)

from pipeline import layout
from pipeline.errors import BegunBeforeUpdate, Refusal
from pipeline.executions import RUNS_BUCKET, refuse, registry, s3, train
from pipeline.handling import deadline_of, logger, metrics, once, tracer
from pipeline.objects import read_json
from pipeline.registry import Status, record_status
from split.folder import WRITTEN, SplitFolder

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


# What is answered may quote the file: customer data, which no trace should hold.
@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
@event_source(data_class=S3EventBridgeNotificationEvent)
def handler(event: S3EventBridgeNotificationEvent, context: LambdaContext) -> dict[str, Any]:
    """Split the clean rows whose manifest was written."""
    key = event.detail.object["key"]
    run = layout.run_of_key(key)
    logger.set_correlation_id(run)
    tracer.put_annotation("run", run)
    manifest = read_json(s3, RUNS_BUCKET, key)
    answer: dict[str, Any] = split_run(run=run, manifest=manifest, deadline=deadline_of(context))
    return answer


@once
def split_run(*, run: str, manifest: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Write the run's train and test rows and start its execution, or the report of a refusal."""
    facts = {name: manifest[name] for name in ("dataset", "dropped")}
    if "settings" not in manifest:
        return refuse(run, facts, BegunBeforeUpdate())
    folder = SplitFolder(s3, RUNS_BUCKET, run, manifest["parts"], deadline)
    try:
        if record_status(registry, s3, RUNS_BUCKET, run, Status.PREPARING):
            result = split(folder)
        else:
            # An event may come after weeks, from the dead-letter queue: what a model was made of
            # stays.
            logger.info("split before")
            result = folder.read(layout.SPLIT)
    except Refusal as refusal:
        return refuse(run, facts, refusal)
    train(run, facts, result, folder.plan.settings)
    return {"run": run, "rows": result["rows"]}


def split(folder: SplitFolder) -> dict[str, Any]:
    """Write all that a run is trained and tested on; return how the rows were split.

    Raises a `Refusal` if they can't be, as the settings ask or in time, or are too few.
    """
    state = folder.plan.begin()
    while state["step"] == "count":
        state = folder.plan.narrow(state, folder.count(state, 0))
    choice, transform = folder.choose(state)
    names = (layout.TRAIN, layout.TEST, *WRITTEN)
    keys = [layout.RunFolder(folder.run) / name for name in names]
    written = folder.write_part(state, 0, transform, keys)
    return folder.finish([written], choice.as_dict(), transform.feature_dim)
