"""How requests over HTTP name an operation, and what of a request their headers carry."""

import functools
import re
from collections.abc import Mapping

from embedded_aws.aws import protocol
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.table import Document

SERVICE = "sagemaker"
RUNTIME = "sagemaker-runtime"
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


@functools.cache
def header_members(operation: str) -> tuple[tuple[str, str, str], ...]:
    """The members of a runtime request that travel as headers: header, member and its type."""
    shape = protocol.operation_model(RUNTIME, operation).input_shape
    return tuple(
        (member.serialization["name"].lower(), name, member.type_name)
        for name, member in (shape.members.items() if shape else ())
        if member.serialization.get("location") == "header"
    )


INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)


def runtime_request(operation: str, endpoint: str, headers: Mapping[str, str]) -> Document:
    """A request to the runtime without its body, from the path and the headers.

    Raises ServiceError: ``ValidationError`` where it breaks the service model.
    """
    request: Document = {"EndpointName": endpoint}
    for header, name, kind in header_members(operation):
        value = headers.get(header)
        if value:
            number = kind == "integer" and INTEGER.fullmatch(value)
            request[name] = int(value) if number else value
    try:
        # The body is checked by whom it is for.
        protocol.check_request(RUNTIME, operation, {**request, "Body": ""})
    except ServiceError as error:
        raise ServiceError("ValidationError", error.message) from error
    return request
