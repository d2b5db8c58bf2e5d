"""Application Auto Scaling as one of MiniStack's services, and SageMaker as one that it scales."""

from collections.abc import Mapping
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
    operations.respond,
    autoscaling_permissions.needs_of_request,
    {
        "get_state": records.get_state,
        "load_persisted_state": records.restore,
        "reset": records.reset,
    },
    operations.TARGET_PREFIX,
    r"application-autoscaling\.",
)
add(
    provisioners._RESOURCE_HANDLERS,
    resources.TARGET,
    {
        "create": lambda _, properties, __: resources.put_target(current_scope(), properties),
        "update": lambda _, __, properties, ___: resources.put_target(current_scope(), properties),
        "delete": lambda name, _: resources.delete_target(current_scope(), name),
    },
    serves=NO_AUTO_SCALING,
)
add(
    provisioners._RESOURCE_HANDLERS,
    resources.POLICY,
    {
        "create": lambda _, properties, __: resources.put_policy(current_scope(), properties),
        "update": lambda _, __, properties, ___: resources.put_policy(current_scope(), properties),
        "delete": lambda _, properties: resources.delete_policy(current_scope(), properties),
    },
    serves=NO_AUTO_SCALING,
)


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
