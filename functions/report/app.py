"""Report: how a run ended, to its folder, the registry and the email."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from pipeline import layout
from pipeline.handling import logger, metrics, once, read_environment, tracer
from pipeline.mail import MailSettings, send_email, unless_refused
from pipeline.objects import write_json
from pipeline.registry import Status, live_run, record_status, run_sort
from report.facts import Facts
from report.gather import ReportedRun, gather, illustrated, problem_of
from report.render import mail as mail_html
from report.render import page, text
from report.verdict import subject

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_sesv2.type_defs import AttachmentTypeDef

    from report.pictures import Picture


@dataclass(frozen=True)
class Environment(MailSettings):
    """What Report is told. Without an `event_source` no verdict is told."""

    runs_bucket: str
    registry_table: str
    event_source: str
    api_url: str
    api_authorization: str
    training_instance_type: str


environment = read_environment(Environment)
RUNS_BUCKET = environment.runs_bucket
s3 = boto3.client("s3")
# In a network without a way to EventBridge nothing answers.
events = boto3.client(
    "events", config=Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 2})
)
registry = boto3.resource("dynamodb").Table(environment.registry_table)


@logger.inject_lambda_context(correlation_id_path="run", clear_state=True)
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Report a run's outcome; the run that it replaced, if any, is noted as retired.

    What is recorded doesn't depend on the email: an address that nobody has confirmed yet takes
    none.
    """
    run = event["run"]
    tracer.put_annotation("run", run)
    item = registry.get_item(Key={"dataset": event["dataset"], "sort": run_sort(run)})["Item"]
    ended = as_it_ended(event, item)
    # First: what is true of the run doesn't depend on whether it can be read, drawn or mailed.
    status, problem = Status(ended["outcome"]), problem_of(ended)
    record_status(registry, s3, RUNS_BUCKET, run, status, error=problem)
    if replaced := event.get("replaced"):
        record_status(registry, s3, RUNS_BUCKET, replaced, Status.RETIRED)
    files = ReportedRun(s3, RUNS_BUCKET, run)
    facts = gather(
        ended,
        item,
        files,
        live_run=live_run(registry, event["dataset"]),
        api_url=environment.api_url,
        api_authorization=environment.api_authorization,
        instance_type=environment.training_instance_type,
    )
    if facts.metrics:
        accuracy = Decimal(str(facts.metrics["accuracy"]))
        record_status(registry, s3, RUNS_BUCKET, run, status, accuracy=accuracy)
    facts, pictures = illustrated(facts, files)
    html_key, body = files.folder / layout.REPORT, page(facts, pictures).encode()
    s3.put_object(Bucket=RUNS_BUCKET, Key=html_key, Body=body, ContentType="text/html")
    write_json(s3, RUNS_BUCKET, files.folder / layout.REPORT_FACTS, facts.as_dict())
    if environment.report_addresses:
        # The report is in the run's folder, regardless of the email.
        with unless_refused():
            send(run=facts.run, facts=facts, pictures=pictures)
    if environment.event_source:
        tell_verdict(facts, html_key)
    metrics.add_metric(f"Runs{facts.status}", MetricUnit.Count, 1)
    # One or zero, so that the average over a time is the share of refused runs.
    metrics.add_metric("Refused", MetricUnit.NoUnit, int(facts.status is Status.REFUSED))
    logger.info("reported", extra={"status": facts.status})
    return {"run": run, "status": facts.status, "report": html_key}


def as_it_ended(event: dict[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event whose outcome is the one that was recorded before, if one was.

    Whoever reports a run again, as its report had failed, knows less of it than the first.
    """
    standing = Status(str(item["status"]))
    if not standing.has_ended or standing in (event["outcome"], Status.RETIRED):
        return event
    logger.warning("ended before", extra={"standing": standing, "outcome": event["outcome"]})
    return event | {"outcome": standing, "problem": item.get("error")}


@once
def send(*, run: str, facts: Facts, pictures: Sequence[Picture]) -> dict[str, str]:
    """Email the report, once a run: a retry after it has gone sends no second one."""
    html = mail_html(facts, pictures)
    shown = [picture for picture in pictures if f"cid:{picture.name}" in html]
    return send_email(
        environment,
        {
            "Subject": {"Data": subject(facts), "Charset": "UTF-8"},
            "Headers": [{"Name": "X-Run", "Value": run}],
            "Body": {
                "Text": {"Data": text(facts), "Charset": "UTF-8"},
                "Html": {"Data": html, "Charset": "UTF-8"},
            },
            "Attachments": [inline(picture.name, picture.png) for picture in shown],
        },
    )


def inline(name: str, png: bytes) -> AttachmentTypeDef:
    """Return a picture as SES attaches it. Source: SES API v2 reference, Attachment."""
    return {
        "ContentId": name,
        "FileName": f"{name}.png",
        "RawContent": png,
        "ContentType": "image/png",
        "ContentDisposition": "INLINE",
        # Without this it is SEVEN_BIT, which a picture isn't.
        "ContentTransferEncoding": "BASE64",
    }


class VerdictNotTakenError(Exception):
    """EventBridge answered, but didn't take the event."""


def tell_verdict(facts: Facts, html_key: str) -> None:
    """Tell how the run ended as an event. If EventBridge doesn't take it, log and count it."""
    try:
        put_verdict(run=facts.run, facts=facts, html_key=html_key)
    except (ClientError, HTTPClientError, NoConnection, VerdictNotTakenError):
        logger.exception("verdict not told")
        metrics.add_metric("MailsNotSent", MetricUnit.Count, 1)


@once
def put_verdict(*, run: str, facts: Facts, html_key: str) -> dict[str, str]:
    """Put the event "Run Reported" on the default bus, once a run."""
    detail = {
        "dataset": facts.dataset,
        "run": run,
        "status": facts.status,
        "verdict": subject(facts),
        "report": html_key,
    }
    answer = events.put_events(
        Entries=[
            {
                "Source": environment.event_source,
                "DetailType": "Run Reported",
                "Detail": json.dumps(detail),
            }
        ]
    )
    (entry,) = answer["Entries"]
    if "ErrorCode" in entry:
        raise VerdictNotTakenError(f"{entry['ErrorCode']}: {entry.get('ErrorMessage', '')}")
    logger.info("verdict told")
    return {"event_id": entry["EventId"]}
