"""Split: clean data becomes the rows to train on and the rows held out; then training starts."""

from __future__ import annotations

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

from clean_blocks import CleanBlock, read_clean_blocks
from pipeline import run as layout
from pipeline.byte_ranges import find_object, read_ranges
from pipeline.errors import Refusal
from pipeline.executions import start_refused_run, start_run
from pipeline.objects import CsvWriter, read_json, write_json
from pipeline.once import ONCE
from pipeline.registry import Status, record_status
from pipeline.schema import Schema
from steps import Task, begin, partial, proceed, transform_of
from write import Sinks, summary, write_part

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
STATE_MACHINE_ARN = os.environ["STATE_MACHINE_ARN"]
TEST_FRACTION = float(os.environ["TEST_FRACTION"])
MAX_TEST_ROWS = int(os.environ["MAX_TEST_ROWS"])
SEED = int(os.environ["SEED"])
NEIGHBOURS = int(os.environ["NEIGHBOURS"])
SPARE_SECONDS = 30
"""Left of the function's time for refusing a file that takes too long."""

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
    """Split the clean data whose manifest was written."""
    key = event.detail.object["key"]
    run = layout.run_of_key(key)
    logger.set_correlation_id(run)
    tracer.put_annotation("run", run)
    manifest = read_json(s3, RUNS_BUCKET, key)
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    answer: dict[str, Any] = split_run(run=run, manifest=manifest, deadline=deadline)
    return answer


@idempotent_function(
    data_keyword_argument="run",
    persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"]),
    config=ONCE,
)
def split_run(*, run: str, manifest: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Write the run's train and test rows and start its execution, or the report of a refusal."""
    facts = {name: manifest[name] for name in ("dataset", "dropped")}
    if not record_status(registry, s3, RUNS_BUCKET, run, Status.PREPARING):
        # An event may come after weeks, from the dead-letter queue: what a model was made of stays.
        start_run(sfn, STATE_MACHINE_ARN, run, {**facts, "feature_dim": manifest["feature_dim"]})
        logger.info("split before")
        return {"run": run}
    try:
        result = split(run, part_of(manifest), deadline)
    except Refusal as refusal:
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        start_refused_run(sfn, STATE_MACHINE_ARN, run, facts, refusal)
        return {"run": run, "refusal": refusal.as_dict()}
    for channel, count in result["rows"].items():
        metrics.add_metric(f"{channel.title()}Rows", MetricUnit.Count, count)
    record_status(registry, s3, RUNS_BUCKET, run, Status.TRAINING)
    start_run(sfn, STATE_MACHINE_ARN, run, {**facts, "feature_dim": manifest["feature_dim"]})
    logger.info("split", extra={"rows": result["rows"]})
    return {"run": run, "rows": result["rows"]}


def part_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the one part; what an earlier release has prepared, before an update, knows none."""
    if "parts" in manifest:
        part: dict[str, Any] = manifest["parts"][0]
        return part
    return {"data": manifest["data"], "keys": None, "classes": manifest["classes"]}


def split(run: str, part: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Write the run's train and test rows, and how they came about; return this.

    Raises
    ------
    Refusal
        The rows can't be put on two sides as the dataset's schema asks, or not in time, or are
        fewer than the neighbours that vote.
    """
    folder = layout.RunFolder(run)
    schema = Schema.from_dict(read_json(s3, RUNS_BUCKET, folder / layout.SCHEMA))
    task = Task(schema, (tuple(part["classes"]),), TEST_FRACTION, MAX_TEST_ROWS, SEED)
    state = begin(task)
    while state.step != "write":
        state = proceed(task, state, [partial(task, state, 0, blocks_of(part, deadline))])
    if transform := transform_of(task, state):
        write_json(s3, RUNS_BUCKET, folder / layout.TRANSFORM, transform.as_dict(schema.features))
    with CsvWriter(s3, RUNS_BUCKET) as writer:
        sinks = Sinks(
            writer.open_bytes(folder / layout.TRAIN),
            writer.open_bytes(folder / layout.TEST),
            writer.open_bytes(folder / layout.HELD_OUT) if transform else None,
        )
        written = write_part(task, state, 0, blocks_of(part, deadline), sinks)
        result = summary(task, [written], neighbours=NEIGHBOURS)
    write_json(s3, RUNS_BUCKET, folder / layout.SPLIT, result)
    return result


def blocks_of(part: dict[str, Any], deadline: float) -> Iterator[CleanBlock]:
    """Yield the clean rows of a part, for as long as there is time."""

    def chunks(key: str) -> Iterator[bytes]:
        return read_ranges(s3, find_object(s3, RUNS_BUCKET, key))

    keys = chunks(part["keys"]) if part["keys"] else None
    for block in read_clean_blocks(chunks(part["data"]), keys):
        if time.monotonic() > deadline:
            raise Refusal(
                "OutOfTime",
                "The file's rows take longer to split than there is time.",
                "Drop it as plain UTF-8 without compression: then a large file is read in parts, "
                "all at once (the parameter LargeFileMegabytes says from which size on).",
            )
        yield block
