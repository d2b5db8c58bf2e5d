"""Endpoint configurations: which models an endpoint runs, and on what."""

import time

from local.sagemaker import store, tagging
from local.sagemaker.errors import already_exists, not_found, validation_error
from local.sagemaker.listing import list_page
from local.sagemaker.models import find_model
from local.sagemaker.platform import Scope
from local.sagemaker.store import Document


def create_endpoint_config(scope: Scope, request: Document) -> Document:
    """CreateEndpointConfig, real-time, serverless or asynchronous."""
    variants = request["ProductionVariants"]
    check_variants(scope, variants, bool(request.get("AsyncInferenceConfig")))
    name = request["EndpointConfigName"]
    arn = scope.arn("endpoint-config", name)
    with store.lock:
        if store.endpoint_configs.get(scope, name):
            raise already_exists("endpoint configuration", arn)
        document = {**request, "EndpointConfigArn": arn, "CreationTime": time.time()}
        document["ProductionVariants"] = [
            {"InitialVariantWeight": 1.0, **variant} for variant in variants
        ]
        document.pop("Tags", None)
        store.endpoint_configs.put(scope, name, document)
        tagging.set_tags(scope, arn, request.get("Tags", []))
    return {"EndpointConfigArn": arn}


def check_variants(scope: Scope, variants: list[Document], asynchronous: bool) -> None:
    """Refuse what SageMaker refuses of production variants.

    Source: developer guide, "Deploy models with Amazon SageMaker Serverless Inference"
    (memory sizes, concurrency, exclusions).
    """
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) != len(names):
        raise validation_error("Variant names must be unique within an endpoint configuration")
    for variant in variants:
        name = variant["VariantName"]
        if not variant.get("ModelName"):
            raise validation_error(f"Production variant {name} needs a ModelName")
        find_model(scope, variant["ModelName"])
        serverless = variant.get("ServerlessConfig")
        if serverless is None:
            if not variant.get("InstanceType") or not variant.get("InitialInstanceCount"):
                raise validation_error(
                    f"Production variant {name} needs InstanceType and InitialInstanceCount, "
                    "or a ServerlessConfig"
                )
            continue
        if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
            raise validation_error(
                f"Production variant {name} can't have both a ServerlessConfig and instances"
            )
        if len(variants) > 1:
            raise validation_error("A serverless endpoint can't have more than one variant")
        if asynchronous:
            raise validation_error("AsyncInferenceConfig can't be used with a ServerlessConfig")
        if serverless["MemorySizeInMB"] % 1024:
            raise validation_error(
                "MemorySizeInMB must be one of 1024, 2048, 3072, 4096, 5120, 6144"
            )
        if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
            raise validation_error("ProvisionedConcurrency must not be above MaxConcurrency")


def find_endpoint_config(scope: Scope, name: str) -> Document:
    """The configuration of that name, or the error that there is none."""
    config = store.endpoint_configs.get(scope, name)
    if config is None:
        raise not_found("endpoint configuration", scope.arn("endpoint-config", name))
    return config


def describe_endpoint_config(scope: Scope, request: Document) -> Document:
    """DescribeEndpointConfig."""
    return find_endpoint_config(scope, request["EndpointConfigName"])


def delete_endpoint_config(scope: Scope, request: Document) -> Document:
    """DeleteEndpointConfig; endpoints created from it go on."""
    with store.lock:
        arn = find_endpoint_config(scope, request["EndpointConfigName"])["EndpointConfigArn"]
        store.endpoint_configs.delete(scope, request["EndpointConfigName"])
        store.tags.delete(scope, arn)
    return {}


def list_endpoint_configs(scope: Scope, request: Document) -> Document:
    """ListEndpointConfigs."""
    page, token = list_page(request, store.endpoint_configs.all(scope), "EndpointConfigName")
    return {"EndpointConfigs": page, "NextToken": token}
