"""Preprocess: a dropped file becomes label-first, integer-coded CSV without a header."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import (
    S3EventBridgeNotificationEvent,
    event_source,
)
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    idempotent_function,
)

from dropped_file import DroppedFile, source_of
from pipeline import run as layout
from pipeline.errors import Refusal
from pipeline.executions import start_refused_run
from pipeline.objects import CsvWriter, write_json, write_lines
from pipeline.once import ONCE
from pipeline.registry import Status, record_status
from prepare import Survey, clean_lines, survey
from rows import Reject

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
STATE_MACHINE_ARN = os.environ["STATE_MACHINE_ARN"]
MAX_REJECTED_FRACTION = float(os.environ["MAX_REJECTED_FRACTION"])

logger = Logger()
tracer = Tracer()
metrics = Metrics()
s3 = boto3.client("s3")
sfn = boto3.client("stepfunctions")
registry = boto3.resource("dynamodb").Table(os.environ["REGISTRY_TABLE"])


# A refusal may quote the file, which is nothing for a log or a trace: its code says enough there.
@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
@event_source(data_class=S3EventBridgeNotificationEvent)
def handler(event: S3EventBridgeNotificationEvent, context: LambdaContext) -> dict[str, Any]:
    """Prepare the object that was created, or refuse it; either way the run goes on from here."""
    source = source_of(event)
    run = layout.run_id(source)
    logger.set_correlation_id(run)
    tracer.put_annotation("run", run)
    file = DroppedFile(s3, source, event.detail.object.get("version-id"))
    answer: dict[str, Any] = preprocess(run=run, source=source, file=file)
    return answer


@idempotent_function(
    data_keyword_argument="run",
    persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"]),
    config=ONCE,
)
def preprocess(*, run: str, source: layout.Source, file: DroppedFile) -> dict[str, Any]:
    """Write the run's ``clean/`` folder, the manifest last, or start its report of a refusal."""
    origin = {"bucket": source.bucket, "key": source.key, "version": source.version}
    record_status(
        registry, s3, RUNS_BUCKET, run, Status.PREPARING, source=origin, dropped=source.dropped
    )
    try:
        surveyed = prepare(run, file)
    except Refusal as refusal:
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        fields = {"dataset": layout.dataset_of_run(run), "dropped": source.dropped}
        start_refused_run(sfn, STATE_MACHINE_ARN, run, fields, refusal)
        return {"run": run, "refusal": refusal.as_dict()}
    folder = layout.RunFolder(run)
    manifest = {
        "run": run,
        "dataset": layout.dataset_of_run(run),
        "dropped": source.dropped,
        "source": origin,
        "data": folder / layout.CLEAN_DATA,
        "classes": [surveyed.profile.classes[name] for name in surveyed.schema.classes],
        "feature_dim": len(surveyed.schema.features),
    }
    write_json(s3, RUNS_BUCKET, folder / layout.MANIFEST, manifest)
    logger.info("preprocessed", extra={"rows": surveyed.profile.as_dict()["rows"]})
    return {"run": run, "rows": surveyed.profile.kept}


def prepare(run: str, file: DroppedFile) -> Survey:
    """Write rejects, profile, schema and data of a run.

    Raises
    ------
    Refusal
        The file can't be used. What was learned of it until then is written all the same.
    """
    folder = layout.RunFolder(run)
    file.check()
    with CsvWriter(s3, RUNS_BUCKET) as writer:
        rejects = csv.writer(writer.open(folder / layout.REJECTS), lineterminator="\n")
        rejects.writerow(["line", "reason", "row"])

        def set_aside(reject: Reject) -> None:
            rejects.writerow(asdict(reject).values())

        surveyed = survey(file.rows(), set_aside)
    profile = surveyed.profile
    metrics.add_metric("RowsKept", MetricUnit.Count, profile.kept)
    metrics.add_metric("RowsRejected", MetricUnit.Count, profile.rejected)
    write_json(s3, RUNS_BUCKET, folder / layout.PROFILE, profile.as_dict())
    profile.check(max_rejected_fraction=MAX_REJECTED_FRACTION)
    write_json(s3, RUNS_BUCKET, folder / layout.SCHEMA, surveyed.schema.as_dict())
    write_lines(s3, RUNS_BUCKET, folder / layout.CLEAN_DATA, clean_lines(file.rows(), surveyed))
    return surveyed
