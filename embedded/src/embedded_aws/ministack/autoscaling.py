"""Application Auto Scaling as one of MiniStack's services, and SageMaker as one that it scales."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import now_iso, request_scope
from ministack.services import iam, stepfunctions
from ministack.services.cloudformation import provisioners, stacks

from embedded_aws.autoscaling import operations, records, resources, scaling, targets
from embedded_aws.autoscaling import permissions as autoscaling_permissions
from embedded_aws.autoscaling.services import SERVICES
from embedded_aws.aws import platform
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

SDK_NAME = "applicationautoscaling"
# What ``aws-sdk:applicationautoscaling:…`` takes, with the error names of the AWS SDK for Java 2.
for table, entry in (
    (
        stepfunctions._AWS_SDK_SERVICE_MAP,
        {
            "target_prefix": operations.TARGET_PREFIX.removesuffix("."),
            "protocol": "json",
            "service_key": operations.SERVICE,
        },
    ),
    (stepfunctions._AWS_SDK_ERROR_PREFIX, "ApplicationAutoScaling"),
):
    add(table, SDK_NAME, entry, serves=NO_AUTO_SCALING)


@patch(stacks, "_runs_on_worker_thread", serves=NO_AUTO_SCALING)
def runs_on_worker_thread(original: Function, resource_type: str) -> bool:
    """Let them wait for CloudWatch, which answers on the loop that would be waiting."""
    return resource_type in (resources.TARGET, resources.POLICY) or bool(original(resource_type))


def connect() -> None:
    """Let Auto Scaling see CloudWatch's alarms and metrics, and scale SageMaker's variants."""
    scaling.metric_alarms = cloudwatch.metric_alarms
    scaling.metric_points = cloudwatch.metric_points
    targets.role_exists = role_exists
    targets.make_role = make_role
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


def role_exists(scope: Scope, role: str) -> bool:
    """Whether IAM has a role, by its ARN."""
    with request_scope(scope.account, scope.region):
        return role.rpartition("/")[2] in iam._roles


def make_role(scope: Scope, role: str, principal: str) -> None:
    """Make a service-linked role, which MiniStack's own operation would call otherwise."""
    trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    name = role.rpartition("/")[2]
    with request_scope(scope.account, scope.region):
        iam._roles[name] = {
            "RoleName": name,
            "Arn": role,
            "RoleId": f"AROA{platform.new_id().replace('-', '')[:17].upper()}",
            "CreateDate": now_iso(),
            "Path": f"/aws-service-role/{principal}/",
            "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            "Description": "",
            "MaxSessionDuration": 3600,
            "AttachedPolicies": [],
            "InlinePolicies": {},
            "Tags": [],
        }
