"""HTTP requests to the control plane and the runtime, which share a host and a signing name."""

import json
import re
from collections.abc import Callable, Mapping

from local.sagemaker import async_inference, operations, protocol, runtime
from local.sagemaker.errors import ServiceError
from local.sagemaker.platform import Scope, new_id
from local.sagemaker.store import Document

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body. Header names are in small letters: MiniStack would otherwise rewrite
``Content-Type`` to the control plane's, on the runtime's answers too."""

INVOCATION = re.compile(
    r"/endpoints/(?P<name>[^/]+)/"
    r"(?P<kind>invocations-response-stream|invocations|async-invocations)"
)
RUNTIME_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "async-invocations": "InvokeEndpointAsync",
}
TARGET_PREFIX = "SageMaker."


def respond(
    scope: Scope, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Response:
    """Answer one request; header names of the request are in small letters."""
    invocation = INVOCATION.fullmatch(path)
    try:
        if invocation and method == "POST":
            return respond_runtime(scope, invocation["name"], invocation["kind"], headers, body)
        return respond_json(scope, headers, body, TARGET_PREFIX, operations.call)
    except ServiceError as error:
        return error_response(error, runtime=bool(invocation))


def respond_runtime(
    scope: Scope, name: str, kind: str, headers: Mapping[str, str], body: bytes
) -> Response:
    """Answer an operation of the runtime (protocol rest-json)."""
    request = protocol.runtime_request(RUNTIME_OPERATIONS[kind], name, headers)
    if kind == "invocations":
        return 200, *runtime.invoke_endpoint(scope, request, body)
    if kind == "invocations-response-stream":
        return 200, *runtime.invoke_endpoint_with_response_stream(scope, request, body)
    answer_headers, document = async_inference.invoke_endpoint_async(scope, request, body)
    return (
        202,
        {**answer_headers, "content-type": "application/json"},
        json.dumps(document).encode(),
    )


Call = Callable[[Scope, str, Document], Document]
"""Calls an operation by its name with a request."""


def respond_json(
    scope: Scope, headers: Mapping[str, str], body: bytes, target_prefix: str, call: Call
) -> Response:
    """Answer an operation named by ``X-Amz-Target`` (protocol json 1.1)."""
    target = headers.get("x-amz-target", "")
    if not target.startswith(target_prefix):
        raise ServiceError("UnknownOperationException", f"Unknown operation {target!r}")
    request = protocol.parse_request(body)
    response = call(scope, target.removeprefix(target_prefix), request)
    return 200, {"content-type": "application/x-amz-json-1.1"}, json.dumps(response).encode()


def error_response(error: ServiceError, runtime: bool) -> Response:
    """An error as either protocol spells it; a bare HTTP error, such as 413, has no code."""
    headers = {
        "content-type": "application/json" if runtime else "application/x-amz-json-1.1",
        "x-amzn-requestid": new_id(),
    }
    body: Document = {"message" if not runtime else "Message": error.message, **error.details}
    if not error.code.isdigit():
        headers["x-amzn-errortype"] = error.code
        if not runtime:
            body["__type"] = error.code
    return error.status, headers, json.dumps(body).encode()
