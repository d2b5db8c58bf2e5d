"""Endpoints: what clients can ask of them. What follows in the background is in ``deployment``.

Source: SageMaker API reference, "CreateEndpoint", "UpdateEndpoint",
"UpdateEndpointWeightsAndCapacities", "DescribeEndpoint"; the beginnings of the messages as
aws/amazon-sagemaker-operator-for-k8s, controllers/controllertest, looks for them.
"""

import time
from collections.abc import Callable

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import store, tagging
from embedded_aws.sagemaker.errors import already_exists, not_found
from embedded_aws.sagemaker.hosting import deployment
from embedded_aws.sagemaker.hosting.endpoint_configs import check_concurrency, find_endpoint_config
from embedded_aws.sagemaker.hosting.variants import find_variant, resolve, retain, summary
from embedded_aws.sagemaker.listing import list_page

SERVING = ("InService", "Updating", "RollingBack", "SystemUpdating", "UpdateRollbackFailed")
"""The statuses in which an endpoint answers."""


def nothing_is_scaled(scope: Scope, resource_id: str) -> bool:
    """Stands in until the server connects Application Auto Scaling."""
    return False


is_scaled: Callable[[Scope, str], bool] = nothing_is_scaled
"""Whether the instances of ``endpoint/<name>/variant/<name>`` are registered to be scaled."""


def create_endpoint(scope: Scope, request: Document) -> Document:
    """CreateEndpoint: Creating, then InService or Failed.

    Names are told apart without regard to case, as the API reference says.
    """
    name = request["EndpointName"]
    arn = store.arn(scope, "endpoint", name)
    now = time.time()
    with lock:
        if any(document["EndpointArn"] == arn for document in store.endpoints.all(scope)):
            raise already_exists("endpoint", arn)
        config = find_endpoint_config(scope, request["EndpointConfigName"])
        fleet = resolve(scope, config)
        check_deployment(request.get("DeploymentConfig"), fleet)
        document: Document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "LastDeploymentConfig": request.get("DeploymentConfig"),
        }
        store.endpoints.put(scope, name, document)
        tagging.set_tags(scope, arn, request.get("Tags", []))
    deployment.announce(scope, document, "SageMaker Endpoint State Change")
    deployment.in_background(deployment.create, scope, document, dict(config), fleet)
    return {"EndpointArn": arn}


def update_endpoint(scope: Scope, request: Document) -> Document:
    """UpdateEndpoint: the old fleet answers until the new one has taken over.

    It needs the configuration in use besides the new one. Source: API reference, "UpdateEndpoint"
    (it must not be deleted); hashicorp/terraform-provider-aws issue 40048 (the error).
    """
    with lock:
        endpoint = find_endpoint(scope, request["EndpointName"])
        require_at_rest(endpoint)
        require_not_failed(endpoint)
        find_endpoint_config(scope, endpoint["EndpointConfigName"])
        config = dict(find_endpoint_config(scope, request["EndpointConfigName"]))
        fleet = resolve(scope, config)
        check_kind(endpoint, config, fleet)
        check_scalable_variants(scope, endpoint, fleet)
        keep_properties(request, endpoint, config, fleet)
        plan = request.get("DeploymentConfig") or (
            endpoint.get("LastDeploymentConfig") if request.get("RetainDeploymentConfig") else None
        )
        check_deployment(plan, fleet)
        endpoint["EndpointStatus"] = "Updating"
    deployment.enter(scope, endpoint, "Updating")
    deployment.in_background(
        deployment.update, scope, endpoint, config, fleet, plan or deployment.ALL_AT_ONCE
    )
    return {"EndpointArn": endpoint["EndpointArn"]}


BATCHES = {
    "CanarySize": (0.0, 0.5, "at most 50%"),
    "LinearStepSize": (0.1, 0.5, "between 10% and 50%"),
    "MaximumBatchSize": (0.05, 0.5, "between 5% and 50%"),
}
"""The bounds of a step's size, as shares of a variant's instances and in words.

Source: API reference, "TrafficRoutingConfig" and "RollingUpdatePolicy".
"""
STEP_SIZE = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


def check_deployment(plan: Document | None, fleet: list[Document]) -> None:
    """Refuse a deployment configuration whose steps can't be taken.

    Source: API reference, "DeploymentConfig" (only one update policy), and as for ``BATCHES``.
    """
    if plan is None:
        return
    rolling, blue_green = plan.get("RollingUpdatePolicy"), plan.get("BlueGreenUpdatePolicy")
    if bool(rolling) == bool(blue_green):
        raise validation_error(
            "DeploymentConfig must have one of BlueGreenUpdatePolicy and RollingUpdatePolicy"
        )
    if rolling:
        check_batch("MaximumBatchSize", rolling["MaximumBatchSize"], fleet)
    if blue_green:
        routing = blue_green["TrafficRoutingConfiguration"]
        wanted = STEP_SIZE.get(routing["Type"])
        for member in STEP_SIZE.values():
            if (member in routing) != (member == wanted):
                verb = "needs a" if member == wanted else "can not have a"
                raise validation_error(f"Traffic routing of type {routing['Type']} {verb} {member}")
        if wanted:
            check_batch(wanted, routing[wanted], fleet)


def check_batch(member: str, size: Document, fleet: list[Document]) -> None:
    """Refuse the size of a step that is out of its bounds for one of the variants."""
    low, high, bounds = BATCHES[member]
    for variant in fleet:
        total = variant["DesiredInstanceCount"]
        # Of few instances one is more than it may be, and still the least that there is.
        least = size["Type"] == "INSTANCE_COUNT" and size["Value"] == 1
        if not least and not low <= deployment.share_of(size, total) <= high:
            raise validation_error(
                f"{member} must be {bounds} of the total instance count of variant "
                f"{variant['VariantName']}"
            )


def update_endpoint_weights_and_capacities(scope: Scope, request: Document) -> Document:
    """UpdateEndpointWeightsAndCapacities: Updating, then InService with the desired values."""
    with lock:
        endpoint = find_endpoint(scope, request["EndpointName"])
        require_at_rest(endpoint)
        require_not_failed(endpoint)
        for change in request["DesiredWeightsAndCapacities"]:
            check_change(endpoint, change)
        for change in request["DesiredWeightsAndCapacities"]:
            variant = find_variant(endpoint["Hosted"], change["VariantName"]) or {}
            for member in ("DesiredWeight", "DesiredInstanceCount"):
                variant[member] = change.get(member, variant[member])
            if "ServerlessUpdateConfig" in change:
                variant["DesiredServerlessConfig"] = {
                    **variant["DesiredServerlessConfig"],
                    **change["ServerlessUpdateConfig"],
                }
        endpoint["ProductionVariants"] = [summary(variant) for variant in endpoint["Hosted"]]
        endpoint["EndpointStatus"] = "Updating"
    deployment.enter(scope, endpoint, "Updating")
    deployment.in_background(deployment.rescale, scope, endpoint)
    return {"EndpointArn": endpoint["EndpointArn"]}


def check_change(endpoint: Document, change: Document) -> None:
    """Refuse a change that the variant can't follow.

    Source: for the message of an unknown variant, getmoto/moto, sagemaker/models.py.
    """
    name = change["VariantName"]
    variant = find_variant(endpoint["Hosted"], name)
    if variant is None:
        raise validation_error(
            f'The variant name(s) "{name}" is/are not present within endpoint configuration '
            f'"{endpoint["EndpointConfigName"]}".'
        )
    serverless = variant["CurrentServerlessConfig"]
    if serverless:
        if "DesiredInstanceCount" in change:
            raise validation_error(f"Variant {name} is serverless: it has no instances")
        check_concurrency({**serverless, **change.get("ServerlessUpdateConfig", {})})
    elif "ServerlessUpdateConfig" in change:
        raise validation_error(f"Variant {name} is not serverless")
    if change.get("DesiredInstanceCount") == 0 and not endpoint.get("AsyncInferenceConfig"):
        raise validation_error(
            f"Variant {name} needs an instance: only asynchronous endpoints can have none"
        )


def delete_endpoint(scope: Scope, request: Document) -> Document:
    """DeleteEndpoint: Deleting, then gone with its models."""
    with lock:
        endpoint = find_endpoint(scope, request["EndpointName"])
        require_at_rest(endpoint)
        endpoint["EndpointStatus"] = "Deleting"
    deployment.enter(scope, endpoint, "Deleting")
    deployment.in_background(deployment.remove, scope, endpoint)
    return {}


def require_at_rest(endpoint: Document) -> None:
    """Refuse to touch an endpoint that is being changed."""
    if endpoint["EndpointStatus"] in (
        "Creating",
        "Updating",
        "SystemUpdating",
        "RollingBack",
        "Deleting",
    ):
        raise validation_error(f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".')


def require_not_failed(endpoint: Document) -> None:
    """Refuse to update what has failed.

    Source: API reference, "DescribeEndpoint", EndpointStatus.
    """
    if endpoint["EndpointStatus"] == "Failed":
        raise validation_error(
            f'Cannot update failed endpoint "{endpoint["EndpointArn"]}". DeleteEndpoint is the '
            "only operation that can be performed on a failed endpoint."
        )


def check_kind(endpoint: Document, config: Document, fleet: list[Document]) -> None:
    """Refuse an update that would make another kind of endpoint of it.

    Source: developer guide, "Update a serverless endpoint" (instances can't become serverless,
    serverless can become instances); aws/sagemaker-python-sdk pull request 3124 (asynchronous).
    """
    name = endpoint["EndpointName"]
    before, after = bool(endpoint.get("AsyncInferenceConfig")), "AsyncInferenceConfig" in config
    if before != after:
        verb = "removed from" if before else "added to"
        raise validation_error(
            f"The AsyncInferenceConfig parameter cannot be {verb} this endpoint {name}. To change "
            "the endpoint's inference type, create a new endpoint."
        )
    was_serverless = any(variant["CurrentServerlessConfig"] for variant in endpoint["Hosted"])
    if not was_serverless and any(variant["CurrentServerlessConfig"] for variant in fleet):
        raise validation_error(
            f"Cannot update instance-based endpoint {name} to a serverless one. Create a new "
            "endpoint with the serverless configuration."
        )


def check_scalable_variants(scope: Scope, endpoint: Document, fleet: list[Document]) -> None:
    """Refuse to take away a variant, or its instance type, that Auto Scaling still scales.

    Source: developer guide, "Update or delete endpoints that use automatic scaling".
    """
    changed = []
    for old in sorted(endpoint["Hosted"], key=lambda variant: str(variant["VariantName"])):
        name = old["VariantName"]
        new = find_variant(fleet, name)
        replaced = new is None or old["InstanceType"] != new["InstanceType"]
        if replaced and is_scaled(scope, f"endpoint/{endpoint['EndpointName']}/variant/{name}"):
            changed.append(name)
    if changed:
        raise validation_error(
            f'The variant(s) "{changed}" must be deregistered as scalable targets with AWS Auto '
            "Scaling before they can be removed or have their instance type updated."
        )


def keep_properties(
    request: Document, endpoint: Document, config: Document, fleet: list[Document]
) -> None:
    """Do what RetainAllVariantProperties and ExcludeRetainedVariantProperties say."""
    excluded = {
        item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])
    }
    if not request.get("RetainAllVariantProperties"):
        if excluded:
            raise validation_error(
                "ExcludeRetainedVariantProperties can be specified only when "
                "RetainAllVariantProperties is true"
            )
        return
    retain(fleet, endpoint["Hosted"], excluded)
    if "DataCaptureConfig" not in excluded:
        config["DataCaptureConfig"] = endpoint.get("Capture")


def find_endpoint(scope: Scope, name: str) -> Document:
    """The endpoint of that name, or the error that there is none."""
    endpoint = store.endpoints.get(scope, name)
    if endpoint is None:
        raise not_found("endpoint", store.arn(scope, "endpoint", name))
    return endpoint


def describe_endpoint(scope: Scope, request: Document) -> Document:
    """DescribeEndpoint."""
    return find_endpoint(scope, request["EndpointName"])


def list_endpoints(scope: Scope, request: Document) -> Document:
    """ListEndpoints."""
    page, token = list_page(request, store.endpoints.all(scope), "EndpointName", "EndpointStatus")
    return {"Endpoints": page, "NextToken": token}
