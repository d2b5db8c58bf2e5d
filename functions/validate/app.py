"""Validate: every held-out row through the run's endpoint, before it gets any traffic."""

from __future__ import annotations

import csv
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from pipeline import layout
from pipeline.algorithm import vote
from pipeline.errors import BegunBeforeUpdate, Refusal
from pipeline.handling import deadline_of, logger, metrics, read_environment, tracer
from pipeline.objects import ObjectWriter, write_json
from pipeline.registry import LiveModel, live_model
from pipeline.schema import Schema
from pipeline.settings import Settings
from validate.drift import drift
from validate.files import RunFiles
from validate.gates import check_gates, check_restored
from validate.held_out import HeldOut
from validate.live import compare
from validate.metrics import Validation
from validate.wrong import MAX_ROWS, Wrong, described, lines_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True)
class Environment:
    """What Validate is told."""

    runs_bucket: str
    registry_table: str


environment = read_environment(Environment)
RUNS_BUCKET = environment.runs_bucket
s3 = boto3.client("s3")
runtime = boto3.client(
    "sagemaker-runtime", config=Config(retries={"mode": "standard", "max_attempts": 6})
)
LIVE_SECONDS, LIVE_TIMEOUT = 600, 20
"""For how long the live model is asked at most, and how long one question may take. An asynchronous
endpoint may have to start from zero."""
live_runtime = boto3.client(
    "sagemaker-runtime",
    config=Config(connect_timeout=2, read_timeout=LIVE_TIMEOUT, retries={"total_max_attempts": 1}),
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
    files = RunFiles(s3, RUNS_BUCKET, run)
    split, choice = files.read(layout.SPLIT), files.read_if_there(layout.CHOICE)
    if choice is None:
        raise BegunBeforeUpdate
    dataset = layout.dataset_of_run(run)
    restores = event.get("restores")
    # Who goes back doesn't wait for a model that may be broken.
    live = None if restores else live_model(registry, dataset)
    result = validate(files, split, choice, event["endpoint_kind"], live, deadline)
    metrics.add_dimensions(dataset=dataset)
    metrics.add_metric("Accuracy", MetricUnit.NoUnit, result["accuracy"])
    metrics.add_metric("MacroF1", MetricUnit.NoUnit, result["macro_f1"])
    answer = {name: result[name] for name in ("rows", "accuracy", "macro_f1")}
    logger.info("validated", extra=answer)
    settings = files.read_if_there(layout.SETTINGS) or {}
    try:
        if restores:
            before = RunFiles(s3, RUNS_BUCKET, restores).read(layout.METRICS)
            check_restored(result, before, restores)
        else:
            check_gates(result, Settings.from_dict(settings), split, choice, live_classes(live))
    except Refusal as refusal:
        logger.warning("held back", extra={"code": refusal.code})
        answer["refusal"] = refusal.as_dict()
    return answer


def validate(
    run: RunFiles,
    split: dict[str, Any],
    choice: dict[str, Any],
    endpoint_kind: str,
    live: LiveModel | None,
    deadline: float,
) -> dict[str, Any]:
    """Write what a run's model predicts, how good that is, and the first wrong ones.

    Returns the metrics.
    """
    folder = layout.RunFolder(run.run)
    schema = Schema.from_dict(run.read(layout.SCHEMA))
    trained = {name: rows["train"] for name, rows in split["classes"].items()}
    validation = Validation(schema.classes, trained)
    inputs = layout.AsyncFolder(run.run) / "input/validation"
    held_out = HeldOut(s3, runtime, RUNS_BUCKET, run.run, endpoint_kind, inputs, deadline)
    records = run.records(int(split["hyperparameters"]["feature_dim"]))
    wrong: list[Wrong] = []
    # True and predicted classes, of which there may be a thousand.
    outcomes = array("H"), array("H")
    with ObjectWriter(s3, RUNS_BUCKET) as writer:
        table = csv.writer(writer.open(folder / layout.PREDICTIONS), lineterminator="\n")
        names = [column.name for column in schema.columns]
        table.writerow([*names, "Prediction", "Result", "Confidence"])
        answers = held_out.neighbors(records, choice["k"])
        for row, (record, neighbors) in zip(run.held_out(schema), answers, strict=True):
            *features, label = record
            true, (predicted, shares) = int(label), vote(*neighbors, choice["weights"])
            validation.add(true, predicted, shares, len(neighbors.labels))
            outcomes[0].append(true)
            outcomes[1].append(predicted)
            if true != predicted and len(wrong) < MAX_ROWS:
                wrong.append(Wrong(row, features, true, predicted, shares))
            confidence = f"{shares[predicted]:.4f}"
            table.writerow([*row, schema.classes[predicted], true == predicted, confidence])
    result = validation.metrics()
    # An update may come between Split and Validate: then there is no sample.
    sample = run.read_if_there(layout.TRAINING_SAMPLE) or {"rows": [], "mapped": []}
    lines = lines_of(wrong, schema, run.read(layout.SAMPLE)["rows"]) if wrong else {}
    content = {
        "rows": described(wrong, schema, sample, choice["metric"], lines),
        "of": validation.wrong,
        "sample": {"rows": len(sample["rows"]), "of": sum(trained.values())},
    }
    write_json(s3, RUNS_BUCKET, folder / layout.WRONG, content)
    result["live"] = against_live(run, live, outcomes, deadline) if live else None
    write_json(s3, RUNS_BUCKET, folder / layout.METRICS, result)
    return result


def against_live(
    run: RunFiles, live: LiveModel, outcomes: tuple[array[int], array[int]], deadline: float
) -> dict[str, Any]:
    """Return how the live model and its data compare with a run's, as its metrics hold it."""
    theirs = RunFiles(s3, RUNS_BUCKET, live.run)
    own = theirs.read_if_there(layout.METRICS)
    inputs = layout.AsyncFolder(run.run) / "input/live"
    until = min(deadline - LIVE_TIMEOUT, time.monotonic() + LIVE_SECONDS)
    endpoint = live.endpoint_name, live.endpoint_kind
    held_out = HeldOut(s3, live_runtime, RUNS_BUCKET, *endpoint, inputs, until)
    return {
        "run": live.run,
        "own": own and {name: own[name] for name in ("rows", "accuracy", "macro_f1")},
        "drift": drift(theirs, run),
        **compare(run, theirs, held_out, *outcomes),
    }


def live_classes(live: LiveModel | None) -> list[str]:
    """Return the classes that a live model has learned; none if there is no live model."""
    if live is None:
        return []
    split = RunFiles(s3, RUNS_BUCKET, live.run).read(layout.SPLIT)
    return [name for name, rows in split["classes"].items() if rows["train"]]
