"""What a call to Application Auto Scaling needs permission for.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS
Application Auto Scaling".
"""

from collections.abc import Mapping
from typing import Any

from embedded_aws.autoscaling.operations import SERVICE, TARGET_PREFIX
from embedded_aws.aws.permissions import Need, understood
from embedded_aws.aws.platform import Scope

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
    request = understood(SERVICE, operation, body)
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
    return [Need(f"application-autoscaling:{operation}", str(resource), context)]
