"""Application Auto Scaling as one of MiniStack's services, and SageMaker as one that it scales."""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import provisioners, stacks

from embedded_aws.autoscaling import operations, records, resources, scaling, targets
from embedded_aws.autoscaling import permissions as autoscaling_permissions
from embedded_aws.autoscaling.services import SERVICES
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import cloudwatch, services
from embedded_aws.ministack.authorization import current_scope
from embedded_aws.ministack.patch import Function, add, patch
from embedded_aws.sagemaker import requests, store
from embedded_aws.sagemaker.hosting import deployment, endpoints, scalable

NO_AUTO_SCALING = "MiniStack has no application-autoscaling"

services.register(
    operations.SERVICE,
    operations.API.respond,
    autoscaling_permissions.needs_of_request,
    records.TABLES,
    operations.TARGET_PREFIX,
    r"application-autoscaling\.",
)


def provisioner(put: Callable[..., Any], delete: Callable[..., Any]) -> dict[str, Any]:
    """What MiniStack's CloudFormation calls for resources of a type."""
    return {
        "create": lambda _, properties, __: put(current_scope(), properties),
        "update": lambda _, __, properties, ___: put(current_scope(), properties),
        "delete": lambda name, properties: delete(current_scope(), name, properties),
    }


for resource_type, handler in (
    (resources.TARGET, provisioner(resources.put_target, resources.delete_target)),
    (resources.POLICY, provisioner(resources.put_policy, resources.delete_policy)),
):
    add(provisioners._RESOURCE_HANDLERS, resource_type, handler, serves=NO_AUTO_SCALING)


@patch(stacks, "_runs_on_worker_thread", serves=NO_AUTO_SCALING)
def runs_on_worker_thread(original: Function, resource_type: str) -> bool:
    """Let them wait for CloudWatch, which answers on the loop that would be waiting."""
    return resource_type in (resources.TARGET, resources.POLICY) or bool(original(resource_type))


def connect() -> None:
    """Let Auto Scaling see CloudWatch's alarms and metrics, and scale SageMaker's variants."""
    scaling.metric_alarms = cloudwatch.metric_alarms
    scaling.metric_points = cloudwatch.metric_points
    SERVICES[requests.SERVICE] = scalable
    endpoints.is_scaled = lambda scope, resource_id: targets.is_registered(
        scope, resource_id, scalable.INSTANCES
    )
    deployment.listeners.append(forget_deleted)


def forget_deleted(scope: Scope, endpoint: Mapping[str, Any]) -> None:
    """Deregister what hangs on an endpoint that has been deleted.

    Source: SageMaker developer guide, "Update or delete endpoints that use automatic scaling".
    """
    if store.endpoints.get(scope, endpoint["EndpointName"]) is None:
        scaling.forget(scope, f"endpoint/{endpoint['EndpointName']}/variant/")
