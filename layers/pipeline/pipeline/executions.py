"""How a run goes on from Preprocess and Split: by an execution that is named after it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit

from pipeline.errors import Refusal
from pipeline.handling import logger, metrics, read_environment
from pipeline.layout import Source, batch_id, dataset_of_run
from pipeline.registry import Status, record_status
from pipeline.settings import Settings


@dataclass(frozen=True)
class Environment:
    """What both functions are told."""

    runs_bucket: str
    registry_table: str
    state_machine_arn: str


_environment = read_environment(Environment)
RUNS_BUCKET = _environment.runs_bucket
s3 = boto3.client("s3")
registry = boto3.resource("dynamodb").Table(_environment.registry_table)
sfn = boto3.client("stepfunctions")


def start_run(
    run: str, fields: dict[str, Any], state_machine_arn: str = _environment.state_machine_arn
) -> None:
    """Start the execution that is named after the run; if there was one already, do nothing."""
    _start(state_machine_arn, run, {"run": run, **fields})


def _start(state_machine_arn: str, name: str, given: dict[str, Any]) -> None:
    """Start an execution, unless there was one of that name.

    Names of standard executions are kept for 90 days. Source: Step Functions API reference,
    StartExecution.
    """
    try:
        sfn.start_execution(stateMachineArn=state_machine_arn, name=name, input=json.dumps(given))
    except sfn.exceptions.ExecutionAlreadyExists:
        return


def start_batch(source: Source, pin: dict[str, Any], state_machine_arn: str) -> str:
    """Start the execution that scores a file of rows; return the batch that it is named after.

    `pin` names the version of the file. If there was an execution already, do nothing.
    """
    batch = batch_id(source)
    logger.set_correlation_id(batch)
    given = {"batch": batch, "dataset": dataset_of_run(batch), "file": pin}
    _start(state_machine_arn, batch, given)
    logger.info("to be scored")
    return batch


def train(run: str, facts: dict[str, Any], split: dict[str, Any], settings: Settings) -> None:
    """Start the execution that trains on a run's rows, as ``split.json`` says."""
    record_status(registry, s3, RUNS_BUCKET, run, Status.TRAINING)
    asked = {"hyperparameters": split["hyperparameters"], "promote": settings.promote}
    # A release before 0.2 prepared the file, if it has none: then the stack's own holds.
    kind = {"endpoint_kind": settings.endpoint_kind} if settings.endpoint_kind else {}
    canary = {"percent": settings.canary_percent, "minutes": settings.canary_minutes}
    start_run(run, {**facts, **asked, **kind, **({"canary": canary} if canary["percent"] else {})})
    for channel, count in split["rows"].items():
        metrics.add_metric(f"{channel.title()}Rows", MetricUnit.Count, count)
    logger.info("split", extra={"rows": split["rows"]})


def refuse(run: str, facts: dict[str, Any], refusal: Refusal) -> dict[str, Any]:
    """Start the execution that reports a refused file; return the handler's answer.

    A refusal may quote the file: customer data, which no log should hold.
    """
    logger.warning("refused", extra={"code": refusal.code})
    metrics.add_metric("Refusals", MetricUnit.Count, 1)
    start_run(run, {**facts, "refusal": refusal.as_dict()})
    return {"run": run, "refusal": refusal.as_dict()}
