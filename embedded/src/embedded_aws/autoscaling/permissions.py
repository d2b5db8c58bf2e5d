"""What a call to Application Auto Scaling needs permission for.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS
Application Auto Scaling"; user guide, "Service-linked roles for Application Auto Scaling": who
registers the first target of a service needs to be allowed to make its role.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from embedded_aws.autoscaling import targets
from embedded_aws.autoscaling.operations import SERVICE, TARGET_PREFIX
from embedded_aws.autoscaling.services import SERVICES
from embedded_aws.aws.permissions import Need, understood
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document

CONDITION_KEYS = {
    "ServiceNamespace": "application-autoscaling:service-namespace",
    "ScalableDimension": "application-autoscaling:scalable-dimension",
}


def needs_of_request(
    scope: Scope, path: str, headers: Mapping[str, str], body: bytes
) -> list[Need]:
    """What a request over HTTP needs; nothing where it names no operation, which is refused."""
    target = headers.get("x-amz-target", "")
    if not target.startswith(TARGET_PREFIX):
        return []
    operation = target.removeprefix(TARGET_PREFIX)
    return list(needs(scope, operation, understood(SERVICE, operation, body)))


def needs(scope: Scope, operation: str, request: Document) -> Iterator[Need]:
    """Yield what an operation needs."""
    context: dict[str, Any] = {
        key: request[member]
        for member, key in CONDITION_KEYS.items()
        if isinstance(request.get(member), str)
    }
    if tags := request.get("Tags"):
        context["aws:TagKeys"] = list(tags)
        context.update({f"aws:RequestTag/{key}": value for key, value in tags.items()})
    resource = request.get("ResourceARN", scope.arn(SERVICE, "scalable-target/*"))
    if operation.startswith("Describe"):
        # They have no resource level.
        resource = "*"
    yield Need(f"application-autoscaling:{operation}", str(resource), context)
    namespace = request.get("ServiceNamespace")
    if operation == "RegisterScalableTarget" and namespace in SERVICES:
        role = targets.service_linked_role(scope, namespace, SERVICES[namespace].ROLE)
        if not targets.role_exists(scope, role):
            principal = {"iam:AWSServiceName": targets.principal_of(namespace)}
            yield Need("iam:CreateServiceLinkedRole", role, principal)
