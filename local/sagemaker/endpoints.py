"""Endpoints: deployed, updated and deleted in the background, in the states that AWS documents."""

import threading
import time
from collections.abc import Callable

from local.sagemaker import platform, protocol, serving, store, tagging
from local.sagemaker.endpoint_configs import find_endpoint_config
from local.sagemaker.errors import already_exists, not_found, validation_error
from local.sagemaker.listing import list_page
from local.sagemaker.models import find_model, primary_container
from local.sagemaker.platform import LogStream, Scope
from local.sagemaker.store import Document

# Events spell the statuses in their own way. Source: developer guide, "Automating Amazon
# SageMaker with Amazon EventBridge", endpoint state change.
EVENT_STATUS = {
    "Creating": "CREATING",
    "Updating": "UPDATING",
    "InService": "IN_SERVICE",
    "Deleting": "DELETING",
    "Failed": "FAILED",
}


def create_endpoint(scope: Scope, request: Document) -> Document:
    """CreateEndpoint: Creating, then InService or Failed."""
    name = request["EndpointName"]
    arn = scope.arn("endpoint", name)
    now = time.time()
    with store.lock:
        if store.endpoints.get(scope, name):
            raise already_exists("endpoint", arn)
        config = find_endpoint_config(scope, request["EndpointConfigName"])
        hosted = resolve(scope, config)
        document: Document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        store.endpoints.put(scope, name, document)
        tagging.set_tags(scope, arn, request.get("Tags", []))
    announce(scope, document)
    in_background(deploy, scope, document, config, hosted)
    return {"EndpointArn": arn}


def update_endpoint(scope: Scope, request: Document) -> Document:
    """UpdateEndpoint: the old models answer until the new ones are loaded."""
    with store.lock:
        endpoint = find_endpoint(scope, request["EndpointName"])
        require_at_rest(endpoint)
        config = find_endpoint_config(scope, request["EndpointConfigName"])
        hosted = resolve(scope, config)
        set_status(endpoint, "Updating")
    announce(scope, endpoint)
    in_background(deploy, scope, endpoint, config, hosted)
    return {"EndpointArn": endpoint["EndpointArn"]}


def delete_endpoint(scope: Scope, request: Document) -> Document:
    """DeleteEndpoint: Deleting, then gone with its models."""
    with store.lock:
        endpoint = find_endpoint(scope, request["EndpointName"])
        require_at_rest(endpoint)
        set_status(endpoint, "Deleting")
    announce(scope, endpoint)
    in_background(remove, scope, endpoint)
    return {}


def require_at_rest(endpoint: Document) -> None:
    """Refuse to touch an endpoint that is being changed."""
    if endpoint["EndpointStatus"] not in ("InService", "Failed", "OutOfService"):
        raise validation_error(f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".')


def resolve(scope: Scope, config: Document) -> list[Document]:
    """What an endpoint has to remember of its variants, since models and configurations may go."""
    hosted: list[Document] = []
    for variant in config["ProductionVariants"]:
        container = primary_container(find_model(scope, variant["ModelName"]))
        hosted.append(
            {
                "VariantName": variant["VariantName"],
                "Weight": variant["InitialVariantWeight"],
                "ServerlessConfig": variant.get("ServerlessConfig"),
                "InitialInstanceCount": variant.get("InitialInstanceCount"),
                "Image": container["Image"],
                "Artefact": container["ModelDataUrl"],
            }
        )
    return hosted


def in_background(work: Callable[..., None], *arguments: object) -> None:
    """Run what a client doesn't wait for."""
    threading.Thread(target=work, args=arguments, daemon=True).start()


def deploy(scope: Scope, endpoint: Document, config: Document, hosted: list[Document]) -> None:
    """Load the variants' models, then let them answer."""
    name = endpoint["EndpointName"]
    updating = endpoint["EndpointStatus"] == "Updating"
    try:
        for variant in hosted:
            serving.load(scope, name, variant["Artefact"])
    except Exception as error:
        # An endpoint left Creating could neither be used nor deleted.
        with store.lock:
            endpoint["FailureReason"] = (
                f"The primary container for production variant {hosted[0]['VariantName']} did not "
                f"pass the ping health check: {error}"
            )
            # An update that fails is rolled back to what ran before.
            set_status(endpoint, "InService" if updating else "Failed")
    else:
        with store.lock:
            endpoint.pop("FailureReason", None)
            endpoint["EndpointConfigName"] = config["EndpointConfigName"]
            endpoint["AsyncInferenceConfig"] = config.get("AsyncInferenceConfig")
            endpoint["Hosted"] = hosted
            endpoint["ProductionVariants"] = [summary(variant) for variant in hosted]
            set_status(endpoint, "InService")
        serving.forget(scope, name, frozenset(variant["Artefact"] for variant in hosted))
    announce(scope, endpoint)
    endpoint_log(scope, endpoint).write([f"endpoint is {endpoint['EndpointStatus']}"])


def remove(scope: Scope, endpoint: Document) -> None:
    """Forget an endpoint and free its models."""
    with store.lock:
        store.endpoints.delete(scope, endpoint["EndpointName"])
        store.tags.delete(scope, endpoint["EndpointArn"])
    serving.forget(scope, endpoint["EndpointName"])


def summary(variant: Document) -> Document:
    """A variant as DescribeEndpoint shows it."""
    shown: Document = {
        "VariantName": variant["VariantName"],
        "DeployedImages": [
            {
                "SpecifiedImage": variant["Image"],
                "ResolvedImage": variant["Image"],
                "ResolutionTime": time.time(),
            }
        ],
        "CurrentWeight": variant["Weight"],
        "DesiredWeight": variant["Weight"],
    }
    if variant["ServerlessConfig"]:
        shown["CurrentServerlessConfig"] = variant["ServerlessConfig"]
        shown["DesiredServerlessConfig"] = variant["ServerlessConfig"]
        count = 0
    else:
        count = variant["InitialInstanceCount"]
    shown["CurrentInstanceCount"] = shown["DesiredInstanceCount"] = count
    return shown


def set_status(endpoint: Document, status: str) -> None:
    """Move an endpoint to a status."""
    endpoint["EndpointStatus"] = status
    endpoint["LastModifiedTime"] = time.time()


def announce(scope: Scope, endpoint: Document) -> None:
    """Publish the endpoint's status to EventBridge."""
    shape = protocol.operation_model("DescribeEndpoint").output_shape
    if shape is None:
        return
    detail = protocol.timestamps_in_milliseconds(endpoint, shape)
    detail["EndpointStatus"] = EVENT_STATUS[endpoint["EndpointStatus"]]
    detail["Tags"] = {}
    platform.publish_event(
        scope, "SageMaker Endpoint State Change", endpoint["EndpointArn"], detail
    )


def endpoint_log(scope: Scope, endpoint: Document) -> LogStream:
    """Where an endpoint's container logs."""
    group = f"/aws/sagemaker/Endpoints/{endpoint['EndpointName']}"
    return LogStream(scope, group, "AllTraffic/i-embedded")


def find_endpoint(scope: Scope, name: str) -> Document:
    """The endpoint of that name, or the error that there is none."""
    endpoint = store.endpoints.get(scope, name)
    if endpoint is None:
        raise not_found("endpoint", scope.arn("endpoint", name))
    return endpoint


def describe_endpoint(scope: Scope, request: Document) -> Document:
    """DescribeEndpoint."""
    return find_endpoint(scope, request["EndpointName"])


def list_endpoints(scope: Scope, request: Document) -> Document:
    """ListEndpoints."""
    page, token = list_page(request, store.endpoints.all(scope), "EndpointName", "EndpointStatus")
    return {"Endpoints": page, "NextToken": token}
