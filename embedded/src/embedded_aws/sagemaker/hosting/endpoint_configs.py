"""Endpoint configurations: which models an endpoint runs, and on what.

Source: SageMaker API reference, "CreateEndpointConfig", "ProductionVariant"; developer guide,
"Deploy models with Amazon SageMaker Serverless Inference" (memory sizes, concurrency, feature
exclusions) and "Create an Asynchronous Inference Endpoint".
"""

import time
from collections.abc import Iterator

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import events, store, tagging
from embedded_aws.sagemaker.errors import already_exists, not_found
from embedded_aws.sagemaker.listing import list_page
from embedded_aws.sagemaker.models import find_model, primary_container

MEMORY_STEP_MB = 1024

# What of a request this SageMaker can't do, rather than pretend.
UNSUPPORTED = (
    "ShadowProductionVariants",
    "ExplainerConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
    "MetricsConfig",
)
UNSUPPORTED_OF_VARIANT = (
    "ManagedInstanceScaling",
    "InstancePools",
    "CoreDumpConfig",
    "CapacityReservationConfig",
    "AcceleratorType",
)

# What belongs to instances, and so not to a serverless variant.
OF_INSTANCES = (
    "VolumeSizeInGB",
    "ModelDataDownloadTimeoutInSeconds",
    "ContainerStartupHealthCheckTimeoutInSeconds",
    "EnableSSMAccess",
    "RoutingConfig",
    "InferenceAmiVersion",
)


def create_endpoint_config(scope: Scope, request: Document) -> Document:
    """CreateEndpointConfig, real-time, serverless or asynchronous."""
    check_request(scope, request)
    name = request["EndpointConfigName"]
    arn = store.arn(scope, "endpoint-config", name)
    with lock:
        if any(item["EndpointConfigArn"] == arn for item in store.endpoint_configs.all(scope)):
            raise already_exists("endpoint configuration", arn)
        document = {**request, "EndpointConfigArn": arn, "CreationTime": time.time()}
        document["ProductionVariants"] = [
            {"InitialVariantWeight": 1.0, **variant} for variant in request["ProductionVariants"]
        ]
        document.pop("Tags", None)
        store.endpoint_configs.put(scope, name, document)
        tagging.set_tags(scope, arn, request.get("Tags", []))
    events.publish(
        scope, "SageMaker Endpoint Config State Change", "DescribeEndpointConfig", document, arn
    )
    return {"EndpointConfigArn": arn}


def check_request(scope: Scope, request: Document) -> None:
    """Refuse what SageMaker refuses, and what this one doesn't have."""
    for member in UNSUPPORTED:
        if request.get(member):
            raise validation_error(f"The embedded SageMaker does not have {member}")
    variants = request["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) != len(names):
        raise validation_error("Variant names must be unique within an endpoint configuration")
    for variant in variants:
        check_variant(scope, variant)
    excluded = list(serverless_exclusions(scope, request))
    if excluded:
        raise validation_error(
            "One or more endpoint features are not supported using this configuration: a "
            f"serverless endpoint can't have {', '.join(excluded)}."
        )
    if "AsyncInferenceConfig" in request:
        check_output(request["AsyncInferenceConfig"]["OutputConfig"])


def check_variant(scope: Scope, variant: Document) -> None:
    """Refuse a variant that is not complete, or whose model isn't there."""
    name = variant["VariantName"]
    for member in UNSUPPORTED_OF_VARIANT:
        if variant.get(member):
            raise validation_error(f"The embedded SageMaker does not have {member}")
    if not variant.get("ModelName"):
        raise validation_error(
            f"Production variant {name} needs a ModelName; the embedded SageMaker has no "
            "inference components"
        )
    find_model(scope, variant["ModelName"])
    serverless = variant.get("ServerlessConfig")
    if serverless is None:
        if not variant.get("InstanceType") or not variant.get("InitialInstanceCount"):
            raise validation_error(
                f"Production variant {name} needs InstanceType and InitialInstanceCount, "
                "or a ServerlessConfig"
            )
        return
    if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
        raise validation_error(
            f"Production variant {name} can't have both a ServerlessConfig and instances"
        )
    if serverless["MemorySizeInMB"] % MEMORY_STEP_MB:
        raise validation_error("MemorySizeInMB must be one of 1024, 2048, 3072, 4096, 5120, 6144")
    check_concurrency(serverless)


def check_concurrency(serverless: Document) -> None:
    """Refuse more provisioned concurrency than there is concurrency."""
    if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
        raise validation_error("ProvisionedConcurrency must not be above MaxConcurrency")


def serverless_exclusions(scope: Scope, request: Document) -> Iterator[str]:
    """Name each feature of the request that serverless endpoints don't have."""
    variants = request["ProductionVariants"]
    if not any("ServerlessConfig" in variant for variant in variants):
        return
    if len(variants) > 1:
        yield "more than one variant"
    for member in ("AsyncInferenceConfig", "DataCaptureConfig"):
        if member in request:
            yield member
    for variant in variants:
        yield from (member for member in OF_INSTANCES if member in variant)
        model = find_model(scope, variant["ModelName"])
        if model.get("VpcConfig"):
            yield "a model with a VpcConfig"
        if model["EnableNetworkIsolation"]:
            yield "a model with EnableNetworkIsolation"
        if "ModelDataUrl" not in primary_container(model):
            yield "a model with a ModelDataSource"


def check_output(output: Document) -> None:
    """Refuse an asynchronous configuration whose answers would go nowhere."""
    notification = output.get("NotificationConfig", {})
    included = notification.get("IncludeInferenceResponseIn", [])
    if not output.get("S3OutputPath") and "SUCCESS_NOTIFICATION_TOPIC" not in included:
        raise validation_error(
            "OutputConfig needs an S3OutputPath, or a SuccessTopic that includes the response"
        )


def find_endpoint_config(scope: Scope, name: str) -> Document:
    """The configuration of that name, or the error that there is none."""
    config = store.endpoint_configs.get(scope, name)
    if config is None:
        raise not_found("endpoint configuration", store.arn(scope, "endpoint-config", name))
    return config


def describe_endpoint_config(scope: Scope, request: Document) -> Document:
    """DescribeEndpointConfig."""
    return find_endpoint_config(scope, request["EndpointConfigName"])


def delete_endpoint_config(scope: Scope, request: Document) -> Document:
    """DeleteEndpointConfig; endpoints created from it go on.

    One must not delete the configuration of a live endpoint, says the API reference, but it is
    not refused.
    """
    with lock:
        arn = find_endpoint_config(scope, request["EndpointConfigName"])["EndpointConfigArn"]
        store.endpoint_configs.delete(scope, request["EndpointConfigName"])
        store.tags.delete(scope, arn)
    return {}


def list_endpoint_configs(scope: Scope, request: Document) -> Document:
    """ListEndpointConfigs."""
    page, token = list_page(request, store.endpoint_configs.all(scope), "EndpointConfigName")
    return {"EndpointConfigs": page, "NextToken": token}
