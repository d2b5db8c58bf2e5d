"""Asynchronous inference: a queue for each endpoint, worked off as its instances allow.

Requests are kept with everything else, so they survive a restart; one that was being answered
then is answered again. Source: developer guide, "Asynchronous inference"; API reference,
"InvokeEndpointAsync" (limits, defaults).
"""

import base64
import json
import logging
import threading
import time
from collections import Counter, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from embedded_aws.aws import platform
from embedded_aws.aws.clock import scaled
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.hosting import deployment, runtime
from embedded_aws.sagemaker.hosting import metrics as endpoint_metrics
from embedded_aws.sagemaker.hosting.endpoints import SERVING
from embedded_aws.sagemaker.hosting.variants import choose

INLINE_BYTES = 128_000
INPUT_BYTES = 1024**3
NOTIFIED_BYTES = 128 * 1024
DEFAULT_TTL_SECONDS = 21_600
DEFAULT_TIMEOUT_SECONDS = 900
# AWS chooses "the optimal" number; this one keeps all cores of a laptop busy.
DEFAULT_CONCURRENCY = 4
QUEUE_LENGTH = 10_000
METRICS_PERIOD_SECONDS = 60.0
# As many as one instance may take at once. Source: API reference, "AsyncInferenceClientConfig".
MAX_WORKERS = 1000
EXPIRED = "ExpiredRequests"

logger = logging.getLogger("sagemaker")

Key = tuple[str, str, str, float]
"""Account, region, name and creation time of an endpoint: one made anew has a queue of its own."""

workers = ThreadPoolExecutor(max_workers=MAX_WORKERS, thread_name_prefix="async-inference")
queues: defaultdict[Key, deque[str]] = defaultdict(deque)
"""The ids of each endpoint's waiting requests, oldest first."""
under_way: Counter[Key] = Counter()
"""How many requests of each endpoint are being answered, where there are some."""


class Failure(Exception):
    """A request that can't be answered: why, and the metric, if any, that counts such failures."""

    def __init__(self, message: str, metric: str = "") -> None:
        super().__init__(message)
        self.metric = metric


def invoke_endpoint_async(
    scope: Scope, request: Document, body: bytes
) -> tuple[dict[str, str], Document]:
    """InvokeEndpointAsync: where the answer will be; it is written later."""
    name = request["EndpointName"]
    endpoint = runtime.find_in_service(scope, name)
    config = endpoint.get("AsyncInferenceConfig")
    if not config:
        raise runtime.validation_error(
            f"Endpoint {name} of account {scope.account} is not asynchronous: use InvokeEndpoint."
        )
    check_input(request, body)
    output = config["OutputConfig"]
    request_id = platform.new_id()
    document: Document = {
        **request,
        "EndpointCreationTime": endpoint["CreationTime"],
        "InferenceId": request.get("InferenceId") or platform.new_id(),
        "Body": base64.b64encode(body).decode() if body else None,
        "ReceivedTime": time.time(),
        "OutputLocation": location(output.get("S3OutputPath"), request, request_id, ".out"),
        "FailureLocation": location(output.get("S3FailurePath"), request, request_id, "-error.out"),
    }
    with lock:
        # It may have gone while the request was checked; nobody would ever answer.
        if runtime.find_in_service(scope, name) is not endpoint:
            raise runtime.not_found(scope, name)
        queue = queues[key_of(scope, endpoint)]
        if len(queue) >= QUEUE_LENGTH:
            raise ServiceError("ThrottlingException", "Rate exceeded", 400)
        store.async_requests.put(scope, request_id, document)
        queue.append(request_id)
    dispatch(scope, endpoint)
    headers = {
        f"x-amzn-sagemaker-{member.lower()}": document[member]
        for member in ("OutputLocation", "FailureLocation")
        if document[member]
    }
    return headers, {"InferenceId": document["InferenceId"]}


def check_input(request: Document, body: bytes) -> None:
    """Refuse a request with no payload, or with two."""
    if bool(body) == ("InputLocation" in request):
        raise runtime.validation_error("Specify exactly one of Body and InputLocation.")
    if len(body) > INLINE_BYTES:
        raise runtime.validation_error(
            f"Body has {len(body)} bytes, more than the {INLINE_BYTES} that can be sent inline: "
            "use InputLocation."
        )
    if "InputLocation" in request:
        try:
            platform.split_s3_uri(request["InputLocation"])
        except DataError as error:
            raise runtime.validation_error(f"InputLocation: {error}") from error


def location(folder: str | None, request: Document, request_id: str, ending: str) -> str | None:
    """Where an answer or a failure goes: below the endpoint's path, as the request extends it."""
    if not folder:
        return None
    extension = request.get("S3OutputPathExtension", "").strip("/")
    named = request.get("Filename")
    name = named if named and ending == ".out" else f"{named or request_id}{ending}"
    return "/".join(part for part in (folder.rstrip("/"), extension, name) if part)


# --- the queue ------------------------------------------------------------------------------


def key_of(scope: Scope, endpoint: Document) -> Key:
    """What an endpoint's queue is found by."""
    return (scope.account, scope.region, endpoint["EndpointName"], endpoint["CreationTime"])


def dispatch(scope: Scope, endpoint: Document) -> None:
    """Hand as many waiting requests to workers as the endpoint's instances take."""
    if not endpoint.get("AsyncInferenceConfig"):
        return
    key = key_of(scope, endpoint)
    with lock:
        if store.endpoints.get(scope, endpoint["EndpointName"]) is not endpoint:
            for request_id in queues.pop(key, ()):
                store.async_requests.delete(scope, request_id)
            return
        if endpoint["EndpointStatus"] not in SERVING:
            return
        queue = queues[key]
        while queue and under_way[key] < capacity(endpoint):
            start(scope, endpoint, queue.popleft())


def expire(scope: Scope, endpoint: Document) -> None:
    """Let what has waited for too long end, whether or not there is an instance."""
    key = key_of(scope, endpoint)
    with lock:
        for request_id in list(queues[key]):
            document = store.async_requests.get(scope, request_id)
            if document is not None and is_expired(document):
                queues[key].remove(request_id)
                start(scope, endpoint, request_id)


def start(scope: Scope, endpoint: Document, request_id: str) -> None:
    """Hand one request to a worker; the caller holds the lock."""
    under_way[key_of(scope, endpoint)] += 1
    workers.submit(work, scope, endpoint, request_id)


def capacity(endpoint: Document) -> int:
    """How many requests an endpoint answers at once: none without instances."""
    client = endpoint["AsyncInferenceConfig"].get("ClientConfig", {})
    each = client.get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
    return int(each * sum(variant["CurrentInstanceCount"] for variant in endpoint["Hosted"]))


def is_expired(document: Document) -> bool:
    """Whether a request has waited for longer than it may."""
    ttl = document.get("RequestTTLSeconds", DEFAULT_TTL_SECONDS)
    return bool(time.time() > document["ReceivedTime"] + scaled(ttl))


def work(scope: Scope, endpoint: Document, request_id: str) -> None:
    """Answer one request, whatever comes of it, and make room for the next."""
    document = store.async_requests.get(scope, request_id)
    try:
        if document is not None:
            process(scope, endpoint, document)
    except Exception:
        # There is no caller left to tell.
        logger.exception("asynchronous request %s", request_id)
    finally:
        key = key_of(scope, endpoint)
        with lock:
            under_way[key] -= 1
            if not under_way[key]:
                del under_way[key]
            store.async_requests.delete(scope, request_id)
        dispatch(scope, endpoint)


def restore_queues() -> None:
    """Queue again, in their order, the requests that were waiting or being answered."""
    with lock:
        queues.clear()
        under_way.clear()
        kept = sorted(
            store.async_requests.everywhere(), key=lambda item: float(item[2]["ReceivedTime"])
        )
        for scope, request_id, document in kept:
            name, created = document["EndpointName"], document["EndpointCreationTime"]
            queues[scope.account, scope.region, name, created].append(request_id)


def run_forever(stopped: threading.Event) -> None:
    """Look after the queues each minute; the first round takes them up after a restart."""
    while True:
        for scope, name, endpoint in store.endpoints.everywhere():
            if not (endpoint.get("AsyncInferenceConfig") and endpoint["EndpointStatus"] in SERVING):
                continue
            try:
                measure_backlog(scope, endpoint)
                expire(scope, endpoint)
                dispatch(scope, endpoint)
            except Exception:
                # The next round may fare better; without it no request would expire again.
                logger.exception("the queue of endpoint %s", name)
        if stopped.wait(max(0.05, scaled(METRICS_PERIOD_SECONDS))):
            return


def measure_backlog(scope: Scope, endpoint: Document) -> None:
    """Publish how long an endpoint's queue is, and whether anybody works on it."""
    name = endpoint["EndpointName"]
    key = key_of(scope, endpoint)
    with lock:
        size = len(queues[key]) + under_way[key]
        oldest = store.async_requests.get(scope, queues[key][0]) if queues[key] else None
        count = sum(variant["CurrentInstanceCount"] for variant in endpoint["Hosted"])
    age = time.time() - oldest["ReceivedTime"] if oldest else 0.0
    for metric, value, unit in (
        ("ApproximateBacklogSize", size, "Count"),
        # Without instances it is the whole backlog, or no policy on it would ever wake one.
        ("ApproximateBacklogSizePerInstance", size / max(1, count), "Count"),
        ("ApproximateAgeOfOldestRequest", age, "Seconds"),
        ("HasBacklogWithoutCapacity", float(size > 0 and count == 0), "Count"),
    ):
        endpoint_metrics.emit_of_endpoint(scope, name, metric, value, unit)


deployment.listeners.append(dispatch)


# --- one request ----------------------------------------------------------------------------


def process(scope: Scope, endpoint: Document, document: Document) -> None:
    """Read a request, infer, write its answer or its failure, and notify."""
    name = endpoint["EndpointName"]
    variant = choose(endpoint, None) or endpoint["Hosted"][0]
    as_role = scope.acting_as(variant["RoleArn"])
    log = deployment.variant_log(scope, endpoint, variant, "/data-log")
    started = time.time()

    def emit(metric: str, value: float, unit: str = "Count") -> None:
        endpoint_metrics.emit(scope, name, variant, metric, value, unit)

    emit("TimeInBacklog", (started - document["ReceivedTime"]) * 1e6, "Microseconds")
    output = endpoint["AsyncInferenceConfig"]["OutputConfig"]
    result: runtime.Answer | None = None
    reason = ""
    try:
        result = answer(scope, as_role, endpoint, variant, document)
        emit("InvocationsProcessed", 1)
    except Exception as error:
        failure = error if isinstance(error, Failure) else unforeseen(error, document)
        reason = str(failure)
        if failure.metric:
            emit(failure.metric, 1)
        if failure.metric != EXPIRED:
            emit("InvocationFailures", 1)
        if document["FailureLocation"]:
            try:
                platform.put_object(
                    as_role, document["FailureLocation"], reason.encode(), "text/plain"
                )
            except DataError as error:
                log.write([f"{document['InferenceId']}: {error}"])
        log.write([f"{document['InferenceId']}: {reason}"])
    try:
        notify(as_role, output, document, result, reason)
    except (BotoCoreError, ClientError) as error:
        emit("NotificationFailures", 1)
        log.write([f"{document['InferenceId']}: can not notify: {error}"])
    emit("TotalProcessingTime", (time.time() - document["ReceivedTime"]) * 1e3, "Milliseconds")


def unforeseen(error: Exception, document: Document) -> Failure:
    """An error that nobody has thought of, as a failure: there is no caller left to tell."""
    logger.exception("asynchronous request %s", document["InferenceId"])
    return Failure(f"InternalServerError: {type(error).__name__}: {error}")


def answer(
    scope: Scope, as_role: Scope, endpoint: Document, variant: Document, document: Document
) -> runtime.Answer:
    """Read a request's payload, infer, and write the answer to S3.

    Raises Failure: at whichever step.
    """
    name = endpoint["EndpointName"]
    if is_expired(document):
        raise Failure("ClientError: The request expired in the queue.", EXPIRED)
    body, content_type = read_payload(as_role, name, variant, document)
    called = time.monotonic()
    status = 200
    try:
        result = runtime.infer(
            scope,
            endpoint,
            variant,
            body,
            document.get("ContentType") or content_type,
            document.get("Accept", ""),
            document.get("InvocationTimeoutSeconds", DEFAULT_TIMEOUT_SECONDS),
        )
    except ServiceError as error:
        status = int(error.details.get("OriginalStatusCode") or 500)
        raise Failure(f"ClientError: {error.message}") from error
    finally:
        endpoint_metrics.errors(scope, name, variant, status, time.monotonic() - called)
    if document["OutputLocation"]:
        started = time.monotonic()
        try:
            platform.put_object(
                as_role, document["OutputLocation"], result.body, result.content_type
            )
        except DataError as error:
            raise Failure(f"ClientError: {error}", "ResponseUploadFailures") from error
        elapsed = (time.monotonic() - started) * 1e6
        endpoint_metrics.emit(
            scope, name, variant, "ResponseUploadLatency", elapsed, "Microseconds"
        )
    return result


def read_payload(
    as_role: Scope, endpoint: str, variant: Document, document: Document
) -> tuple[bytes, str]:
    """The payload, inline or from S3, and the content type that it has there."""
    if document["Body"] is not None:
        return base64.b64decode(document["Body"]), ""
    started = time.monotonic()
    try:
        bucket, key = platform.split_s3_uri(document["InputLocation"])
        stored = platform.get_object(as_role, bucket, key)
        if stored["ContentLength"] > INPUT_BYTES:
            raise DataError(f"{document['InputLocation']} is larger than {INPUT_BYTES} bytes")
        body = stored["Body"].read()
    except DataError as error:
        raise Failure(
            f"ClientError: Failed to download {document['InputLocation']}: {error}",
            "RequestDownloadFailures",
        ) from error
    elapsed = (time.monotonic() - started) * 1e6
    base = Scope(as_role.account, as_role.region)
    endpoint_metrics.emit(
        base, endpoint, variant, "RequestDownloadLatency", elapsed, "Microseconds"
    )
    return body, stored["ContentType"]


def notify(
    as_role: Scope, output: Document, document: Document, result: runtime.Answer | None, reason: str
) -> None:
    """Publish how a request ended to the topic for it, if there is one, as the model's role."""
    config = output.get("NotificationConfig", {})
    topic = config.get("SuccessTopic" if result else "ErrorTopic")
    if not topic:
        return
    kind = "SUCCESS_NOTIFICATION_TOPIC" if result else "ERROR_NOTIFICATION_TOPIC"
    included = kind in config.get("IncludeInferenceResponseIn", [])
    message = notification(as_role.region, document, result, reason, included)
    platform.client("sns", as_role).publish(TopicArn=topic, Message=json.dumps(message))


def notification(
    region: str, document: Document, result: runtime.Answer | None, reason: str, included: bool
) -> dict[str, Any]:
    """The message to a topic.

    Source: developer guide, "Check prediction results"; as recorded in aws-solutions and
    awslabs code that parses it (osml-model-runner, sdx4-upscaler).
    """
    asked = {
        "accept": document.get("Accept"),
        "contentType": document.get("ContentType"),
        "customAttributes": document.get("CustomAttributes"),
        "endpointName": document["EndpointName"],
        "inputLocation": document.get("InputLocation"),
    }
    message: dict[str, Any] = {
        "awsRegion": region,
        "eventTime": iso(time.time()),
        "receivedTime": iso(document["ReceivedTime"]),
        "invocationStatus": "Completed" if result else "Failed",
        "requestParameters": {name: value for name, value in asked.items() if value is not None},
    }
    if result:
        message["responseParameters"] = {"contentType": result.content_type}
        if document["OutputLocation"]:
            message["responseParameters"]["outputLocation"] = document["OutputLocation"]
    else:
        message["failureReason"] = reason
    if included:
        content = result.body if result else reason.encode()
        if len(content) <= NOTIFIED_BYTES:
            message["responseBody"] = {
                "content": base64.b64encode(content).decode(),
                "encoding": "BASE64",
            }
    return {
        **message,
        "inferenceId": document["InferenceId"],
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def iso(timestamp: float) -> str:
    """A time as the notifications spell it, with milliseconds."""
    stamp = datetime.fromtimestamp(timestamp, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03}Z"
