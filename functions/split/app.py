"""Split: clean rows become rows to train on and rows held out; then training starts."""

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

from pipeline import run as layout
from pipeline.byte_ranges import find_object, read_ranges
from pipeline.errors import Refusal
from pipeline.executions import start_refused_run, start_run
from pipeline.objects import CsvWriter, read_json, write_json
from pipeline.once import ONCE
from pipeline.registry import Status, record_status
from pipeline.schema import Schema
from pipeline.settings import Settings
from pipeline.transform import Transform
from split.choose import Choice
from split.plan import Plan, State, index_of, memory_mb, merged
from split.rows import Reader
from split.split import choose_by_sample, write_part

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
STATE_MACHINE_ARN = os.environ["STATE_MACHINE_ARN"]
ENDPOINT_MEMORY_MB = memory_mb(os.environ["ENDPOINT_SIZE"])
SPARE_SECONDS = 30
"""Left of the function's time for refusing a file that takes too long."""

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
    """Split the clean rows whose manifest was written."""
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
    folder = layout.RunFolder(run)
    if not record_status(registry, s3, RUNS_BUCKET, run, Status.PREPARING):
        # An event may come after weeks, from the dead-letter queue: what a model was made of stays.
        split = read_json(s3, RUNS_BUCKET, folder / layout.SPLIT)
        start_run(
            sfn, STATE_MACHINE_ARN, run, {**facts, "hyperparameters": split["hyperparameters"]}
        )
        logger.info("split before")
        return {"run": run}
    try:
        result = split_whole(run, manifest, deadline)
    except Refusal as refusal:
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        start_refused_run(sfn, STATE_MACHINE_ARN, run, facts, refusal)
        return {"run": run, "refusal": refusal.as_dict()}
    train(run, facts, result)
    return {"run": run, "rows": result["rows"]}


def split_whole(run: str, manifest: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Write all that a run is trained and tested on; return how the rows were split.

    Raises
    ------
    Refusal
        The rows can't be put on two sides as the settings ask, or not in time, or are fewer than
        the neighbours that vote.
    """
    folder = layout.RunFolder(run)
    plan = plan_of(run, manifest["parts"])
    key = manifest["parts"][0]["data"]
    state = plan.begin()
    while state["step"] == "count":
        rows = Reader(plan.schema).read(chunks(key, deadline))
        state = plan.narrow(state, plan.count(state, rows)["counts"])
    choice, transform = choose_for(run, plan, state)
    with CsvWriter(s3, RUNS_BUCKET) as writer:
        sinks = [
            writer.open_bytes(folder / n) for n in (layout.TRAIN, layout.TEST, layout.HELD_OUT)
        ]
        written = write_part(
            plan,
            state,
            0,
            chunks(key, deadline),
            transform,
            sinks,
            has_missing=has_missing(run),
        )
        sides, duplicates = merged([written], plan.rows, len(plan.class_counts))
        result = plan.summary(sides, duplicates, choice.chosen.k)
    return finish(run, plan, result, choice.as_dict(), transform.feature_dim)


def plan_of(run: str, parts: list[dict[str, Any]]) -> Plan:
    """Return the plan of a run's split."""
    folder = layout.RunFolder(run)
    schema = Schema.from_dict(read_json(s3, RUNS_BUCKET, folder / layout.SCHEMA))
    settings = Settings.from_dict(read_json(s3, RUNS_BUCKET, folder / layout.SETTINGS))
    return Plan(schema, settings, [part["classes"] for part in parts])


def choose_for(run: str, plan: Plan, state: State) -> tuple[Choice, Transform]:
    """Write what a run chose and the transform that it is; return both."""
    folder = layout.RunFolder(run)
    sample = read_json(s3, RUNS_BUCKET, folder / layout.SAMPLE)["rows"]
    began = time.monotonic()
    choice, transform = choose_by_sample(plan, state, sample)
    metrics.add_metric("ChoiceSeconds", MetricUnit.Seconds, time.monotonic() - began)
    write_json(s3, RUNS_BUCKET, folder / layout.TRANSFORM, transform.as_dict())
    write_json(s3, RUNS_BUCKET, folder / layout.CHOICE, choice.as_dict())
    return choice, transform


def has_missing(run: str) -> bool:
    """Whether a value is missing in a row that was kept."""
    profile = read_json(s3, RUNS_BUCKET, layout.RunFolder(run) / layout.PROFILE)
    return any(feature["missing"] for feature in profile["features"].values())


def finish(
    run: str, plan: Plan, result: dict[str, Any], choice: dict[str, Any], feature_dim: int
) -> dict[str, Any]:
    """Write how the rows were split, with the hyperparameters to train with; return it."""
    rows = result["rows"]["train"]
    hyperparameters = {
        "k": str(choice["k"]),
        "feature_dim": str(feature_dim),
        "index_metric": choice["metric"],
        **index_of(rows, feature_dim, plan.settings, ENDPOINT_MEMORY_MB),
    }
    result = {**result, "hyperparameters": hyperparameters}
    write_json(s3, RUNS_BUCKET, layout.RunFolder(run) / layout.SPLIT, result)
    for channel, count in result["rows"].items():
        metrics.add_metric(f"{channel.title()}Rows", MetricUnit.Count, count)
    return result


def train(run: str, facts: dict[str, Any], result: dict[str, Any]) -> None:
    """Start the execution that trains on a run's rows."""
    record_status(registry, s3, RUNS_BUCKET, run, Status.TRAINING)
    start_run(sfn, STATE_MACHINE_ARN, run, {**facts, "hyperparameters": result["hyperparameters"]})
    logger.info("split", extra={"rows": result["rows"]})


def chunks(key: str, deadline: float) -> Iterator[bytes]:
    """Yield the bytes of clean rows, for as long as there is time."""
    for chunk in read_ranges(s3, find_object(s3, RUNS_BUCKET, key)):
        if time.monotonic() > deadline:
            raise Refusal(
                "OutOfTime",
                "The file's rows take longer to split than there is time.",
                "Upload it as plain UTF-8 without compression: then a large file is read in parts, "
                "all at once (the parameter LargeFileMegabytes says from which size on).",
            )
        yield chunk
