"""Predict: the HTTP API in front of the live models."""

from __future__ import annotations

import json
import math
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, ReadTimeoutError
from botocore.exceptions import ConnectionError as NoConnection

from pipeline.endpoint import AsyncPredictionFailed, ask, batches
from pipeline.handling import logger, metrics, read_environment, tracer
from predict.access import SCHEMES, cors_of, read_document
from predict.batches import Batches
from predict.description import described
from predict.docs import read_docs
from predict.errors import RETRY_AFTER, ApiError, Code
from predict.instances import request_to_csv
from predict.later import AsyncPredictions
from predict.models import Models
from predict.page import read_notice, read_page
from predict.predictions import answer_body, check_answer_fits, neighbors_asked, predictions
from predict.rows import held_out_rows, training_sample
from predict.runs import Runs, check_run, unknown_run
from predict.uploads import SIGNED, Inbox, read_upload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

    from pipeline.algorithm import Neighbors
    from pipeline.registry import Canary, LiveModel
    from pipeline.schema import Schema


@dataclass(frozen=True)
class Environment:
    """What Predict is told."""

    runs_bucket: str
    registry_table: str
    api_authorization: str
    api_uploads: str
    api_base_path: str
    api_cors_origins: list[str]


environment = read_environment(Environment)

HTML = f"{content_types.TEXT_HTML}; charset=utf-8"
HTML_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
}
"""A report runs no script, and loads nothing: it quotes files, which may be anybody's."""
STARTING = frozenset({"ModelNotReadyException", "ServiceUnavailable"})
MISSING = frozenset({"ValidationError", "AccessDeniedException"})
"""What SageMaker answers for an endpoint that is gone: denied, as permission to invoke depends on
its tag. Sweep deploys it again."""
BUSY = frozenset({"ThrottlingException", "TooManyRequestsException"})

app = APIGatewayRestResolver(
    cors=cors_of(environment.api_cors_origins),
    # At a domain of one's own the path of a request begins with the domain's base path. Source:
    # Powertools for AWS Lambda (Python), event handler, "Custom Domain API Mappings".
    strip_prefixes=[f"/{environment.api_base_path}"] if environment.api_base_path else None,
)
# API Gateway waits 29 seconds: better a 503 in time than a second attempt behind its back.
storage = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3})
s3 = boto3.client("s3", config=storage.merge(SIGNED))
runtime = boto3.client(
    "sagemaker-runtime",
    config=Config(connect_timeout=2, read_timeout=25, retries={"total_max_attempts": 1}),
)
registry = boto3.resource("dynamodb", config=storage).Table(environment.registry_table)
# One that is tried must leave time to ask the live one after it, of the 29 seconds.
canary_runtime = boto3.client(
    "sagemaker-runtime",
    config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1}),
)
CANARY_SECONDS = 1.0
"""After that no further batch of a request is asked of a model that is tried."""
models = Models(registry, s3, environment.runs_bucket)
later = AsyncPredictions(s3, runtime, environment.runs_bucket)
runs = Runs(registry, s3, environment.runs_bucket)
batches_of_rows = Batches(s3, environment.runs_bucket)


# Don't log or trace request and response bodies: they are customer data.
@logger.inject_lambda_context(
    correlation_id_path=correlation_paths.API_GATEWAY_REST, clear_state=True
)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Route an API Gateway request.

    What is logged of it has its id, and the run whose model is asked as ``correlation_id``.
    """
    logger.append_keys(api_request_id=event["requestContext"]["requestId"])
    answer = app.resolve(event, context)
    request = {"method": event["httpMethod"], "resource": event["resource"]}
    logger.info("answered", extra={**request, "status": answer["statusCode"]})
    return answer


@app.get("/")
def show_page() -> Response[str]:
    """Return the page, which asks for a key itself, if the API takes keys."""
    if environment.api_authorization in SCHEMES:
        page, headers = read_notice(environment.api_authorization)
    else:
        # While the stack is updated the stage may have no variables yet.
        page, headers = read_page(_inbox().origin if app.current_event.stage_variables else "")
    return _answer(HTTPStatus.OK, page, headers, HTML)


@app.get("/docs")
def show_docs() -> Response[str]:
    """Return the API's document as a page."""
    page, headers = read_docs(read_document(environment.api_authorization))
    return _answer(HTTPStatus.OK, page, headers, HTML)


@app.get("/health")
def tell_health() -> dict[str, str]:
    """Tell that the API answers."""
    return {"status": "ok"}


@app.get("/openapi.json")
def document() -> Response[str]:
    """Return the API's document."""
    return _answer(HTTPStatus.OK, read_document(environment.api_authorization))


@app.get("/datasets")
def list_datasets() -> dict[str, Any]:
    """Return the datasets that have a live model."""
    return {
        "datasets": [
            {"dataset": model.dataset, "run": model.run, "promoted": model.promoted}
            for model in models.all_live()
        ]
    }


@app.get("/datasets/<dataset>")
def describe_dataset(dataset: str) -> dict[str, Any]:
    """Return the live model of a dataset, and what a client needs to ask it."""
    return described(models, models.live(dataset))


@app.get("/datasets/<dataset>/runs")
def list_runs(dataset: str) -> dict[str, Any]:
    """Return what became of the files of a dataset, the newest first."""
    return runs.page(dataset, _query("next"))


@app.get("/datasets/<dataset>/runs/<run>")
def describe_run(dataset: str, run: str) -> dict[str, Any]:
    """Return what became of a file, or how far it is."""
    return runs.one(dataset, run)


@app.get("/datasets/<dataset>/runs/<run>/report")
def read_report(dataset: str, run: str) -> Response[str]:
    """Return the report on a run as a page."""
    page = runs.report(dataset, run)
    return _answer(HTTPStatus.OK, page, HTML_HEADERS, HTML)


@app.get("/datasets/<dataset>/runs/<run>/held-out")
def list_held_out_rows(dataset: str, run: str) -> dict[str, Any]:
    """Return held-out rows and what was predicted of them."""
    schema = _schema(dataset, run)
    asked = {name: _query(name) for name in ("true", "predicted")}
    return held_out_rows(s3, environment.runs_bucket, run, schema, after=_query("next"), **asked)


@app.get("/datasets/<dataset>/runs/<run>/training-sample")
def sample_training_rows(dataset: str, run: str) -> Response[str]:
    """Return some training rows, with what is needed to find those that are nearest to another."""
    found = training_sample(s3, environment.runs_bucket, run, _schema(dataset, run))
    return _answer(HTTPStatus.OK, json.dumps(found))


@app.post("/datasets/<dataset>/uploads")
def presign_upload(dataset: str) -> Response[str]:
    """Return a URL that a file of a dataset can be put to, if the API takes files."""
    if environment.api_uploads == "no":
        message = "This API takes no files. Upload yours to the inbox bucket."
        raise ApiError(403, Code.NO_UPLOADS, message)
    upload = read_upload(dataset, app.current_event.decoded_body or "")
    presigned = _inbox().presigned_put(upload.key, upload.metadata)
    return _answer(HTTPStatus.CREATED, json.dumps(presigned))


@app.post("/datasets/<dataset>/batches")
def create_batch(dataset: str) -> Response[str]:
    """Return a URL that a file of rows can be put to, for the live model to score."""
    models.live(dataset)
    body = app.current_event.decoded_body or ""
    created = batches_of_rows.create(dataset, _inbox(), body)
    return _answer(
        HTTPStatus.CREATED, json.dumps(created), {"Location": f"batches/{created['batch']}"}
    )


@app.get("/datasets/<dataset>/batches/<batch>")
def describe_batch(dataset: str, batch: str) -> dict[str, Any]:
    """Return where a batch stands, and where its result is."""
    return batches_of_rows.one(dataset, batch)


@app.post("/datasets/<dataset>/predictions")
def make_predictions(dataset: str) -> Response[str]:
    """Predict the instances of the body: at once, or later when the endpoint is asynchronous."""
    neighbors = neighbors_asked(_query("neighbors"))
    model = models.live(dataset)
    metrics.add_dimensions(dataset=dataset)
    if model.canary and random.uniform(0, 100) < model.canary.percent:
        return _try(model.canary, model, neighbors)
    if model.endpoint_kind == "async":
        lines = _lines(model.run, neighbors)
        metrics.add_metric("Instances", MetricUnit.Count, len(lines))
        with _in_time():
            prediction_id = later.ask(model.run, model.endpoint_name, "".join(lines).encode())
        return _accepted(prediction_id, f"predictions/{prediction_id}")
    try:
        return _answer_at_once(runtime, model, neighbors)
    except ClientError as error:
        other = _another(model) if _code(error) in MISSING else None
        if other is None:
            raise
        return _answer_at_once(runtime, other, neighbors)


def _another(gone: LiveModel) -> LiveModel | Canary | None:
    """Return what answers for a live model whose endpoint is gone, if anything does at once.

    Another may have gone live since it was looked up. Or one is tried: then a run is under way, and
    Sweep waits for its end before it deploys the live model again.
    """
    now = models.live(gone.dataset)
    if now.run == gone.run:
        return now.canary
    return now if now.endpoint_kind != "async" else None


def _try(canary: Canary, live: LiveModel, neighbors: int) -> Response[str]:
    """Let the model answer that is tried, or the live one if it can't; count the failures."""
    _count("CanaryRequests", canary.run)
    try:
        return _answer_at_once(canary_runtime, canary, neighbors, CANARY_SECONDS)
    # Whatever it is, clients don't see it.
    except Exception as error:
        # Not its message, which may quote the request.
        why = _code(error) if isinstance(error, ClientError | ApiError) else type(error).__name__
        logger.warning("the canary failed", extra={"run": canary.run, "code": why})
        answer = _answer_at_once(runtime, live, neighbors)
        # What the live model doesn't take either is the client's fault. That an endpoint is busy,
        # or starting, says nothing about a model; a serverless one that gets few requests often
        # starts, and one that is slow to start doesn't say so.
        excused = STARTING | BUSY
        if live.endpoint_kind == "serverless":
            excused |= {Code.ENDPOINT_STARTING}
        if why not in excused:
            _count("CanaryErrors", canary.run)
        return answer


@contextmanager
def _in_time() -> Iterator[None]:
    """Tell clients to try again if an endpoint doesn't answer in time."""
    try:
        yield
    except (HTTPClientError, NoConnection) as error:
        logger.warning("no answer", exc_info=error)
        metrics.add_metric("EndpointUnavailable", MetricUnit.Count, 1)
        message = "The endpoint has not answered in time; it may be starting."
        raise ApiError(503, Code.ENDPOINT_STARTING, message, RETRY_AFTER) from error


def _lines(run: str, neighbors: int) -> list[str]:
    """Return the instances of the body as a run's endpoint takes them."""
    content_type = app.current_event.headers.get("content-type", "application/json")
    body = app.current_event.decoded_body or ""
    lines = request_to_csv(content_type, body, models.transform(run), models.unused_columns(run))
    k = models.choice(run)["k"]
    check_answer_fits(len(lines), min(neighbors, k), models.schema(run).classes)
    _trace_to(run)
    return lines


def _answer_at_once(
    client: SageMakerRuntimeClient,
    model: LiveModel | Canary,
    neighbors: int,
    seconds: float = math.inf,
) -> Response[str]:
    """Return the predictions of an endpoint that isn't asynchronous.

    After so many seconds nothing more is asked of it, and it counts as one that didn't answer.
    """
    lines = _lines(model.run, neighbors)
    k = models.choice(model.run)["k"]
    began = time.perf_counter()
    found: list[Neighbors] = []
    with _in_time():
        for batch in batches(lines, k):
            if time.perf_counter() - began > seconds:
                raise ReadTimeoutError(endpoint_url=model.endpoint_name)
            found += ask(client, model.endpoint_name, batch)
    milliseconds = (time.perf_counter() - began) * 1000
    answer = _predictions(model.run, found, neighbors)
    metrics.add_metric("Instances", MetricUnit.Count, len(lines))
    metrics.add_metric("EndpointLatency", MetricUnit.Milliseconds, milliseconds)
    return answer


@app.get("/datasets/<dataset>/predictions/<prediction_id>")
def read_predictions(dataset: str, prediction_id: str) -> Response[str]:
    """Return what an asynchronous endpoint was asked for, or 202 until it is there."""
    neighbors = neighbors_asked(_query("neighbors"))
    run, found = later.answer(dataset, prediction_id)
    _trace_to(run)
    if found is None:
        return _accepted(prediction_id, prediction_id)
    return _predictions(run, found, neighbors)


def _query(name: str) -> str | None:
    """Return a parameter of the query."""
    return (app.current_event.query_string_parameters or {}).get(name)


def _schema(dataset: str, run: str) -> Schema:
    """Return the schema of any run of a dataset, whether its model is live or not."""
    check_run(dataset, run)
    try:
        return models.schema(run)
    except s3.exceptions.NoSuchKey:
        raise unknown_run(dataset, run) from None


def _inbox() -> Inbox:
    """Return the inbox that the stage's variables name."""
    variables = app.current_event.stage_variables or {}
    return _inbox_of(variables["inbox_bucket"], variables["upload_role"])


@cache
def _inbox_of(bucket: str, role: str) -> Inbox:
    # Made late: few requests are uploads.
    return Inbox(boto3.client("sts", config=storage), bucket, role)


def _count(name: str, run: str) -> None:
    """Count what the canary's state machine reads."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension("run", run)


def _code(error: ClientError | ApiError) -> str:
    return error.code if isinstance(error, ApiError) else error.response["Error"]["Code"]


def _trace_to(run: str) -> None:
    """Let the log and the trace of a request say whose model it is about."""
    logger.set_correlation_id(run)
    tracer.put_annotation("run", run)


def _predictions(run: str, found: list[Neighbors], neighbors: int) -> Response[str]:
    weights = models.choice(run)["weights"]
    made = predictions(found, models.schema(run).classes, weights, neighbors)
    return _answer(HTTPStatus.OK, answer_body(run, made))


def _accepted(prediction_id: str, location: str) -> Response[str]:
    """Answer 202; the location is relative to the request's, whatever domain and stage that has."""
    return _answer(
        HTTPStatus.ACCEPTED,
        json.dumps({"id": prediction_id, "status": "Pending"}),
        {"Location": location, "Retry-After": "1"},
    )


def _error(
    status: int, code: Code, message: str, headers: Mapping[str, str] | None = None
) -> Response[str]:
    return _answer(status, json.dumps({"error": {"code": code, "message": message}}), headers)


def _answer(
    status: int,
    body: str,
    headers: Mapping[str, str] | None = None,
    content_type: str = content_types.APPLICATION_JSON,
) -> Response[str]:
    return Response(
        status_code=status, content_type=content_type, body=body, headers=dict(headers or {})
    )


def _internal_error() -> Response[str]:
    return _error(500, Code.INTERNAL_ERROR, "Something went wrong here: try again in a while.")


@app.exception_handler(ApiError)
def _api_error(error: ApiError) -> Response[str]:
    return _error(error.status, error.code, error.message, error.headers)


@app.exception_handler(AsyncPredictionFailed)
def _prediction_failed(error: AsyncPredictionFailed) -> Response[str]:
    metrics.add_metric("EndpointErrors", MetricUnit.Count, 1)
    return _error(502, Code.PREDICTION_FAILED, f"The endpoint could not answer: {error}")


@app.exception_handler([HTTPClientError, NoConnection])
def _storage_unreachable(error: HTTPClientError | NoConnection) -> Response[str]:
    logger.exception("no answer from AWS")
    return _internal_error()


@app.exception_handler(ClientError)
def _aws_error(error: ClientError) -> Response[str]:
    code = _code(error)
    if not error.operation_name.startswith("InvokeEndpoint"):
        logger.exception("AWS refused")
        return _internal_error()
    # Not its message: what a model's container says may quote what it was asked.
    logger.error("the endpoint failed", extra={"code": code})
    if code in BUSY:
        metrics.add_metric("EndpointThrottles", MetricUnit.Count, 1)
        return _error(
            429, Code.TOO_MANY_REQUESTS, "Too many requests at once.", {"Retry-After": "1"}
        )
    if code in STARTING | MISSING:
        metrics.add_metric("EndpointUnavailable", MetricUnit.Count, 1)
        if code in STARTING:
            return _error(503, Code.ENDPOINT_STARTING, "The endpoint is starting.", RETRY_AFTER)
        message = "The endpoint can't be reached. If it is gone, it will be back in some minutes."
        return _error(503, Code.ENDPOINT_MISSING, message, {"Retry-After": "60"})
    metrics.add_metric("EndpointErrors", MetricUnit.Count, 1)
    return _error(502, Code.ENDPOINT_FAILED, f"The endpoint could not answer: {code}.")


@app.not_found
def _not_found(error: Exception) -> Response[str]:
    return _error(404, Code.NOT_FOUND, "There is nothing here: see /datasets.")
