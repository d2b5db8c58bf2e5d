"""What a call needs permission for, of whichever service."""

from dataclasses import dataclass, field
from typing import Any

from embedded_aws.aws import protocol
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.table import Document


@dataclass(frozen=True)
class Need:
    """One permission: an action on a resource in a context of condition keys."""

    action: str
    resource: str
    context: dict[str, Any] = field(default_factory=dict)


def understood(service: str, operation: str, body: bytes) -> Document:
    """The request in a body; one that the operation will refuse to read has no members.

    What breaks other constraints than those on types is authorized first, then refused.
    """
    if operation not in protocol.service_model(service).operation_names:
        return {}
    try:
        request = protocol.parse_request(body)
    except ServiceError:
        return {}
    try:
        protocol.check_request(service, operation, request)
    except ServiceError as error:
        return {} if error.code == "SerializationException" else request
    return request
