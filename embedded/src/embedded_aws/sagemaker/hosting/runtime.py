"""Predictions: InvokeEndpoint and InvokeEndpointWithResponseStream.

Source: SageMaker API reference, "InvokeEndpoint" and "InvokeEndpointWithResponseStream".
"""

import time
from dataclasses import dataclass

from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import DataError, Scope, new_id
from embedded_aws.aws.table import Document
from embedded_aws.knn.errors import RequestError
from embedded_aws.knn.inference import answer
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.hosting import (
    data_capture,
    deployment,
    event_stream,
    serverless,
    serving,
)
from embedded_aws.sagemaker.hosting import metrics as endpoint_metrics
from embedded_aws.sagemaker.hosting.endpoints import SERVING
from embedded_aws.sagemaker.hosting.variants import choose

# Source: "Amazon SageMaker AI Model Hosting FAQs" (25 MB, formerly 6 MB), and developer guide,
# "Invoke a serverless endpoint".
REALTIME_BYTES = 25 * 1024 * 1024
SERVERLESS_BYTES = 4 * 1024 * 1024
# Source: API reference, "InvokeEndpoint": containers must respond within 60 seconds.
TIMEOUT_SECONDS = 60.0


@dataclass
class Answer:
    """What a container answered, and the seconds that it took."""

    body: bytes
    content_type: str
    seconds: float


def invoke_endpoint(scope: Scope, request: Document, body: bytes) -> tuple[dict[str, str], bytes]:
    """InvokeEndpoint: the answer's headers and body.

    The built-in k-NN sets no custom attributes, so whoever sends some gets an empty value back,
    as the API reference says.
    """
    variant, result = invoke(scope, request, body)
    headers = {
        "content-type": result.content_type,
        "x-amzn-invoked-production-variant": variant["VariantName"],
    }
    if "CustomAttributes" in request:
        headers["x-amzn-sagemaker-custom-attributes"] = ""
    return headers, result.body


def invoke_endpoint_with_response_stream(
    scope: Scope, request: Document, body: bytes
) -> tuple[dict[str, str], bytes]:
    """InvokeEndpointWithResponseStream: k-NN doesn't stream, so its answer is one payload part."""
    variant, result = invoke(scope, request, body)
    headers = {
        "content-type": "application/vnd.amazon.eventstream",
        "x-amzn-sagemaker-content-type": result.content_type,
        "x-amzn-invoked-production-variant": variant["VariantName"],
    }
    return headers, event_stream.payload_part(result.body)


def invoke(scope: Scope, request: Document, body: bytes) -> tuple[Document, Answer]:
    """Let a variant answer a request while its client waits."""
    started = time.monotonic()
    name = request["EndpointName"]
    endpoint = find_in_service(scope, name)
    check_features(scope, endpoint, request)
    variant = choose(endpoint, request.get("TargetVariant"))
    if variant is None:
        raise validation_error(
            f"Variant {request['TargetVariant']} was not found for Endpoint {name}."
        )
    is_serverless = bool(variant["CurrentServerlessConfig"])
    limit = SERVERLESS_BYTES if is_serverless else REALTIME_BYTES
    if len(body) > limit:
        raise oversize(is_serverless, limit)
    if is_serverless:
        with serverless.environment(scope, endpoint, variant):
            result = infer_and_measure(scope, endpoint, variant, request, body, started)
        if len(result.body) > limit:
            raise model_error(
                scope, endpoint, variant, 500, f"the response is larger than {limit} bytes"
            )
    else:
        with endpoint_metrics.concurrent_request(scope, name, variant):
            result = infer_and_measure(scope, endpoint, variant, request, body, started)
    data_capture.capture(scope, endpoint, variant, request, body, result)
    return variant, result


def oversize(is_serverless: bool, limit: int) -> ServiceError:
    """The refusal of a body that is too large.

    Source: aws/sagemaker-python-sdk issues 4271 (serverless) and 171 (instances).
    """
    if is_serverless:
        return validation_error(f"Request {new_id()} has oversize body.")
    return ServiceError("413", f"HTTP content length exceeded {limit} bytes.", 413)


def infer_and_measure(
    scope: Scope,
    endpoint: Document,
    variant: Document,
    request: Document,
    body: bytes,
    started: float,
) -> Answer:
    """Infer, and publish the metrics of the invocation, however it ends."""
    status, seconds, called = 200, 0.0, time.monotonic()
    try:
        result = infer(
            scope,
            endpoint,
            variant,
            body,
            request.get("ContentType", ""),
            request.get("Accept", ""),
            TIMEOUT_SECONDS,
        )
        seconds = result.seconds
        return result
    except ServiceError as error:
        status = int(error.details.get("OriginalStatusCode") or 500)
        seconds = time.monotonic() - called
        raise
    finally:
        overhead = time.monotonic() - started - seconds
        endpoint_metrics.invocation(
            scope, endpoint["EndpointName"], variant, status, seconds, overhead
        )


def infer(
    scope: Scope,
    endpoint: Document,
    variant: Document,
    body: bytes,
    content_type: str,
    accept: str,
    timeout: float,
) -> Answer:
    """Let a variant's model answer; what it refuses becomes SageMaker's ModelError.

    An answer that comes after ``timeout`` seconds is too late: like the original the client gets
    an error, though here it gets it when the model has finished.

    Raises ServiceError: ``ModelError``, or ``InternalDependencyException`` when after a restart the
    model can't be read any more.
    """
    try:
        model = serving.load(scope, endpoint["EndpointName"], variant)
    except DataError as error:
        raise ServiceError(
            "InternalDependencyException",
            f"The model of variant {variant['VariantName']} can't be loaded: {error}",
            530,
        ) from error
    started = time.monotonic()
    try:
        result, result_type = answer(model, body, content_type, accept)
    except RequestError as error:
        raise model_error(scope, endpoint, variant, error.status, str(error)) from error
    seconds = time.monotonic() - started
    if seconds > timeout:
        raise model_error(
            scope,
            endpoint,
            variant,
            0,
            "Your invocation timed out while waiting for a response from container primary. "
            "Review the latency metrics for each container in Amazon CloudWatch, resolve the "
            "issue, and try again.",
        )
    return Answer(result, result_type, seconds)


def model_error(
    scope: Scope, endpoint: Document, variant: Document, status: int, message: str
) -> ServiceError:
    """The container answered with an error; how SageMaker passes it on."""
    log = deployment.variant_log(scope, endpoint, variant)
    log.write([f"{status}: {message}"])
    kind = "client" if 400 <= status < 500 else "server"
    console = f"https://{scope.region}.console.aws.amazon.com/cloudwatch/home?region={scope.region}"
    return ServiceError(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{message}". See '
        f"{console}#logEventViewer:group={log.group} in account {scope.account} for more "
        "information.",
        424,
        {"OriginalStatusCode": status, "OriginalMessage": message, "LogStreamArn": log.arn},
    )


def check_features(scope: Scope, endpoint: Document, request: Document) -> None:
    """Refuse a call of another kind than the endpoint's.

    Source: for inference components, the message that BerriAI/litellm and strands-agents look
    for.
    """
    name = f"Endpoint {endpoint['EndpointName']} of account {scope.account}"
    if endpoint.get("AsyncInferenceConfig"):
        raise validation_error(f"{name} is asynchronous: use InvokeEndpointAsync.")
    if "InferenceComponentName" in request:
        raise validation_error(
            "Inference Component Name header is not allowed for endpoints to which you dont plan "
            "to deploy inference components. Please remove the Inference Component Name header "
            "and try again."
        )
    for member, what in (
        ("TargetModel", "is not a multi-model endpoint"),
        ("TargetContainerHostname", "is not a multi-container endpoint with direct invocation"),
        ("SessionId", "has no stateful sessions"),
        ("EnableExplanations", "has no explainer"),
        ("PrefixAwareId", "has no prefix-aware routing"),
    ):
        if member in request:
            raise validation_error(f"{name} {what}: {member} is not allowed.")


def find_in_service(scope: Scope, name: str) -> Document:
    """An endpoint that can answer; until InService there is none for the runtime.

    Source: the message as seen in aws/amazon-sagemaker-examples issues 293 and 1477.
    """
    endpoint = store.endpoints.get(scope, name)
    if endpoint is None or endpoint["EndpointStatus"] not in SERVING:
        raise not_found(scope, name)
    return endpoint


def not_found(scope: Scope, name: str) -> ServiceError:
    """The runtime's words for an endpoint that there isn't."""
    return validation_error(f"Endpoint {name} of account {scope.account} not found.")


def validation_error(message: str) -> ServiceError:
    """The runtime's own spelling of what the control plane calls ``ValidationException``."""
    return ServiceError("ValidationError", message)
