"""Split: clean data becomes the rows to train on and the rows held out; then training starts."""

from __future__ import annotations

import os
from itertools import tee
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
from pipeline.executions import start_run
from pipeline.objects import CsvWriter, read_json, read_text
from pipeline.once import ONCE
from pipeline.registry import Status, record_status
from stratify import held_out_counts, split

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
STATE_MACHINE_ARN = os.environ["STATE_MACHINE_ARN"]
TEST_FRACTION = float(os.environ["TEST_FRACTION"])
SEED = int(os.environ["SEED"])

logger = Logger()
tracer = Tracer()
metrics = Metrics()
s3 = boto3.client("s3")
sfn = boto3.client("stepfunctions")
registry = boto3.resource("dynamodb").Table(os.environ["REGISTRY_TABLE"])


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
@metrics.log_metrics
@event_source(data_class=S3EventBridgeNotificationEvent)
def handler(event: S3EventBridgeNotificationEvent, context: LambdaContext) -> dict[str, Any]:
    """Split the clean data whose manifest was written."""
    key = event.detail.object["key"]
    run = layout.run_of_key(key)
    logger.set_correlation_id(run)
    tracer.put_annotation("run", run)
    manifest = read_json(s3, RUNS_BUCKET, key)
    answer: dict[str, Any] = split_run(run=run, manifest=manifest)
    return answer


@idempotent_function(
    data_keyword_argument="run",
    persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"]),
    config=ONCE,
)
def split_run(*, run: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """Write the run's train and test rows and start its execution."""
    folder = layout.RunFolder(run)
    held_out = held_out_counts(manifest["classes"], TEST_FRACTION)
    with CsvWriter(s3, RUNS_BUCKET) as writer, read_text(s3, RUNS_BUCKET, manifest["data"]) as data:
        train = writer.open(folder / layout.TRAIN)
        test = writer.open(folder / layout.TEST)
        lines, same_lines = tee(data)
        labels = (int(line.partition(",")[0]) for line in same_lines)
        for line, is_test in zip(
            lines, split(labels, manifest["classes"], held_out, SEED), strict=True
        ):
            (test if is_test else train).write(line)
    rows = {"train": sum(manifest["classes"]) - sum(held_out), "test": sum(held_out)}
    for channel, count in rows.items():
        metrics.add_metric(f"{channel.title()}Rows", MetricUnit.Count, count)
    record_status(registry, s3, RUNS_BUCKET, run, Status.TRAINING)
    fields = ("dataset", "dropped", "feature_dim")
    start_run(sfn, STATE_MACHINE_ARN, run, {name: manifest[name] for name in fields})
    logger.info("split", extra={"rows": rows})
    return {"run": run, "rows": rows}
