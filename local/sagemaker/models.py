"""Models: an image and where its artefact lies."""

import time

from local.sagemaker import platform, store, tagging
from local.sagemaker.errors import already_exists, not_found, validation_error
from local.sagemaker.image import require_known_image
from local.sagemaker.listing import list_page
from local.sagemaker.platform import Scope
from local.sagemaker.store import Document


def create_model(scope: Scope, request: Document) -> Document:
    """CreateModel with one container; the artefact must be there."""
    container = primary_container(request)
    require_known_image(container.get("Image"))
    uri = container.get("ModelDataUrl")
    if not uri:
        raise validation_error("k-NN needs a ModelDataUrl")
    try:
        found = platform.object_exists(scope, uri)
    except platform.DataError as error:
        raise validation_error(str(error)) from error
    if not found:
        raise validation_error(f"Could not find model data at {uri}.")
    name, arn = request["ModelName"], scope.arn("model", request["ModelName"])
    with store.lock:
        if store.models.get(scope, name):
            raise already_exists("model", arn)
        document = {
            **request,
            "ModelArn": arn,
            "CreationTime": time.time(),
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
        }
        document.pop("Tags", None)
        store.models.put(scope, name, document)
        tagging.set_tags(scope, arn, request.get("Tags", []))
    return {"ModelArn": arn}


def primary_container(model: Document) -> Document:
    """The only container of a model."""
    containers = [model["PrimaryContainer"]] if "PrimaryContainer" in model else []
    containers += model.get("Containers", [])
    if len(containers) != 1:
        raise validation_error("A model of the embedded SageMaker has exactly one container")
    container: Document = containers[0]
    return container


def find_model(scope: Scope, name: str) -> Document:
    """The model of that name, or the error that there is none."""
    model = store.models.get(scope, name)
    if model is None:
        raise not_found("model", scope.arn("model", name))
    return model


def describe_model(scope: Scope, request: Document) -> Document:
    """DescribeModel."""
    return find_model(scope, request["ModelName"])


def delete_model(scope: Scope, request: Document) -> Document:
    """DeleteModel; endpoints that run it go on, as they hold their own copy."""
    with store.lock:
        arn = find_model(scope, request["ModelName"])["ModelArn"]
        store.models.delete(scope, request["ModelName"])
        store.tags.delete(scope, arn)
    return {}


def list_models(scope: Scope, request: Document) -> Document:
    """ListModels."""
    page, token = list_page(request, store.models.all(scope), "ModelName")
    return {"Models": page, "NextToken": token}
