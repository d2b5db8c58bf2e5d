"""What Application Auto Scaling can scale of a variant: its instances, or provisioned concurrency.

This module is what the server registers as a scalable service. Source: SageMaker developer guide,
"Automatic scaling of Amazon SageMaker AI models" and "Autoscale an asynchronous endpoint" (a
minimum of 0).
"""

import re
from collections.abc import Mapping

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker import store
from embedded_aws.sagemaker.hosting import endpoints, metrics
from embedded_aws.sagemaker.hosting.variants import find_variant

ROLE = "SageMakerEndpoint"
INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
DIMENSIONS: Mapping[str, str] = {INSTANCES: "instance count", CONCURRENCY: "concurrency"}
RESOURCE = re.compile(r"endpoint/(?P<endpoint>[^/]+)/variant/(?P<variant>[^/]+)")
METRIC_NAMESPACE = metrics.NAMESPACE
PREDEFINED_METRICS: Mapping[str, tuple[str, str, str, int]] = {
    "SageMakerVariantInvocationsPerInstance": (INSTANCES, "InvocationsPerInstance", "Sum", 60),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": (
        INSTANCES,
        "ConcurrentRequestsPerModel",
        "Maximum",
        10,
    ),
    "SageMakerVariantProvisionedConcurrencyUtilization": (
        CONCURRENCY,
        "ServerlessProvisionedConcurrencyUtilization",
        "Maximum",
        60,
    ),
}


def metric_dimensions(resource_id: str) -> list[dict[str, str]]:
    """The dimensions of a variant's metrics."""
    _, endpoint, _, variant = resource_id.split("/")
    return [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]


def find(scope: Scope, resource_id: str) -> tuple[Document, Document]:
    """The endpoint and the variant that a resource ID names."""
    match = RESOURCE.fullmatch(resource_id)
    if not match:
        raise validation_error("Unsupported service namespace, resource type or scalable dimension")
    endpoint = store.endpoints.get(scope, match["endpoint"])
    serving = endpoint is not None and endpoint["EndpointStatus"] in endpoints.SERVING
    variant = find_variant(endpoint["Hosted"], match["variant"]) if endpoint and serving else None
    if endpoint is None or variant is None:
        raise validation_error(f"SageMaker variant does not exist: {resource_id}")
    return endpoint, variant


def is_at_rest(scope: Scope, resource_id: str) -> bool:
    """Whether a variant can be scaled now, and has been as it was last asked to."""
    return bool(find(scope, resource_id)[0]["EndpointStatus"] == "InService")


def capacity(scope: Scope, resource_id: str, dimension: str) -> int:
    """The capacity that was asked for last."""
    _, variant = find(scope, resource_id)
    if dimension == INSTANCES:
        return int(variant["DesiredInstanceCount"])
    return int(variant["DesiredServerlessConfig"].get("ProvisionedConcurrency", 0))


def check_bounds(scope: Scope, resource_id: str, dimension: str, low: int, high: int) -> None:
    """Refuse bounds that are not for this kind of endpoint."""
    endpoint, variant = find(scope, resource_id)
    serverless = variant["CurrentServerlessConfig"]
    if dimension == CONCURRENCY:
        if not serverless:
            raise validation_error(
                f"{resource_id} is not serverless: it has no provisioned concurrency"
            )
        if low < 1 or high > serverless["MaxConcurrency"]:
            raise validation_error(
                f"Provisioned concurrency must be between 1 and {serverless['MaxConcurrency']}"
            )
    elif serverless:
        raise validation_error(f"{resource_id} is serverless: it has no instances")
    elif low == 0 and not endpoint.get("AsyncInferenceConfig"):
        raise validation_error(
            "MinCapacity can be 0 only for the variants of asynchronous endpoints"
        )


def set_capacity(scope: Scope, resource_id: str, dimension: str, desired: int) -> None:
    """Bring a variant to a capacity; the endpoint is updated meanwhile."""
    _, endpoint, _, variant = resource_id.split("/")
    change: Document = {"VariantName": variant}
    if dimension == INSTANCES:
        change["DesiredInstanceCount"] = desired
    else:
        change["ServerlessUpdateConfig"] = {"ProvisionedConcurrency": desired}
    endpoints.update_endpoint_weights_and_capacities(
        scope, {"EndpointName": endpoint, "DesiredWeightsAndCapacities": [change]}
    )
