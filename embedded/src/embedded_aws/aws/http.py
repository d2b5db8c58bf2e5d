"""Answers over HTTP, as AWS's JSON protocols spell them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from embedded_aws.aws import protocol
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope, new_id, nothing
from embedded_aws.aws.table import Document, lock

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body. Header names are in small letters: MiniStack would otherwise rewrite
``Content-Type`` to the control plane's, on the runtime's answers too."""

Operation = Callable[[Scope, Document], Document]


@dataclass(frozen=True)
class Api:
    """An API of the protocol json 1.1 by its service model; ``check`` may refuse requests, too."""

    service: str
    spoken: str
    target_prefix: str
    operations: Mapping[str, Operation]
    check: Callable[[Scope, Document], None] = nothing

    def call(self, scope: Scope, operation: str, request: Document) -> Document:
        """Call an operation: check the request, do it, shape the answer.

        Raises ServiceError: as the operation refuses.
        """
        if operation not in self.operations:
            known = operation in protocol.service_model(self.service).operation_names
            raise ServiceError(
                "UnknownOperationException",
                f"The embedded {self.spoken} does not have {operation}"
                if known
                else f"{operation} is not an operation of {self.spoken}",
            )
        protocol.check_request(self.service, operation, request)
        self.check(scope, request)
        response = self.operations[operation](scope, request)
        # Documents are live: shaping copies them, and must not meet a change half-way.
        with lock:
            return protocol.shape_response(self.service, operation, response)

    def respond(
        self, scope: Scope, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Answer an operation named by ``X-Amz-Target``, in small letters among the headers."""
        target = headers.get("x-amz-target", "")
        try:
            if not target.startswith(self.target_prefix):
                raise ServiceError("UnknownOperationException", f"Unknown operation {target!r}")
            request = protocol.parse_request(body)
            response = self.call(scope, target.removeprefix(self.target_prefix), request)
        except ServiceError as error:
            return error_response(error, runtime=False)
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
