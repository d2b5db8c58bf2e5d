"""Predict: the HTTP API in front of the live models."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from pipeline.algorithm import Neighbors, vote
from pipeline.endpoint import AsyncPredictionFailed, ask, batches
from pipeline.handling import logger, metrics, read_environment, tracer
from pipeline.registry import LIVE
from predict.instances import BadRequest, request_to_csv
from predict.later import AsyncPredictions, PredictionExpired, UnknownPrediction
from predict.models import Models, NeverLive, NotLiveYet, UnknownDataset
from predict.page import read_page

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True)
class Environment:
    """What Predict is told."""

    runs_bucket: str
    registry_table: str


environment = read_environment(Environment)
RETRY_AFTER_SECONDS = "15"
MAX_ANSWER_BYTES = 6_000_000
"""What a function can answer, nearly. Source: Lambda developer guide, "Lambda quotas"."""

STARTING = frozenset({"ModelNotReadyException", "ServiceUnavailable"})
MISSING = frozenset({"ValidationError", "AccessDeniedException"})
"""What SageMaker answers for an endpoint that is gone: denied, as permission to invoke depends on
its tag. Sweep deploys it again."""

app = APIGatewayRestResolver()
# API Gateway waits 29 seconds: better a 503 in time than a second attempt behind its back.
storage = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3})
s3 = boto3.client("s3", config=storage)
runtime = boto3.client(
    "sagemaker-runtime",
    config=Config(connect_timeout=2, read_timeout=25, retries={"total_max_attempts": 1}),
)
registry = boto3.resource("dynamodb", config=storage).Table(environment.registry_table)
models = Models(registry, s3, environment.runs_bucket)
later = AsyncPredictions(s3, runtime, environment.runs_bucket)


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
    """Return the page, which asks for a key itself: it shows nothing but what this API answers."""
    page, headers = read_page()
    html = f"{content_types.TEXT_HTML}; charset=utf-8"
    return Response(HTTPStatus.OK, html, page, dict(headers))


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
    """Return the live model of a dataset with its schema and metrics."""
    model = models.live(dataset)
    schema = models.schema(model.run)
    return {
        "dataset": dataset,
        LIVE: {
            "run": model.run,
            "endpoint_kind": model.endpoint_kind,
            "promoted": model.promoted,
            "metrics": models.metrics(model.run),
        },
        "schema": {
            "label": schema.label,
            "features": schema.features,
            "types": [schema.column(name).role for name in schema.features],
            "classes": schema.classes,
        },
    }


@app.post("/datasets/<dataset>/predictions")
def make_predictions(dataset: str) -> Response[str]:
    """Predict the instances of the body: at once, or later when the endpoint is asynchronous."""
    model = models.live(dataset)
    content_type = app.current_event.headers.get("content-type", "application/json")
    body = app.current_event.decoded_body or ""
    lines = request_to_csv(content_type, body, models.transform(model.run))
    _trace_to(model.run)
    metrics.add_dimensions(dataset=dataset)
    metrics.add_metric("Instances", MetricUnit.Count, len(lines))
    if model.endpoint_kind == "async":
        prediction_id = later.ask(model.run, model.endpoint_name, "".join(lines).encode())
        return _accepted(prediction_id, f"predictions/{prediction_id}")
    began = time.perf_counter()
    found = [
        neighbors
        for batch in batches(lines, models.choice(model.run)["k"])
        for neighbors in ask(runtime, model.endpoint_name, batch)
    ]
    milliseconds = (time.perf_counter() - began) * 1000
    metrics.add_metric("EndpointLatency", MetricUnit.Milliseconds, milliseconds)
    return _predictions(model.run, found)


@app.get("/datasets/<dataset>/predictions/<prediction_id>")
def read_predictions(dataset: str, prediction_id: str) -> Response[str]:
    """Return what an asynchronous endpoint was asked for, or 202 until it is there."""
    run, found = later.answer(dataset, prediction_id)
    _trace_to(run)
    if found is None:
        return _accepted(prediction_id, prediction_id)
    return _predictions(run, found)


def _trace_to(run: str) -> None:
    """Let the log and the trace of a request say whose model it is about."""
    logger.set_correlation_id(run)
    tracer.put_annotation("run", run)


def _predictions(run: str, found: list[Neighbors]) -> Response[str]:
    """Answer with the label that each row's neighbours vote for, and the shares of the vote."""
    classes, weights = models.schema(run).classes, models.choice(run)["weights"]
    predictions = []
    for neighbors in found:
        winner, shares = vote(*neighbors, weights)
        ordered = sorted(shares.items(), key=lambda each: (-each[1], each[0]))
        probabilities = {classes[label]: share for label, share in ordered}
        predictions.append({"label": classes[winner], "probabilities": probabilities})
    answer = _json(HTTPStatus.OK, {"predictions": predictions, "run": run})
    # A function's answer is JSON itself, with the body as a string in it.
    if len(json.dumps(answer.body)) > MAX_ANSWER_BYTES:
        raise BadRequest(
            413,
            "AnswerTooLarge",
            f"The answer for {len(found):,} instances is larger than {MAX_ANSWER_BYTES:,} bytes: "
            "send them in several requests.",
        )
    return answer


def _accepted(prediction_id: str, location: str) -> Response[str]:
    """Answer 202; the location is relative to the request's, whatever domain and stage that has."""
    return _json(
        HTTPStatus.ACCEPTED,
        {"id": prediction_id, "status": "Pending"},
        {"Location": location, "Retry-After": "1"},
    )


def _error(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> Response[str]:
    return _json(status, {"error": {"code": code, "message": message}}, headers)


def _json(
    status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> Response[str]:
    return Response(
        status_code=status,
        content_type=content_types.APPLICATION_JSON,
        body=json.dumps(body),
        headers=dict(headers or {}),
    )


@app.exception_handler(BadRequest)
def _bad_request(error: BadRequest) -> Response[str]:
    return _error(error.status, error.code, error.message)


@app.exception_handler(UnknownDataset)
def _unknown_dataset(error: UnknownDataset) -> Response[str]:
    return _error(404, "UnknownDataset", f'There is no dataset "{error}".')


@app.exception_handler(NeverLive)
def _never_live(error: NeverLive) -> Response[str]:
    return _error(404, "NeverLive", str(error))


@app.exception_handler(NotLiveYet)
def _not_live_yet(error: NotLiveYet) -> Response[str]:
    message = f'The first model of "{error}" is being made; GET /datasets lists the live ones.'
    return _error(503, "NotLiveYet", message, {"Retry-After": RETRY_AFTER_SECONDS})


@app.exception_handler(UnknownPrediction)
def _unknown_prediction(error: UnknownPrediction) -> Response[str]:
    return _error(404, "UnknownPrediction", f'There is no prediction "{error}".')


@app.exception_handler(PredictionExpired)
def _prediction_expired(error: PredictionExpired) -> Response[str]:
    message = f'The prediction "{error}" was not made in time: ask again.'
    return _error(410, "PredictionExpired", message)


@app.exception_handler(AsyncPredictionFailed)
def _prediction_failed(error: AsyncPredictionFailed) -> Response[str]:
    metrics.add_metric("EndpointErrors", MetricUnit.Count, 1)
    return _error(502, "PredictionFailed", f"The endpoint could not answer: {error}")


@app.exception_handler([HTTPClientError, NoConnection])
def _no_answer(error: HTTPClientError | NoConnection) -> Response[str]:
    logger.warning("no answer", exc_info=error)
    metrics.add_metric("EndpointUnavailable", MetricUnit.Count, 1)
    message = "The endpoint has not answered in time; it may be starting."
    return _error(503, "EndpointStarting", message, {"Retry-After": RETRY_AFTER_SECONDS})


@app.exception_handler(ClientError)
def _aws_error(error: ClientError) -> Response[str]:
    code = error.response["Error"]["Code"]
    if not error.operation_name.startswith("InvokeEndpoint"):
        logger.exception("AWS refused")
        return _error(500, "InternalError", "Something went wrong here: try again in a while.")
    # Not its message: what a model's container says may quote what it was asked.
    logger.error("the endpoint failed", extra={"code": code})
    if code in ("ThrottlingException", "TooManyRequestsException"):
        metrics.add_metric("EndpointThrottles", MetricUnit.Count, 1)
        return _error(429, "TooManyRequests", "Too many requests at once.", {"Retry-After": "1"})
    if code in STARTING | MISSING:
        metrics.add_metric("EndpointUnavailable", MetricUnit.Count, 1)
        if code in STARTING:
            headers = {"Retry-After": RETRY_AFTER_SECONDS}
            return _error(503, "EndpointStarting", "The endpoint is starting.", headers)
        message = "The endpoint is gone. It will be back in some minutes."
        return _error(503, "EndpointMissing", message, {"Retry-After": "60"})
    metrics.add_metric("EndpointErrors", MetricUnit.Count, 1)
    return _error(502, "EndpointFailed", f"The endpoint could not answer: {code}.")


@app.not_found
def _not_found(error: Exception) -> Response[str]:
    return _error(404, "NotFound", "There is nothing here: see /datasets.")
