"""Report: how a run ended, to its folder, the registry and the mail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

from explain import explain
from message import Facts, html, subject, text
from pipeline import run as layout
from pipeline.objects import read_json
from pipeline.registry import Status, record_status, run_sort

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
REPORT_ADDRESS = os.environ["REPORT_ADDRESS"]
API_URL = os.environ["API_URL"]

logger = Logger()
tracer = Tracer()
metrics = Metrics()
s3 = boto3.client("s3")
ses = boto3.client("sesv2")
registry = boto3.resource("dynamodb").Table(os.environ["REGISTRY_TABLE"])
idempotency = IdempotencyConfig(expires_after_seconds=24 * 3600)


@logger.inject_lambda_context(correlation_id_path="run")
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Report a run's outcome; the run that it replaced, if any, is noted as retired."""
    tracer.put_annotation("run", event["run"])
    idempotency.register_lambda_context(context)
    facts = gather(event)
    html_key = layout.RunFolder(facts.run) / layout.REPORT
    s3.put_object(
        Bucket=RUNS_BUCKET, Key=html_key, Body=html(facts).encode(), ContentType="text/html"
    )
    if REPORT_ADDRESS:
        send(outcome=f"{facts.run} {facts.status}", facts=facts)
    record_status(registry, s3, RUNS_BUCKET, facts.run, facts.status, error=facts.problem)
    if replaced := event.get("replaced"):
        record_status(registry, s3, RUNS_BUCKET, replaced, Status.RETIRED)
    metrics.add_metric(f"Runs{facts.status}", MetricUnit.Count, 1)
    logger.info("reported", extra={"status": facts.status})
    return {"run": facts.run, "status": facts.status, "report": html_key}


def gather(event: dict[str, Any]) -> Facts:
    """Return the facts of a run from what the state machine passes and what its folder holds."""
    run = event["run"]
    folder = layout.RunFolder(run)
    item = registry.get_item(Key={"dataset": event["dataset"], "sort": run_sort(run)})["Item"]
    source: Any = item["source"]
    problem = event.get("problem")
    if problem and "Error" in problem:
        problem = explain(problem["Error"], problem.get("Cause", ""))
    status = Status(event["outcome"])
    return Facts(
        run=run,
        dataset=event["dataset"],
        status=status,
        source=f"s3://{source['bucket']}/{source['key']}",
        folder=f"s3://{RUNS_BUCKET}/{folder.prefix}/",
        metrics=_read_if_there(folder / layout.METRICS),
        training_accuracy=event.get("training_accuracy"),
        profile=_read_if_there(folder / layout.PROFILE),
        problem=problem,
        predictions_url=f"{API_URL}/datasets/{event['dataset']}/predictions"
        if status is Status.LIVE
        else None,
    )


@idempotent_function(
    data_keyword_argument="outcome",
    persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"]),
    config=idempotency,
)
def send(*, outcome: str, facts: Facts) -> dict[str, str]:
    """Mail the report, once an outcome: a retry after the mail has gone sends no second one."""
    answer = ses.send_email(
        FromEmailAddress=REPORT_ADDRESS,
        Destination={"ToAddresses": [REPORT_ADDRESS]},
        Content={
            "Simple": {
                "Subject": {"Data": subject(facts), "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": text(facts), "Charset": "UTF-8"},
                    "Html": {"Data": html(facts), "Charset": "UTF-8"},
                },
            }
        },
    )
    logger.info("mailed", extra={"outcome": outcome})
    return {"message_id": answer["MessageId"]}


def _read_if_there(key: str) -> Any:
    try:
        return read_json(s3, RUNS_BUCKET, key)
    except s3.exceptions.NoSuchKey:
        return None
