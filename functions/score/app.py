"""Score: a file of rows comes back with what the live model predicts of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from pipeline import layout
from pipeline.batch import BatchStatus, read_status, write_status
from pipeline.errors import Refusal
from pipeline.handling import deadline_of, logger, metrics, once, read_environment, tracer
from pipeline.mail import MailSettings, send_email, unless_refused
from pipeline.registry import LiveModel, live_model
from pipeline.rejects import as_refusals
from pipeline.uploaded import find_file
from score.files import BatchFiles, Model
from score.words import body, subject

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

ENDPOINT_ROWS = 10_000
"""Up to so many rows the live endpoint is asked, as the API would ask it at once. More are for a
batch transform job, which takes minutes to start and no capacity from the API's clients."""


@dataclass(frozen=True)
class Environment(MailSettings):
    """What Score is told."""

    runs_bucket: str
    registry_table: str
    api_url: str


environment = read_environment(Environment)
s3 = boto3.client("s3")
runtime = boto3.client(
    "sagemaker-runtime", config=Config(retries={"mode": "standard", "max_attempts": 6})
)
registry = boto3.resource("dynamodb").Table(environment.registry_table)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do a step of scoring an uploaded file."""
    logger.set_correlation_id(event["batch"])
    tracer.put_annotation("batch", event["batch"])
    return STEPS[event["step"]](event, deadline_of(context))


def prepare(event: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Write what the model sees of the rows, in parts; return how they are to be scored."""
    batch, file = event["batch"], event["file"]
    write_status(s3, environment.runs_bucket, batch, BatchStatus.SCORING, file=file_name(event))
    try:
        with as_refusals():
            live = model_to_ask(file["key"])
            model = Model.read(s3, environment.runs_bucket, live.run)
            files = BatchFiles(s3, environment.runs_bucket, batch)
            counts = files.prepare(find_file(s3, **file), live.run, model, deadline)
    except Refusal as refusal:
        logger.warning("refused", extra={"code": refusal.code})
        return {"refusal": refusal.as_dict()}
    is_small = counts["rows"] <= ENDPOINT_ROWS and live.endpoint_kind != "async"
    logger.info("prepared", extra=counts)
    return {
        "run": live.run,
        "endpoint_name": live.endpoint_name if is_small else None,
        "prepared": counts,
    }


def file_name(event: dict[str, Any]) -> str:
    """Return what a batch's file is called: what the API was told, or by its key."""
    told = read_status(s3, environment.runs_bucket, event["batch"]) or {}
    return str(told.get("file") or event["file"]["key"].rpartition("/")[2])


def model_to_ask(key: str) -> LiveModel:
    """Return the live model that a file's key names; raise a `Refusal` if it names none."""
    dataset = layout.dataset_to_score(key)
    live = live_model(registry, dataset) if layout.is_dataset(dataset) else None
    if live is None:
        raise Refusal(
            "NoLiveModel",
            f'No model of "{dataset}" is live.'
            if dataset
            else "The file is not in a dataset's folder.",
            f"Upload it to {layout.SCORE}, a dataset with a live model, and a slash, for example "
            f"{layout.SCORE}iris/new.csv.",
        )
    return live


def write(event: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Write the rows with what the model predicts; return how often it predicts each class."""
    model = Model.read(s3, environment.runs_bucket, event["run"])
    files = BatchFiles(s3, environment.runs_bucket, event["batch"])
    run, parts = event["run"], event["prepared"]["parts"]
    if endpoint := event["endpoint_name"]:
        answers = files.ask(runtime, endpoint, run, parts)
    else:
        answers = files.transformed(run, parts)
    try:
        return {"predicted": files.write_result(model, answers, deadline)}
    except Refusal as refusal:
        return {"predicted": {}, "refusal": refusal.as_dict()}


def report(event: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Note how a batch ended, and tell it by email."""
    batch, problem = event["batch"], event.get("problem")
    facts: dict[str, Any] = {"file": file_name(event)}
    if problem:
        refused = "remedy" in problem
        status = BatchStatus.REFUSED if refused else BatchStatus.FAILED
        facts["error"] = problem if refused else failure(problem)
    else:
        status = BatchStatus.SCORED
        counts, predicted = event["prepared"], event["predicted"]
        facts |= {"run": event["run"], "rows": counts["rows"] + counts["set_aside"]}
        facts |= {"scored": counts["rows"], "set_aside": counts["set_aside"]}
        facts["predicted"] = predicted
        metrics.add_metric("RowsScored", MetricUnit.Count, counts["rows"])
    told = write_status(s3, environment.runs_bucket, batch, status, **facts)
    metrics.add_metric(f"Batches{status}", MetricUnit.Count, 1)
    if environment.report_addresses:
        # The result is in the batch's folder, regardless of the email.
        with unless_refused():
            send(run=batch, told=told)
    return {"status": status}


def failure(error: dict[str, Any]) -> dict[str, str]:
    """Log an error that isn't the file's, and return what is told of it."""
    logger.error("not scored", extra={"error": error.get("Error")})
    return {
        "code": "NotScored",
        "message": "Something went wrong while the rows were scored.",
        "remedy": "Upload the file again. If that fails too, ask who runs this: the log of Score "
        "has the reason.",
    }


@once
def send(*, run: str, told: dict[str, Any]) -> dict[str, str]:
    """Email how a batch ended, once: a retry after it has gone sends no second one."""
    folder = f"s3://{environment.runs_bucket}/{layout.BatchFolder(run).prefix}"
    text = body(told, folder, environment.api_url)
    return send_email(
        environment,
        {
            "Subject": {"Data": subject(told), "Charset": "UTF-8"},
            "Headers": [{"Name": "X-Batch", "Value": run}],
            "Body": {"Text": {"Data": text, "Charset": "UTF-8"}},
        },
    )


STEPS: dict[str, Callable[[dict[str, Any], float], dict[str, Any]]] = {
    "prepare": prepare,
    "write": write,
    "report": report,
}
