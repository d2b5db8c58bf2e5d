"""Answers over HTTP, as AWS's JSON protocols spell them."""

import json
from collections.abc import Callable, Mapping

from embedded_aws.aws import protocol
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope, new_id
from embedded_aws.aws.table import Document

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body. Header names are in small letters: MiniStack would otherwise rewrite
``Content-Type`` to the control plane's, on the runtime's answers too."""

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
