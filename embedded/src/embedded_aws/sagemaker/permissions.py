"""What a call needs permission for: the action, the resource and the condition keys.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
SageMaker AI"; API reference, "AddTags" (a resource that is created with tags needs that too) and
"CreateModel" (iam:PassRole).
"""

import re
from collections.abc import Iterator
from typing import Any

from embedded_aws.aws.permissions import Need, understood
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.requests import INVOCATION, RUNTIME_OPERATIONS, SERVICE, TARGET_PREFIX

KINDS = {
    "TrainingJob": "training-job",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "TransformJob": "transform-job",
    "ProcessingJob": "processing-job",
    "Model": "model",
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
}
"""What a request names by the member ``<key>Name``, and how its ARN calls it."""

# Endpoints are made and changed from a configuration, and both are authorized.
ALSO_FROM_CONFIG = ("CreateEndpoint", "UpdateEndpoint")
OPERATION = re.compile(r"(?:Create|Describe|Stop|Delete|Update)(?P<noun>\w+)")
PASSED_TO = "sagemaker.amazonaws.com"
FOR_AWS = {"kms:GrantIsForAWSResource": "true"}
NETWORK_ACTIONS = (
    "CreateNetworkInterface",
    "CreateNetworkInterfacePermission",
    "DeleteNetworkInterface",
    "DeleteNetworkInterfacePermission",
    "DescribeNetworkInterfaces",
    "DescribeVpcs",
    "DescribeDhcpOptions",
    "DescribeSubnets",
    "DescribeSecurityGroups",
)


def needs_of_request(scope: Scope, path: str, headers: Any, body: bytes) -> list[Need]:
    """What a request over HTTP needs; nothing where it names no operation, which is refused."""
    invocation = INVOCATION.fullmatch(path)
    if invocation:
        return [invocation_need(scope, invocation["name"], invocation["kind"], headers)]
    target = headers.get("x-amz-target", "")
    if not target.startswith(TARGET_PREFIX):
        return []
    operation = target.removeprefix(TARGET_PREFIX)
    return list(needs(scope, operation, understood(SERVICE, operation, body)))


def invocation_need(scope: Scope, endpoint: str, kind: str, headers: Any) -> Need:
    """The permission for a call to the runtime.

    Streaming needs no more than InvokeEndpoint. Source: API reference,
    "InvokeEndpointWithResponseStream".
    """
    operation = RUNTIME_OPERATIONS[kind].removesuffix("WithResponseStream")
    arn = store.arn(scope, "endpoint", endpoint)
    context = resource_tags(scope, arn)
    for header, key in (
        ("x-amzn-sagemaker-target-model", "sagemaker:TargetModel"),
        ("x-amzn-sagemaker-inference-component", "sagemaker:InferenceComponentName"),
    ):
        if headers.get(header):
            context[key] = headers[header]
    return Need(f"sagemaker:{operation}", arn, context)


def needs(scope: Scope, operation: str, request: Document) -> Iterator[Need]:
    """Yield what an operation of the control plane needs, in the order that AWS checks it."""
    action = f"sagemaker:{operation}"
    resources = list(resources_of(scope, operation, request))
    for resource in resources:
        context = {**request_context(request), **resource_tags(scope, resource)}
        yield Need(action, resource, context)
    if operation in ALSO_FROM_CONFIG:
        # Source: API reference, "CreateEndpointConfig", KmsKeyId: whoever creates the endpoint.
        config = store.endpoint_configs.get(scope, str(request.get("EndpointConfigName"))) or {}
        if config.get("KmsKeyId"):
            yield Need("kms:CreateGrant", config["KmsKeyId"], FOR_AWS)
    if operation.startswith("Create") and request.get("Tags"):
        context = {**request_context(request), "sagemaker:TaggingAction": operation}
        yield Need("sagemaker:AddTags", resources[0], context)
    for role in passed_roles(request):
        yield Need(
            "iam:PassRole",
            role,
            {"iam:PassedToService": PASSED_TO, "iam:AssociatedResourceArn": resources[0]},
        )


def needs_of_role(request: Document) -> Iterator[Need]:
    """Yield what the execution role needs for a job's or a model's network and volume.

    Source: SageMaker developer guide, "SageMaker AI roles", permissions of the execution role for
    CreateTrainingJob and CreateModel: a private VPC, a volume's KMS key.
    """
    if request.get("VpcConfig"):
        for action in NETWORK_ACTIONS:
            yield Need(f"ec2:{action}", "*")
    key = (request.get("ResourceConfig") or {}).get("VolumeKmsKeyId")
    if key:
        yield Need("kms:CreateGrant", key, FOR_AWS)


def resources_of(scope: Scope, operation: str, request: Document) -> Iterator[str]:
    """Yield the ARNs that an operation is about; ``*`` for one that is about none, as lists are."""
    if operation in ("AddTags", "DeleteTags", "ListTags"):
        yield str(request.get("ResourceArn", "*"))
        return
    if operation == "ListTrainingJobsForHyperParameterTuningJob":
        operation = "DescribeHyperParameterTuningJob"
    match = OPERATION.fullmatch(operation)
    noun = match["noun"] if match else ""
    if noun == "EndpointWeightsAndCapacities":
        noun = "Endpoint"
    name = request.get(f"{noun}Name")
    if noun not in KINDS or not isinstance(name, str):
        yield "*"
        return
    yield store.arn(scope, KINDS[noun], name)
    if operation in ALSO_FROM_CONFIG and isinstance(request.get("EndpointConfigName"), str):
        yield store.arn(scope, "endpoint-config", request["EndpointConfigName"])


def passed_roles(request: Document) -> list[str]:
    """The roles that a request passes to SageMaker."""
    definitions = [
        request.get("TrainingJobDefinition"),
        *(request.get("TrainingJobDefinitions") or []),
    ]
    found = [request.get("RoleArn"), request.get("ExecutionRoleArn")]
    found += [item.get("RoleArn") for item in definitions if isinstance(item, dict)]
    return list(dict.fromkeys(role for role in found if isinstance(role, str)))


def request_context(request: Document) -> dict[str, Any]:
    """The condition keys that a request carries."""
    context: dict[str, Any] = {}
    tags = [tag for tag in request.get("Tags") or [] if isinstance(tag, dict) and "Key" in tag]
    for tag in tags:
        context[f"aws:RequestTag/{tag['Key']}"] = tag.get("Value", "")
    keys = [tag["Key"] for tag in tags] + list(request.get("TagKeys") or [])
    if keys:
        context["aws:TagKeys"] = keys
    variants = [
        variant for variant in request.get("ProductionVariants") or [] if isinstance(variant, dict)
    ]
    resources = request.get("ResourceConfig") or request.get("TransformResources") or {}
    types = [variant.get("InstanceType") for variant in variants] + [resources.get("InstanceType")]
    serverless = [variant.get("ServerlessConfig") or {} for variant in variants]
    network = request.get("VpcConfig") or {}
    output = request.get("OutputDataConfig") or {}
    stated = {
        "sagemaker:InstanceTypes": [kind for kind in types if kind],
        "sagemaker:ServerlessMaxConcurrency": first(serverless, "MaxConcurrency"),
        "sagemaker:ServerlessMemorySize": first(serverless, "MemorySizeInMB"),
        "sagemaker:ModelArn": request.get("ModelName"),
        "sagemaker:NetworkIsolation": request.get("EnableNetworkIsolation"),
        "sagemaker:InterContainerTrafficEncryption": request.get(
            "EnableInterContainerTrafficEncryption"
        ),
        "sagemaker:VpcSubnets": network.get("Subnets"),
        "sagemaker:VpcSecurityGroupIds": network.get("SecurityGroupIds"),
        "sagemaker:VolumeKmsKey": request.get("KmsKeyId") or resources.get("VolumeKmsKeyId"),
        "sagemaker:OutputKmsKey": output.get("KmsKeyId"),
    }
    context.update({key: value for key, value in stated.items() if value not in (None, [])})
    return context


def first(documents: list[Document], member: str) -> Any:
    """The first value that there is of a member."""
    return next((document[member] for document in documents if member in document), None)


def resource_tags(scope: Scope, arn: str) -> dict[str, Any]:
    """The condition keys for the tags that a resource has already."""
    tags = store.tags.get(scope, arn) or {}
    return {
        f"{prefix}:ResourceTag/{key}": value
        for key, value in tags.items()
        for prefix in ("aws", "sagemaker")
    }
