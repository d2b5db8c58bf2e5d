"""Preprocess: the rows of an uploaded file are checked, and its columns get their roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import (
    S3EventBridgeNotificationEvent,
    event_source,
)

from pipeline import layout
from pipeline.errors import Refusal
from pipeline.events import pin_of, source_of
from pipeline.executions import RUNS_BUCKET, refuse, registry, s3, start_batch, start_run
from pipeline.handling import deadline_of, logger, metrics, once, read_environment, tracer
from pipeline.objects import ObjectWriter
from pipeline.registry import Status, known_classes, live_schema, record_status
from pipeline.rejects import as_refusals, rejects_file
from pipeline.settings import Settings
from pipeline.uploaded import UploadedFile, find_file
from preprocess.finish import finish, leave_out_single_rows
from preprocess.opening import open_file, settings_of
from preprocess.settings import check_endpoint_kind
from preprocess.source import can_be_cut, check_name
from preprocess.survey import Survey

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True)
class Environment:
    """What Preprocess is told besides."""

    large_file_state_machine_arn: str
    score_state_machine_arn: str
    large_file_megabytes: float
    endpoint_kinds: list[str]
    settings: dict[str, Any]


environment = read_environment(Environment)


# What is answered may quote the file: customer data, which no trace should hold.
@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
@event_source(data_class=S3EventBridgeNotificationEvent)
def handler(event: S3EventBridgeNotificationEvent, context: LambdaContext) -> dict[str, Any]:
    """Prepare the object that was created, or refuse it; either way the run goes on from here.

    What is to be scored is handed on as it is.
    """
    source, pin = source_of(event), pin_of(event)
    if source.key.startswith(layout.SCORE):
        return {"batch": start_batch(source, pin, environment.score_state_machine_arn)}
    metrics.add_metric("FilesDropped", MetricUnit.Count, 1)
    run = layout.run_id(source)
    logger.set_correlation_id(run)
    tracer.put_annotation("run", run)
    deadline = deadline_of(context)
    answer: dict[str, Any] = preprocess(run=run, source=source, pin=pin, deadline=deadline)
    return answer


@once
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
        settings, about = settings_of(s3, environment.settings, file, facts["dataset"])
        check_endpoint_kind(settings, environment.endpoint_kinds)
        if file.version.size > environment.large_file_megabytes * 1e6 and can_be_cut(
            file, settings.encoding
        ):
            start_run(run, {**facts, "source": pin}, environment.large_file_state_machine_arn)
            return {"run": run, "size": file.version.size}
        facts_of_file = facts | {"source": origin, "settings": about}
        return {"run": run, "rows": prepare(run, file, settings, facts_of_file, deadline)}
    except Refusal as refusal:
        return refuse(run, facts, refusal)


@as_refusals()
def prepare(
    run: str, file: UploadedFile, settings: Settings, facts: dict[str, Any], deadline: float
) -> int:
    """Write all of a run's ``clean/`` folder, as far as it gets; return how many rows were kept."""
    folder = layout.RunFolder(run)
    known = known_classes(registry, facts["dataset"])
    live = live_schema(registry, s3, RUNS_BUCKET, facts["dataset"])
    text, opened = open_file(file, settings, live)
    surveyed, data = Survey(opened.table, opened.settings), folder / layout.CLEAN_DATA
    with rejects_file(s3, RUNS_BUCKET, folder / layout.REJECTS) as set_aside:
        with ObjectWriter(s3, RUNS_BUCKET) as writer:
            kept = writer.open_bytes(data)
            surveyed.read(opened.chunks, opened.line, kept, set_aside, deadline)
        for reject in leave_out_single_rows(surveyed, known):
            set_aside(reject)
    metrics.add_metric("RowsKept", MetricUnit.Count, surveyed.profile.kept)
    metrics.add_metric("RowsRejected", MetricUnit.Count, surveyed.profile.rejected)
    facts = facts | {"file": {"encoding": text.encoding, "delimiter": opened.table.delimiter}}
    parts = [(data, surveyed.labels.counts)]
    finish(s3, registry, RUNS_BUCKET, run, facts, surveyed, known, parts, layout.MANIFEST)
    logger.info("preprocessed", extra={"kept": surveyed.profile.kept})
    return surveyed.profile.kept
