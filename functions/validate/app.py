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

from pipeline import run as layout
from pipeline.errors import Refusal
from pipeline.objects import CsvWriter, keys_under, read_json, read_text, write_json
from pipeline.registry import live_schema
from pipeline.schema import Schema
from pipeline.settings import Settings
from pipeline.vote import vote
from validate.gates import check_gates
from validate.held_out import HeldOut
from validate.metrics import Validation

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
registry = boto3.resource("dynamodb").Table(os.environ["REGISTRY_TABLE"])


@logger.inject_lambda_context(correlation_id_path="run", clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Validate a run; return why its model may not go live, if it may not."""
    run = event["run"]
    tracer.put_annotation("run", run)
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    result = validate(run, event["endpoint_kind"], deadline)
    metrics.add_dimensions(dataset=layout.dataset_of_run(run))
    metrics.add_metric("Accuracy", MetricUnit.NoUnit, result["accuracy"])
    metrics.add_metric("MacroF1", MetricUnit.NoUnit, result["macro_f1"])
    logger.info("validated", extra={name: result[name] for name in ("accuracy", "macro_f1")})
    answer = {name: result[name] for name in ("rows", "accuracy", "macro_f1")}
    try:
        gate(run, result)
    except Refusal as refusal:
        logger.warning("held back", extra={"code": refusal.code})
        answer["refusal"] = refusal.as_dict()
    return answer


def validate(run: str, endpoint_kind: str, deadline: float) -> dict[str, Any]:
    """Write ``predictions.csv`` and ``metrics.json`` of a run, and return the metrics."""
    folder = layout.RunFolder(run)
    schema = Schema.from_dict(read_json(s3, RUNS_BUCKET, folder / layout.SCHEMA))
    choice = read_json(s3, RUNS_BUCKET, folder / layout.CHOICE)
    trained = {
        name: sides["train"]
        for name, sides in read_json(s3, RUNS_BUCKET, folder / layout.SPLIT)["classes"].items()
    }
    validation = Validation(schema.classes, sum(map(bool, trained.values())), choice["k"])
    held_out = HeldOut(s3, runtime, RUNS_BUCKET, run, endpoint_kind, deadline)
    written = lines_of(folder / layout.HELD_OUT.removesuffix(".csv"))
    originals = csv.reader(written, delimiter=schema.delimiter, skipinitialspace=True)
    with CsvWriter(s3, RUNS_BUCKET) as writer:
        table = csv.writer(writer.open(folder / layout.PREDICTIONS), lineterminator="\n")
        names = [column.name for column in schema.columns]
        table.writerow([*names, "Prediction", "Result", "Confidence"])
        answers = held_out.neighbors(lines_of(folder / "test/"), choice["k"])
        for row, (true, neighbors) in zip(originals, answers, strict=True):
            predicted, shares = vote(*neighbors, choice["weights"])
            validation.add(true, predicted, shares)
            confidence = f"{shares[predicted]:.4f}"
            table.writerow([*row, schema.classes[predicted], true == predicted, confidence])
    result = validation.metrics(max(trained, key=trained.__getitem__), list(trained))
    write_json(s3, RUNS_BUCKET, folder / layout.METRICS, result)
    return result


def gate(run: str, result: dict[str, Any]) -> None:
    """Raise a `Refusal` if a validated model may not go live."""
    folder = layout.RunFolder(run)
    settings = Settings.from_dict(read_json(s3, RUNS_BUCKET, folder / layout.SETTINGS))
    of_file = read_json(s3, RUNS_BUCKET, folder / layout.SPLIT)["classes"]
    live = live_schema(registry, s3, RUNS_BUCKET, layout.dataset_of_run(run))
    choice = read_json(s3, RUNS_BUCKET, folder / layout.CHOICE)
    check_gates(result, settings, of_file, live.classes if live else (), what_was_tried(choice))


def what_was_tried(choice: dict[str, Any]) -> str:
    """Return what cross-validation found, in a sentence for who wonders what else to try."""
    names = {"none": "as they are", "zscore": "z-scores", "minmax": "from 0 to 1", "nca": "NCA"}
    best: dict[str, float] = {}
    for score in choice["scores"]:
        accuracy = score["accuracy"]["mean"]
        best[score["map"]] = max(accuracy, best.get(score["map"], 0.0))
    if not best:
        return ""
    found = ", ".join(f"{names.get(name, name)} {value:.3f}" for name, value in best.items())
    return f"Cross-validation on the training rows tried features {found}."


def lines_of(prefix: str) -> Iterator[str]:
    """Yield the lines of a file, or of its parts in their order."""
    for key in keys_under(s3, RUNS_BUCKET, prefix):
        with read_text(s3, RUNS_BUCKET, key) as lines:
            yield from lines
