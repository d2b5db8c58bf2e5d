"""Preprocess: a dropped file becomes label-first, integer-coded CSV without a header."""

from __future__ import annotations

import os
import time
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

from classes import Classes, check_classes
from clean_files import CleanFiles, write_clean_files, write_clean_rows
from dataset_schema import DatasetSchema
from dropped_file import (
    DroppedFile,
    check_name,
    find_version,
    read_dataset_schema,
    source_of,
)
from pipeline import run as layout
from pipeline.errors import Refusal
from pipeline.executions import start_refused_run, start_run
from pipeline.objects import write_json
from pipeline.once import ONCE
from pipeline.registry import Status, known_classes, record_status, register_classes
from prepare import open_table, run_schema
from row_profile import Profile

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
STATE_MACHINE_ARN = os.environ["STATE_MACHINE_ARN"]
LARGE_FILE_STATE_MACHINE_ARN = os.environ["LARGE_FILE_STATE_MACHINE_ARN"]
LARGE_FILE_BYTES = int(float(os.environ["LARGE_FILE_MEGABYTES"]) * 1_000_000)
MAX_REJECTED_FRACTION = float(os.environ["MAX_REJECTED_FRACTION"])
TYPICAL_RATIO = 8
"""Bytes of a table that a byte of gzip data becomes, for want of knowing."""

SPARE_SECONDS = 30
"""Left of the function's time for refusing a file that takes too long."""

IF_LATE = (
    "Drop it as plain UTF-8 without compression: then a large file is read in parts, all at once "
    "(the parameter LargeFileMegabytes says from which size on)."
)

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
    pin = {
        "bucket": source.bucket,
        "key": source.key,
        "version_id": event.detail.object.get("version-id"),
        "etag": event.detail.object.etag,
    }
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    answer: dict[str, Any] = preprocess(run=run, source=source, pin=pin, deadline=deadline)
    return answer


@idempotent_function(
    data_keyword_argument="run",
    persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"]),
    config=ONCE,
)
def preprocess(
    *, run: str, source: layout.Source, pin: dict[str, Any], deadline: float
) -> dict[str, Any]:
    """Write the run's ``clean/`` folder, the manifest last, or start what does so in parts.

    A file that is refused starts the execution that reports it. `pin` names the version to read.
    """
    origin = {"bucket": source.bucket, "key": source.key, "version": source.version}
    fresh = record_status(
        registry, s3, RUNS_BUCKET, run, Status.PREPARING, source=origin, dropped=source.dropped
    )
    # An event may come after weeks, from the dead-letter queue: what a model was made of stays.
    if not fresh:
        logger.info("prepared before")
        return {"run": run}
    facts = {"dataset": layout.dataset_of_run(run), "dropped": source.dropped}
    try:
        check_name(source.key)
        file = DroppedFile(s3, find_version(s3, **pin))
        schema = read_dataset_schema(s3, source.bucket, facts["dataset"])
        if file.version.size > LARGE_FILE_BYTES and file.can_be_cut(schema):
            start_run(sfn, LARGE_FILE_STATE_MACHINE_ARN, run, {**facts, "source": pin})
            return {"run": run, "size": file.version.size}
        profile = prepare(run, file, schema, facts | {"source": origin}, deadline)
    except Refusal as refusal:
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        start_refused_run(sfn, STATE_MACHINE_ARN, run, facts, refusal)
        return {"run": run, "refusal": refusal.as_dict()}
    logger.info("preprocessed", extra={"kept": profile.kept, "rejected": profile.rejected})
    return {"run": run, "rows": profile.kept}


def prepare(
    run: str, file: DroppedFile, schema: DatasetSchema, facts: dict[str, Any], deadline: float
) -> Profile:
    """Write rejects, profile, schema, data and manifest of a run.

    Raises
    ------
    Refusal
        The file can't be used. What was learned of it until then is written all the same.
    """
    folder = layout.RunFolder(run)
    files = CleanFiles(
        folder / layout.CLEAN_DATA, folder / layout.CLEAN_KEYS, folder / layout.REJECTS
    )
    known = known_classes(registry, facts["dataset"])
    names = list(dict.fromkeys([*known, *schema.classes]))
    stream = file.text(schema)
    table = open_table(stream, schema).table
    size = file.version.size * (TYPICAL_RATIO if file.is_gzip else 1)
    classes = Classes(names, table.columns.label)
    profile, written = write_clean_files(
        s3,
        RUNS_BUCKET,
        files,
        table,
        schema,
        classes,
        size=size,
        deadline=deadline,
        if_late=IF_LATE,
    )
    metrics.add_metric("RowsKept", MetricUnit.Count, profile.kept)
    metrics.add_metric("RowsRejected", MetricUnit.Count, profile.rejected)
    facts_of_file = {"encoding": stream.encoding, "delimiter": table.dialect.delimiter}
    write_json(
        s3,
        RUNS_BUCKET,
        folder / layout.PROFILE,
        {**profile.as_dict(classes.in_order()), "file": facts_of_file},
    )
    profile.check(table.columns.label, max_rejected_fraction=MAX_REJECTED_FRACTION)
    check_classes(classes.in_order(), table.columns.label)
    every = register_classes(registry, facts["dataset"], classes.in_order())
    if not written or not classes.are_as_in(every):
        again = open_table(file.text(schema), schema).table
        write_clean_rows(
            s3,
            RUNS_BUCKET,
            files,
            again,
            schema,
            every,
            size=size,
            deadline=deadline,
            if_late=IF_LATE,
        )
    write_json(
        s3,
        RUNS_BUCKET,
        folder / layout.SCHEMA,
        run_schema(table.columns, schema, every).as_dict(),
    )
    counts = [profile.classes[name] for name in every]
    has_keys = table.columns.group or table.columns.time
    manifest = {
        "run": run,
        **facts,
        "parts": [
            {"data": files.data, "keys": files.keys if has_keys else None, "classes": counts}
        ],
        "feature_dim": len(table.columns.features),
    }
    write_json(s3, RUNS_BUCKET, folder / layout.MANIFEST, manifest)
    return profile
