"""What the handlers of Preprocess and Split have around them, and how a run goes on from them."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from pipeline.errors import Refusal
from pipeline.registry import Status, record_status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
STATE_MACHINE_ARN = os.environ["STATE_MACHINE_ARN"]

_SPARE_SECONDS = 30
"""Left of a function's time for refusing a file that takes too long."""

logger = Logger()
tracer = Tracer()
metrics = Metrics()
s3 = boto3.client("s3")
sfn = boto3.client("stepfunctions")
registry = boto3.resource("dynamodb").Table(os.environ["REGISTRY_TABLE"])


def deadline_of(context: LambdaContext) -> float:
    """Return until when a function may work, on the clock of `time.monotonic`."""
    return time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS


def start_run(run: str, fields: dict[str, Any], state_machine_arn: str = STATE_MACHINE_ARN) -> None:
    """Start the execution that is named after the run; if there was one already, do nothing.

    Names of standard executions are kept for 90 days. Source: Step Functions API reference,
    StartExecution.
    """
    try:
        sfn.start_execution(
            stateMachineArn=state_machine_arn, name=run, input=json.dumps({"run": run, **fields})
        )
    except sfn.exceptions.ExecutionAlreadyExists:
        return


def train(run: str, facts: dict[str, Any], split: dict[str, Any]) -> None:
    """Start the execution that trains on a run's rows, as ``split.json`` says."""
    record_status(registry, s3, RUNS_BUCKET, run, Status.TRAINING)
    start_run(run, {**facts, "hyperparameters": split["hyperparameters"]})
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
