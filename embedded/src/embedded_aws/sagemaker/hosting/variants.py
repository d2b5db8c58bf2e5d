"""Production variants as an endpoint runs them: their models, weights and capacity.

An endpoint remembers all that it needs of them, since models and configurations may go.
"""

import hashlib
import random
import time
from collections.abc import Sequence
from typing import Any

from embedded_aws.aws import platform
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker.models import find_model, model_data, primary_container

WEIGHT, INSTANCES = "Weight", "InstanceCount"
"""What of a variant can be changed while it serves; each has a current and a desired value."""


def resolve(scope: Scope, config: Document) -> list[Document]:
    """The variants of a configuration with their models, as an endpoint keeps them.

    Raises ServiceError: a model is gone.
    """
    hosted: list[Document] = []
    fleet_id = platform.new_id()
    for variant in config["ProductionVariants"]:
        model = find_model(scope, variant["ModelName"])
        container = primary_container(model)
        serverless = variant.get("ServerlessConfig")
        count = 0 if serverless else variant["InitialInstanceCount"]
        weight = variant["InitialVariantWeight"]
        hosted.append(
            {
                "VariantName": variant["VariantName"],
                "FleetId": fleet_id,
                "InstanceType": variant.get("InstanceType"),
                "RoleArn": model.get("ExecutionRoleArn"),
                "Image": container["Image"],
                "ModelData": model_data(container)["S3DataSource"],
                "CurrentWeight": weight,
                "DesiredWeight": weight,
                "CurrentInstanceCount": count,
                "DesiredInstanceCount": count,
                "CurrentServerlessConfig": serverless,
                "DesiredServerlessConfig": serverless,
            }
        )
    return hosted


def retain(hosted: list[Document], running: Sequence[Document], excluded: set[str]) -> None:
    """Carry weights and instance counts of running variants over to new ones of the same name.

    Source: API reference, "UpdateEndpoint", RetainAllVariantProperties.
    """
    running_by_name = {variant["VariantName"]: variant for variant in running}
    for variant in hosted:
        before = running_by_name.get(variant["VariantName"])
        if before is None:
            continue
        kept = [
            kind
            for kind, name in ((WEIGHT, "DesiredWeight"), (INSTANCES, "DesiredInstanceCount"))
            if name not in excluded
        ]
        # What was serverless has no instances to keep, and the other way round.
        if bool(before["CurrentServerlessConfig"]) != bool(variant["CurrentServerlessConfig"]):
            kept = [kind for kind in kept if kind == WEIGHT]
        for kind in kept:
            value = before[f"Desired{kind}"]
            variant[f"Current{kind}"] = variant[f"Desired{kind}"] = value


def find_variant(hosted: Sequence[Document], name: str) -> Document | None:
    """The variant of that name."""
    return next((variant for variant in hosted if variant["VariantName"] == name), None)


def choose(endpoint: Document, wanted: str | None) -> Document | None:
    """The variant asked for, or None without such; else one at random by weight.

    While a deployment shifts traffic, the arriving fleet gets its share of it.
    """
    with lock:
        fleet: list[Document] = endpoint["Hosted"]
        if random.random() < endpoint.get("ArrivingShare", 0):
            fleet = endpoint["Arriving"]
        weights = [variant["CurrentWeight"] for variant in fleet]
    if wanted is not None:
        return find_variant(fleet, wanted)
    return random.choices(fleet, weights if sum(weights) else None)[0]


def summary(variant: Document, **changes: Any) -> Document:
    """A variant as DescribeEndpoint shows it."""
    shown = (
        "VariantName",
        "CurrentWeight",
        "DesiredWeight",
        "CurrentInstanceCount",
        "DesiredInstanceCount",
        "CurrentServerlessConfig",
        "DesiredServerlessConfig",
    )
    image = {
        "SpecifiedImage": variant["Image"],
        "ResolvedImage": resolved(variant["Image"]),
        "ResolutionTime": time.time(),
    }
    return {**{name: variant[name] for name in shown}, "DeployedImages": [image], **changes}


def resolved(image: str) -> str:
    """An image with a digest in place of its tag; that of its path, for want of the image itself.

    Source: API reference, "DeployedImage".
    """
    repository = image.partition(":")[0]
    return f"{repository}@sha256:{hashlib.sha256(repository.encode()).hexdigest()}"
