"""Validate: every held-out row through the run's endpoint, before it gets any traffic."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from confusion import ConfusionMatrix
from held_out import HeldOut
from pipeline import run as layout
from pipeline.objects import CsvWriter, keys_under, read_json, read_text, write_json
from pipeline.schema import Schema
from pipeline.transform import Transform

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
SPARE_SECONDS = 20
"""Left of the function's time for writing the results."""

logger = Logger()
tracer = Tracer()
metrics = Metrics()
s3 = boto3.client("s3")
runtime = boto3.client(
    "sagemaker-runtime", config=Config(retries={"mode": "standard", "max_attempts": 6})
)


@logger.inject_lambda_context(correlation_id_path="run", clear_state=True)
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return accuracy and macro F1 of the held-out rows; write all else to the run's folder."""
    run = event["run"]
    tracer.put_annotation("run", run)
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    result = validate(run, event["endpoint_kind"], deadline)
    metrics.add_dimensions(dataset=layout.dataset_of_run(run))
    metrics.add_metric("Accuracy", MetricUnit.NoUnit, result["accuracy"])
    metrics.add_metric("MacroF1", MetricUnit.NoUnit, result["macro_f1"])
    logger.info("validated", extra={name: result[name] for name in ("accuracy", "macro_f1")})
    return {name: result[name] for name in ("rows", "accuracy", "macro_f1")}


def validate(run: str, endpoint_kind: str, deadline: float) -> dict[str, Any]:
    """Write ``predictions.csv`` and ``metrics.json`` of a run, and return the metrics."""
    folder = layout.RunFolder(run)
    schema = Schema.from_dict(read_json(s3, RUNS_BUCKET, folder / layout.SCHEMA))
    of_file = classes_of_file(folder)
    transform = None
    if schema.transforms:
        transform = Transform.from_dict(read_json(s3, RUNS_BUCKET, folder / layout.TRANSFORM))
    matrix = ConfusionMatrix(schema.classes)
    held_out = HeldOut(s3, runtime, RUNS_BUCKET, run)
    with CsvWriter(s3, RUNS_BUCKET) as writer:
        table = csv.writer(writer.open(folder / layout.PREDICTIONS), lineterminator="\n")
        table.writerow([schema.label, *schema.features, "Prediction", "Result"])
        for batch, predicted in held_out.predict(
            held_out_rows(folder, schema),
            transform,
            endpoint_kind=endpoint_kind,
            deadline=deadline,
        ):
            for label, row, prediction in zip(batch.labels, batch.features, predicted, strict=True):
                matrix.add(label, prediction)
                names = schema.classes[label], schema.classes[prediction]
                table.writerow([names[0], *row, names[1], names[0] == names[1]])
    result = matrix.metrics(of_file=of_file)
    write_json(s3, RUNS_BUCKET, folder / layout.METRICS, result)
    return result


def classes_of_file(folder: layout.RunFolder) -> list[str] | None:
    """Return the classes that the file has rows of, unless an earlier release has split it."""
    try:
        return list(read_json(s3, RUNS_BUCKET, folder / layout.SPLIT)["classes"])
    except s3.exceptions.NoSuchKey:
        return None


def held_out_rows(folder: layout.RunFolder, schema: Schema) -> Iterator[str]:
    """Yield the held-out rows as they were written: where the model sees others, these are kept."""
    prefix = layout.HELD_OUT.removesuffix(".csv") if schema.transforms else "test/"
    for key in keys_under(s3, RUNS_BUCKET, folder / prefix):
        with read_text(s3, RUNS_BUCKET, key) as rows:
            yield from rows
