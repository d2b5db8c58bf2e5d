"""Scalable targets: what may be scaled, and within which bounds.

Source: Application Auto Scaling API reference, "RegisterScalableTarget" and its kin.
"""

import time
from collections.abc import Callable
from typing import Any

from embedded_aws.autoscaling import records
from embedded_aws.autoscaling.services import ScalableService, service_of
from embedded_aws.aws import platform
from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.paging import cut_page
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, Table, lock

PAGE = 50
MAX_TAGS = 50
SUSPENDED = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


def role_exists(scope: Scope, role: str) -> bool:
    """Whether a service-linked role is there; the server sets what looks."""
    return True


def make_role(scope: Scope, role: str, principal: str) -> None:
    """Make a service-linked role; the server sets what does."""


def register(scope: Scope, request: Document) -> Document:
    """RegisterScalableTarget: a new target, or new bounds of one."""
    service = service_of(request)
    key = records.target_key(request)
    with lock:
        target = records.targets.get(scope, key)
        bounds = {
            name: request.get(name, (target or {}).get(name))
            for name in ("MinCapacity", "MaxCapacity")
        }
        check_bounds(service, scope, request, bounds["MinCapacity"], bounds["MaxCapacity"])
        if target is None:
            namespace = request["ServiceNamespace"]
            role = service_linked_role(scope, namespace, service.ROLE)
            if not role_exists(scope, role):
                make_role(scope, role, principal_of(namespace))
            target = {
                "ServiceNamespace": namespace,
                "ResourceId": request["ResourceId"],
                "ScalableDimension": request["ScalableDimension"],
                "RoleARN": role,
                "CreationTime": time.time(),
                "SuspendedState": dict.fromkeys(SUSPENDED, False),
                "ScalableTargetARN": scope.arn(
                    "application-autoscaling",
                    f"scalable-target/{platform.new_id().replace('-', '')}",
                ),
            }
            records.targets.put(scope, key, target)
        target.update(bounds)
        target["SuspendedState"] = {**target["SuspendedState"], **request.get("SuspendedState", {})}
        arn: str = target["ScalableTargetARN"]
        if request.get("Tags"):
            add_tags(scope, arn, request["Tags"])
    return {"ScalableTargetARN": arn}


def check_bounds(
    service: ScalableService, scope: Scope, request: Document, low: int | None, high: int | None
) -> None:
    """Refuse bounds that are missing, crossed, or not for this resource."""
    if low is None or high is None:
        raise validation_error(
            "MinCapacity and MaxCapacity are required when registering a new scalable target"
        )
    if low < 0 or low > high:
        raise validation_error(
            f"MinCapacity {low} must be between 0 and MaxCapacity, which is {high}"
        )
    service.check_bounds(scope, request["ResourceId"], request["ScalableDimension"], low, high)


def service_linked_role(scope: Scope, namespace: str, end: str) -> str:
    """The role that Application Auto Scaling acts in.

    Source: Application Auto Scaling user guide, "Service-linked roles".
    """
    return (
        f"arn:{scope.partition}:iam::{scope.account}:role/aws-service-role/"
        f"{principal_of(namespace)}/AWSServiceRoleForApplicationAutoScaling_{end}"
    )


def principal_of(namespace: str) -> str:
    """The service that assumes the role of a namespace."""
    return f"{namespace}.application-autoscaling.amazonaws.com"


def find(scope: Scope, request: Document, lacking: str = "registered") -> Document:
    """The scalable target that a request names.

    Raises ServiceError: ``ObjectNotFoundException`` in AWS's words; putting what hangs on a target
    they say that none is "registered", deregistering that none is "found".
    """
    target = records.targets.get(scope, records.target_key(request))
    if target is None or request["ServiceNamespace"] != target["ServiceNamespace"]:
        raise ServiceError(
            "ObjectNotFoundException",
            f"No scalable target {lacking} for service namespace: {request['ServiceNamespace']}, "
            f"resource ID: {request['ResourceId']}, scalable dimension: "
            f"{request['ScalableDimension']}",
        )
    return target


def describe(scope: Scope, request: Document) -> Document:
    """DescribeScalableTargets."""
    wanted = request.get("ResourceIds")
    found = [
        target
        for target in of_namespace(scope, request, records.targets)
        if wanted is None or target["ResourceId"] in wanted
    ]
    return page(
        "ScalableTargets",
        found,
        request,
        key=lambda target: (target["CreationTime"], records.target_key(target)),
    )


def of_namespace(scope: Scope, request: Document, table: Table) -> list[Document]:
    """The rows that pass the filters which all Describe operations share."""
    return [
        row
        for row in table.all(scope)
        if row["ServiceNamespace"] == request["ServiceNamespace"]
        and request.get("ScalableDimension") in (None, row["ScalableDimension"])
        and request.get("ResourceId") in (None, row["ResourceId"])
    ]


def page(
    member: str,
    rows: list[Document],
    request: Document,
    key: Callable[[Document], tuple[Any, ...]],
    descending: bool = False,
) -> Document:
    """One page of a Describe operation's answer, of 50 rows unless fewer are asked for."""
    if not 1 <= request.get("MaxResults", PAGE) <= PAGE:
        raise validation_error(f"MaxResults must be between 1 and {PAGE}")
    try:
        found, token = cut_page(request, rows, key, descending, PAGE)
    except ServiceError as error:
        raise ServiceError("InvalidNextTokenException", error.message) from error
    return {member: found, "NextToken": token}


def is_registered(scope: Scope, resource_id: str, dimension: str) -> bool:
    """Whether a resource is a scalable target in a dimension."""
    key = records.target_key({"ResourceId": resource_id, "ScalableDimension": dimension})
    return records.targets.get(scope, key) is not None


# --- tags -----------------------------------------------------------------------------------


def add_tags(scope: Scope, arn: str, added: dict[str, Any]) -> None:
    """Add tags to a target, in the place of those with the same keys."""
    merged = {**(records.tags.get(scope, arn) or {}), **added}
    if len(merged) > MAX_TAGS:
        raise ServiceError(
            "TooManyTagsException", f"The number of tags exceeds the limit of {MAX_TAGS}."
        )
    records.tags.put(scope, arn, merged)


def require_target(scope: Scope, arn: str) -> None:
    """Refuse the ARN of no target."""
    if not any(target["ScalableTargetARN"] == arn for target in records.targets.all(scope)):
        raise ServiceError("ResourceNotFoundException", f"The resource was not found: {arn}")


def tag_resource(scope: Scope, request: Document) -> Document:
    """TagResource."""
    require_target(scope, request["ResourceARN"])
    with lock:
        add_tags(scope, request["ResourceARN"], request["Tags"])
    return {}


def list_tags(scope: Scope, request: Document) -> Document:
    """ListTagsForResource."""
    require_target(scope, request["ResourceARN"])
    return {"Tags": records.tags.get(scope, request["ResourceARN"]) or {}}


def untag_resource(scope: Scope, request: Document) -> Document:
    """UntagResource."""
    require_target(scope, request["ResourceARN"])
    with lock:
        for key in request["TagKeys"]:
            (records.tags.get(scope, request["ResourceARN"]) or {}).pop(key, None)
    return {}
