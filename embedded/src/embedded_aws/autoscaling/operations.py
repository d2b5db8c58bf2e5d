"""The operations of Application Auto Scaling by name, and how a request to one is answered."""

from collections.abc import Callable, Mapping

from embedded_aws.autoscaling import policies, scaling, targets
from embedded_aws.aws import protocol
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.http import Response, error_response, respond_json
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock

SERVICE = "application-autoscaling"
TARGET_PREFIX = "AnyScaleFrontendService."

OPERATIONS: dict[str, Callable[[Scope, Document], Document]] = {
    "RegisterScalableTarget": scaling.register,
    "DescribeScalableTargets": targets.describe,
    "DeregisterScalableTarget": policies.deregister,
    "PutScalingPolicy": policies.put,
    "DescribeScalingPolicies": policies.describe,
    "DeleteScalingPolicy": policies.delete,
    "DescribeScalingActivities": scaling.describe_activities,
    "TagResource": targets.tag_resource,
    "ListTagsForResource": targets.list_tags,
    "UntagResource": targets.untag_resource,
}


def call(scope: Scope, operation: str, request: Document) -> Document:
    """Call an operation: check the request, do it, shape the answer.

    Raises
    ------
        ServiceError: as the operation refuses.
    """
    if operation not in OPERATIONS:
        raise ServiceError(
            "UnknownOperationException",
            f"The embedded Application Auto Scaling does not have {operation}",
        )
    protocol.check_request(SERVICE, operation, request)
    response = OPERATIONS[operation](scope, request)
    with lock:
        return protocol.shape_response(SERVICE, operation, response)


def respond(
    scope: Scope, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Response:
    """Answer one request; header names of the request are in small letters."""
    try:
        return respond_json(scope, headers, body, TARGET_PREFIX, call)
    except ServiceError as error:
        return error_response(error, runtime=False)
