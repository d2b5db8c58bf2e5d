"""Preprocess: the rows of an uploaded file are checked, and its columns get their roles."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
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

from pipeline import run as layout
from pipeline.errors import Refusal
from pipeline.executions import start_refused_run, start_run
from pipeline.objects import write_json
from pipeline.once import ONCE
from pipeline.registry import Status, known_classes, live_schema, record_status
from preprocess.finish import finish, leave_out_single_rows
from preprocess.opening import Opened, open_table, places_to_look
from preprocess.settings import Given, resolve_settings
from preprocess.source import (
    SCHEMA_NAME,
    UploadedFile,
    check_name,
    find_file,
    read_schema,
    source_of,
)
from preprocess.survey import Keys, survey_rows
from tabular.errors import TableError
from tabular.text import Text

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
STATE_MACHINE_ARN = os.environ["STATE_MACHINE_ARN"]
LARGE_FILE_STATE_MACHINE_ARN = os.environ["LARGE_FILE_STATE_MACHINE_ARN"]
PART_BYTES = int(float(os.environ.get("PART_MEGABYTES", "128")) * 1_000_000)
LARGE_FILE_BYTES = int(float(os.environ["LARGE_FILE_MEGABYTES"]) * 1_000_000)
STACK_SETTINGS = json.loads(os.environ["SETTINGS"])
SPARE_SECONDS = 30
"""Left of the function's time for refusing a file that takes too long."""

IF_LATE = (
    "Upload it as plain UTF-8 without compression: then a large file is read in parts, all at once "
    "(the parameter LargeFileMegabytes says from which size on)."
)

logger = Logger()
tracer = Tracer()
metrics = Metrics()
s3 = boto3.client("s3")
sfn = boto3.client("stepfunctions")
registry = boto3.resource("dynamodb").Table(os.environ["REGISTRY_TABLE"])


# A refusal may quote the file: customer data, which no log or trace should hold.
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
        file = find_file(s3, **pin)
        given, about = settings_of(file, facts["dataset"])
        large = file.version.size > LARGE_FILE_BYTES
        if large and file.can_be_cut(given.settings.encoding):
            start_run(sfn, LARGE_FILE_STATE_MACHINE_ARN, run, {**facts, "source": pin})
            return {"run": run, "size": file.version.size}
        kept = prepare(run, file, given, facts | {"source": origin, "settings": about}, deadline)
    except (Refusal, TableError) as error:
        refusal = refusal_of(error)
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        start_refused_run(sfn, STATE_MACHINE_ARN, run, facts, refusal)
        return {"run": run, "refusal": refusal.as_dict()}
    return {"run": run, "rows": kept}


def settings_of(file: UploadedFile, dataset: str) -> tuple[Given, dict[str, Any]]:
    """Return the settings in force for a file, and which are not the stack's.

    Raises
    ------
    Refusal
        They are no settings, or contradict each other.
    """
    key = f"{dataset}/{SCHEMA_NAME}"
    schema = read_schema(s3, file.version.bucket, dataset)
    given = resolve_settings(STACK_SETTINGS, schema and schema[0], key, file.metadata)
    about: dict[str, Any] = {"upload": given.by_upload}
    if schema:
        about["schema"] = {"key": key, "since": str(schema[1]), "settings": given.by_schema}
    return given, about


def refusal_of(error: Refusal | TableError) -> Refusal:
    """Return why a file is refused that can't be read."""
    if isinstance(error, Refusal):
        return error
    return Refusal(error.code, error.message, error.remedy)


def open_file(file: UploadedFile, text: Text, given: Given, dataset: str) -> Opened:
    """Read a file's beginning, and some pieces of a large one.

    Raises
    ------
    Refusal, TableError
        The file can't be read, or its columns leave it open what to learn.
    """
    live = live_schema(registry, s3, RUNS_BUCKET, dataset)
    uri = f"s3://{file.version.bucket}/{file.version.key}"

    def pieces() -> Iterator[bytes]:
        if not text.is_gzip and text.encoding != "utf-16":
            for place in places_to_look(file.version.size):
                yield b"".join(file.chunks(*place))

    return open_table(text, given.settings, live, uri, pieces)


def prepare(
    run: str, file: UploadedFile, given: Given, facts: dict[str, Any], deadline: float
) -> int:
    """Write all of a run's ``clean/`` folder; return how many rows were kept.

    Raises
    ------
    Refusal, TableError
        The file can't be used. What was learned of it until then is written all the same.
    """
    folder = layout.RunFolder(run)
    keys = Keys(folder / layout.CLEAN_DATA, folder / layout.REJECTS)
    known = known_classes(registry, facts["dataset"])
    text = file.text(given.settings.encoding)
    opened = open_file(file, text, given, facts["dataset"])
    table, settings = opened.table, opened.settings
    surveyed = survey_rows(
        s3,
        RUNS_BUCKET,
        keys,
        table,
        settings,
        opened.chunks,
        opened.line,
        deadline=deadline,
        if_late=IF_LATE,
        at_end=lambda rows: leave_out_single_rows(rows, known, settings),
    )
    metrics.add_metric("RowsKept", MetricUnit.Count, surveyed.profile.kept)
    metrics.add_metric("RowsRejected", MetricUnit.Count, surveyed.profile.rejected)
    facts["file"] = {"encoding": text.encoding, "delimiter": table.delimiter}
    parts = [(keys.data, surveyed.labels.counts)]
    manifest = finish(
        s3, registry, RUNS_BUCKET, run, facts, table, settings, surveyed, known, parts
    )
    write_json(s3, RUNS_BUCKET, folder / layout.MANIFEST, manifest)
    logger.info("preprocessed", extra={"kept": surveyed.profile.kept})
    return surveyed.profile.kept
