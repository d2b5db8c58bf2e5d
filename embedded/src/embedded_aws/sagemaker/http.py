"""HTTP requests to the control plane and the runtime, which share a host and a signing name."""

import json
from collections.abc import Mapping

from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.http import Response, error_response
from embedded_aws.aws.platform import Scope
from embedded_aws.sagemaker import operations
from embedded_aws.sagemaker.hosting import async_inference, runtime
from embedded_aws.sagemaker.requests import INVOCATION, RUNTIME_OPERATIONS, runtime_request


def respond(
    scope: Scope, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Response:
    """Answer one request; header names of the request are in small letters."""
    invocation = INVOCATION.fullmatch(path)
    if not invocation or method != "POST":
        return operations.API.respond(scope, method, path, headers, body)
    try:
        return respond_runtime(scope, invocation["name"], invocation["kind"], headers, body)
    except ServiceError as error:
        return error_response(error, runtime=True)


def respond_runtime(
    scope: Scope, name: str, kind: str, headers: Mapping[str, str], body: bytes
) -> Response:
    """Answer an operation of the runtime (protocol rest-json)."""
    request = runtime_request(RUNTIME_OPERATIONS[kind], name, headers)
    if kind == "invocations":
        return 200, *runtime.invoke_endpoint(scope, request, body)
    if kind == "invocations-response-stream":
        return 200, *runtime.invoke_endpoint_with_response_stream(scope, request, body)
    answered, document = async_inference.invoke_endpoint_async(scope, request, body)
    answered["content-type"] = "application/json"
    return 202, answered, json.dumps(document).encode()
