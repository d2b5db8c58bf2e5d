"""Predictions: InvokeEndpoint and InvokeEndpointAsync.

Source: SageMaker API reference, "InvokeEndpoint" and "InvokeEndpointAsync".
"""

import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from local.knn.errors import RequestError
from local.knn.inference import answer
from local.sagemaker import platform, serving, store
from local.sagemaker.endpoints import endpoint_log
from local.sagemaker.errors import ServiceError
from local.sagemaker.platform import DataError, Scope
from local.sagemaker.store import Document

# Source: API reference, InvokeEndpoint (Body), and developer guide, "Serverless Inference".
REALTIME_BYTES = 6 * 1024 * 1024
SERVERLESS_BYTES = 4 * 1024 * 1024

Headers = Mapping[str, str]
"""Names in small letters."""

async_workers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="async-inference")


def invoke_endpoint(
    scope: Scope, name: str, headers: Headers, body: bytes
) -> tuple[dict[str, str], bytes]:
    """InvokeEndpoint: the answer's headers and body."""
    endpoint = find_in_service(scope, name)
    if endpoint.get("AsyncInferenceConfig"):
        raise validation_error(
            f"Endpoint {name} of account {scope.account} is asynchronous: use InvokeEndpointAsync."
        )
    variant = choose_variant(endpoint, headers.get("x-amzn-sagemaker-target-variant"))
    limit = SERVERLESS_BYTES if variant["ServerlessConfig"] else REALTIME_BYTES
    if len(body) > limit:
        raise ServiceError("413", f"HTTP content length exceeded {limit} bytes.", 413)
    result, content_type = infer(
        scope,
        endpoint,
        variant,
        body,
        headers.get("content-type", ""),
        headers.get("accept", ""),
    )
    return {
        "content-type": content_type,
        "x-amzn-invoked-production-variant": variant["VariantName"],
    }, result


def invoke_endpoint_async(
    scope: Scope, name: str, headers: Headers
) -> tuple[dict[str, str], Document]:
    """InvokeEndpointAsync: where the answer will be; it is written later."""
    endpoint = find_in_service(scope, name)
    output = (endpoint.get("AsyncInferenceConfig") or {}).get("OutputConfig")
    if output is None:
        raise validation_error(
            f"Endpoint {name} of account {scope.account} is not asynchronous: use InvokeEndpoint."
        )
    location = headers.get("x-amzn-sagemaker-inputlocation", "")
    if not location.startswith("s3://"):
        raise validation_error("InputLocation must be the S3 URI of the request")
    request_id = platform.new_id()
    answer_at = f"{output['S3OutputPath'].rstrip('/')}/{request_id}.out"
    result = {"x-amzn-sagemaker-outputlocation": answer_at}
    failure_at = None
    if output.get("S3FailurePath"):
        failure_at = f"{output['S3FailurePath'].rstrip('/')}/{request_id}-error.out"
        result["x-amzn-sagemaker-failurelocation"] = failure_at
    async_workers.submit(
        answer_later,
        scope,
        endpoint,
        location,
        headers.get("x-amzn-sagemaker-content-type"),
        headers.get("x-amzn-sagemaker-accept", ""),
        answer_at,
        failure_at,
    )
    inference_id = headers.get("x-amzn-sagemaker-inference-id") or platform.new_id()
    return result, {"InferenceId": inference_id}


def answer_later(
    scope: Scope,
    endpoint: Document,
    location: str,
    content_type: str | None,
    accept: str,
    answer_at: str,
    failure_at: str | None,
) -> None:
    """Read an asynchronous request from S3, and write its answer or its failure there."""
    try:
        bucket, key = platform.split_s3_uri(location)
        stored = platform.s3(scope).get_object(Bucket=bucket, Key=key)
        variant = choose_variant(endpoint, None)
        result, result_type = infer(
            scope,
            endpoint,
            variant,
            stored["Body"].read(),
            content_type or stored["ContentType"],
            accept,
        )
        platform.put_object(scope, answer_at, result, result_type)
    except Exception as error:
        # There is no caller left to tell; the failure object is how a client learns of it.
        if failure_at:
            message = error.message if isinstance(error, ServiceError) else str(error)
            platform.put_object(scope, failure_at, message.encode(), "text/plain")


def infer(
    scope: Scope, endpoint: Document, variant: Document, body: bytes, content_type: str, accept: str
) -> tuple[bytes, str]:
    """Let a variant's model answer; what it refuses becomes SageMaker's ModelError."""
    try:
        model = serving.load(scope, endpoint["EndpointName"], variant["Artefact"])
        return answer(model, body, content_type, accept)
    except RequestError as error:
        raise model_error(scope, endpoint, error.status, str(error)) from error
    except DataError as error:
        raise model_error(scope, endpoint, 500, str(error)) from error


def model_error(scope: Scope, endpoint: Document, status: int, message: str) -> ServiceError:
    """The container answered with an error; how SageMaker passes it on."""
    log = endpoint_log(scope, endpoint)
    log.write([f"{status}: {message}"])
    kind = "client" if status < 500 else "server"
    console = f"https://{scope.region}.console.aws.amazon.com/cloudwatch/home?region={scope.region}"
    return ServiceError(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{message}". See '
        f"{console}#logEventViewer:group={log.group} in account {scope.account} for more "
        "information.",
        424,
        {"OriginalStatusCode": status, "OriginalMessage": message, "LogStreamArn": log.arn},
    )


def find_in_service(scope: Scope, name: str) -> Document:
    """An endpoint that can answer; until InService there is none for the runtime.

    Source: the message as seen in aws/amazon-sagemaker-examples issues 293 and 1477.
    """
    endpoint = store.endpoints.get(scope, name)
    if endpoint is None or endpoint["EndpointStatus"] not in ("InService", "Updating"):
        raise validation_error(f"Endpoint {name} of account {scope.account} not found.")
    return endpoint


def choose_variant(endpoint: Document, wanted: str | None) -> Document:
    """The variant asked for, else one at random by weight."""
    hosted: list[Document] = endpoint["Hosted"]
    if wanted is None:
        weights = [variant["Weight"] for variant in hosted]
        return random.choices(hosted, weights if sum(weights) else None)[0]
    for variant in hosted:
        if variant["VariantName"] == wanted:
            return variant
    raise validation_error(
        f"Variant {wanted} was not found for Endpoint {endpoint['EndpointName']}."
    )


def validation_error(message: str) -> ServiceError:
    """The runtime's own spelling of what the control plane calls ``ValidationException``."""
    return ServiceError("ValidationError", message)
