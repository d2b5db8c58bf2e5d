"""Scalable targets: which variant may be scaled, and within which bounds.

Source: Application Auto Scaling API reference, "RegisterScalableTarget" and its kin; SageMaker
developer guide, "Automatic scaling of Amazon SageMaker AI models" and "Autoscale an asynchronous
endpoint" (a minimum of 0).
"""

import re
import time
from collections.abc import Callable
from typing import Any

from embedded_aws.autoscaling import records
from embedded_aws.aws import platform
from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.paging import cut_page
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, Table, lock
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.hosting.endpoints import SERVING
from embedded_aws.sagemaker.hosting.variants import find_variant

NAMESPACE = "sagemaker"
INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
RESOURCE = re.compile(r"endpoint/(?P<endpoint>[^/]+)/variant/(?P<variant>[^/]+)")
PAGE = 50
MAX_TAGS = 50
SUSPENDED = (
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
)


def register(scope: Scope, request: Document) -> Document:
    """RegisterScalableTarget: a new target, or new bounds of one."""
    check_dimension(request)
    endpoint, variant = find_resource(scope, request["ResourceId"])
    key = records.target_key(request)
    with lock:
        target = records.targets.get(scope, key)
        bounds = {
            name: request.get(name, (target or {}).get(name))
            for name in ("MinCapacity", "MaxCapacity")
        }
        check_bounds(bounds, request, endpoint, variant)
        if target is None:
            target = {
                "ServiceNamespace": NAMESPACE,
                "ResourceId": request["ResourceId"],
                "ScalableDimension": request["ScalableDimension"],
                "RoleARN": service_linked_role(scope),
                "CreationTime": time.time(),
                "SuspendedState": dict.fromkeys(SUSPENDED, False),
                "ScalableTargetARN": target_arn(scope),
            }
            records.targets.put(scope, key, target)
        target.update(bounds)
        target["SuspendedState"] = {**target["SuspendedState"], **request.get("SuspendedState", {})}
        arn: str = target["ScalableTargetARN"]
        if request.get("Tags"):
            add_tags(scope, arn, request["Tags"])
    return {"ScalableTargetARN": arn}


def check_dimension(request: Document) -> None:
    """Refuse what isn't a variant of a SageMaker endpoint."""
    if request["ServiceNamespace"] != NAMESPACE or request.get("ScalableDimension") not in (
        INSTANCES,
        CONCURRENCY,
    ):
        raise validation_error("Unsupported service namespace, resource type or scalable dimension")


def find_resource(scope: Scope, resource_id: str) -> tuple[Document, Document]:
    """The endpoint and the variant that a resource ID names."""
    match = RESOURCE.fullmatch(resource_id)
    if not match:
        raise validation_error("Unsupported service namespace, resource type or scalable dimension")
    endpoint = store.endpoints.get(scope, match["endpoint"])
    serving = endpoint is not None and endpoint["EndpointStatus"] in SERVING
    variant = find_variant(endpoint["Hosted"], match["variant"]) if endpoint and serving else None
    if endpoint is None or variant is None:
        raise validation_error(f"SageMaker variant does not exist: {resource_id}")
    return endpoint, variant


def check_bounds(
    bounds: Document, request: Document, endpoint: Document, variant: Document
) -> None:
    """Refuse bounds that are missing, crossed, or not for this kind of endpoint."""
    low, high = bounds["MinCapacity"], bounds["MaxCapacity"]
    if low is None or high is None:
        raise validation_error(
            "MinCapacity and MaxCapacity are required when registering a new scalable target"
        )
    if low < 0 or low > high:
        raise validation_error(
            f"MinCapacity {low} must be between 0 and MaxCapacity, which is {high}"
        )
    serverless = variant["CurrentServerlessConfig"]
    if request["ScalableDimension"] == CONCURRENCY:
        if not serverless:
            raise validation_error(
                f"{request['ResourceId']} is not serverless: it has no provisioned concurrency"
            )
        if low < 1 or high > serverless["MaxConcurrency"]:
            raise validation_error(
                f"Provisioned concurrency must be between 1 and {serverless['MaxConcurrency']}"
            )
    elif serverless:
        raise validation_error(f"{request['ResourceId']} is serverless: it has no instances")
    elif low == 0 and not endpoint.get("AsyncInferenceConfig"):
        raise validation_error(
            "MinCapacity can be 0 only for the variants of asynchronous endpoints"
        )


def service_linked_role(scope: Scope) -> str:
    """The role that Application Auto Scaling acts in.

    Source: Application Auto Scaling user guide, "Service-linked roles".
    """
    return (
        f"arn:{scope.partition}:iam::{scope.account}:role/aws-service-role/"
        "sagemaker.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )


def target_arn(scope: Scope) -> str:
    """A new scalable target's ARN."""
    place = f"{scope.partition}:application-autoscaling:{scope.region}:{scope.account}"
    return f"arn:{place}:scalable-target/{platform.new_id().replace('-', '')}"


def find(scope: Scope, request: Document, lacking: str = "registered") -> Document:
    """The scalable target that a request names.

    Raises
    ------
        ServiceError: ``ObjectNotFoundException`` in AWS's words; putting what hangs on a target
            they say that none is "registered", deregistering that none is "found".
    """
    target = records.targets.get(scope, records.target_key(request))
    if target is None or request["ServiceNamespace"] != NAMESPACE:
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


def scalable_variants(scope: Scope, endpoint: str) -> frozenset[str]:
    """The variants of an endpoint whose instance counts are registered."""
    names = set()
    for target in records.targets.all(scope):
        match = RESOURCE.fullmatch(target["ResourceId"])
        if match and match["endpoint"] == endpoint and target["ScalableDimension"] == INSTANCES:
            names.add(match["variant"])
    return frozenset(names)


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
