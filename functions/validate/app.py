"""Validate: every held-out row through the run's endpoint, before it gets any traffic."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config
from smart_open import s3 as smart_s3

from pipeline import layout
from pipeline.algorithm import vote
from pipeline.errors import BegunBeforeUpdate, Refusal
from pipeline.handling import deadline_of, logger, metrics, read_environment, tracer
from pipeline.objects import ObjectWriter, read_json, read_json_if_there, write_json
from pipeline.recordio import read_records
from pipeline.registry import live_run
from pipeline.schema import Schema
from pipeline.settings import Settings
from validate.gates import check_gates
from validate.held_out import HeldOut
from validate.metrics import Validation

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True)
class Environment:
    """What Validate is told."""

    runs_bucket: str
    registry_table: str


environment = read_environment(Environment)
RUNS_BUCKET = environment.runs_bucket
csv.field_size_limit(1 << 30)  # the whole process has one limit; Preprocess checked the rows
s3 = boto3.client("s3")
runtime = boto3.client(
    "sagemaker-runtime", config=Config(retries={"mode": "standard", "max_attempts": 6})
)
registry = boto3.resource("dynamodb").Table(environment.registry_table)


@logger.inject_lambda_context(correlation_id_path="run", clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Validate a run; return why its model may not go live, if it may not."""
    run = event["run"]
    tracer.put_annotation("run", run)
    deadline = deadline_of(context, spare_seconds=20)
    folder = layout.RunFolder(run)
    split = read_json(s3, RUNS_BUCKET, folder / layout.SPLIT)
    choice = read_json_if_there(s3, RUNS_BUCKET, folder / layout.CHOICE)
    if choice is None:
        raise BegunBeforeUpdate
    result = validate(folder, split, choice, event["endpoint_kind"], deadline)
    dataset = layout.dataset_of_run(run)
    metrics.add_dimensions(dataset=dataset)
    metrics.add_metric("Accuracy", MetricUnit.NoUnit, result["accuracy"])
    metrics.add_metric("MacroF1", MetricUnit.NoUnit, result["macro_f1"])
    answer = {name: result[name] for name in ("rows", "accuracy", "macro_f1")}
    logger.info("validated", extra=answer)
    settings = read_json_if_there(s3, RUNS_BUCKET, folder / layout.SETTINGS) or {}
    try:
        check_gates(result, Settings.from_dict(settings), split, choice, live_classes(dataset))
    except Refusal as refusal:
        logger.warning("held back", extra={"code": refusal.code})
        answer["refusal"] = refusal.as_dict()
    return answer


def validate(
    folder: layout.RunFolder,
    split: dict[str, Any],
    choice: dict[str, Any],
    endpoint_kind: str,
    deadline: float,
) -> dict[str, Any]:
    """Write ``predictions.csv`` and ``metrics.json`` of a run, and return the metrics."""
    schema = Schema.from_dict(read_json(s3, RUNS_BUCKET, folder / layout.SCHEMA))
    trained = {name: rows["train"] for name, rows in split["classes"].items()}
    validation = Validation(schema.classes, trained)
    held_out = HeldOut(s3, runtime, RUNS_BUCKET, folder.run, endpoint_kind, deadline)
    written = lines_of(folder / layout.HELD_OUT.removesuffix(".csv"))
    originals = csv.reader(written, delimiter=schema.delimiter, skipinitialspace=True)
    rows = rows_of(folder / "test/", int(split["hyperparameters"]["feature_dim"]))
    with ObjectWriter(s3, RUNS_BUCKET) as writer:
        table = csv.writer(writer.open(folder / layout.PREDICTIONS), lineterminator="\n")
        names = [column.name for column in schema.columns]
        table.writerow([*names, "Prediction", "Result", "Confidence"])
        answers = held_out.neighbors(rows, choice["k"])
        for row, (true, neighbors) in zip(originals, answers, strict=True):
            predicted, shares = vote(*neighbors, choice["weights"])
            validation.add(true, predicted, shares, len(neighbors.labels))
            confidence = f"{shares[predicted]:.4f}"
            table.writerow([*row, schema.classes[predicted], true == predicted, confidence])
    result = validation.metrics()
    write_json(s3, RUNS_BUCKET, folder / layout.METRICS, result)
    return result


def live_classes(dataset: str) -> list[str]:
    """Return the classes that a dataset's live model has learned; none if it has no live model."""
    run = live_run(registry, dataset)
    if run is None:
        return []
    split = read_json(s3, RUNS_BUCKET, layout.RunFolder(run) / layout.SPLIT)
    return [name for name, rows in split["classes"].items() if rows["train"]]


def rows_of(prefix: str, width: int) -> Iterator[tuple[float, ...]]:
    """Yield the rows of so many features, and last a label, of the records of a file."""
    for file in files_of(prefix):
        yield from read_records(file, width)


def lines_of(prefix: str) -> Iterator[str]:
    """Yield the lines of a file."""
    for file in files_of(prefix):
        yield from TextIOWrapper(file, encoding="utf-8", newline="")


def files_of(prefix: str) -> Iterator[BinaryIO]:
    """Yield a file, or its parts in their order."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=RUNS_BUCKET, Prefix=prefix)
    for key in (found["Key"] for page in pages for found in page.get("Contents", ())):
        # Earlier releases tested on CSV.
        if "/test/" in key and key.endswith(".csv"):
            raise BegunBeforeUpdate
        with smart_s3.open(RUNS_BUCKET, key, "rb", client=s3, buffer_size=1024 * 1024) as file:
            yield cast("BinaryIO", file)
