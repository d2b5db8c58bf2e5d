"""Models: an image, where its artefact lies, and the role that reads both.

Source: SageMaker API reference, "CreateModel", "ContainerDefinition", "ModelDataSource".
"""

import time

from embedded_aws.aws import platform
from embedded_aws.aws.errors import ServiceError, validation_error
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import events, store, tagging
from embedded_aws.sagemaker.errors import already_exists, not_found
from embedded_aws.sagemaker.image import require_known_image
from embedded_aws.sagemaker.listing import list_page

# Members of a container that ask for what the built-in k-NN, or this SageMaker, doesn't have.
UNSUPPORTED = ("ModelPackageName", "InferenceSpecificationName", "AdditionalModelDataSources")


def create_model(scope: Scope, request: Document) -> Document:
    """CreateModel with one container; its artefact must be there, and the role able to read it."""
    container = primary_container(request)
    check_container(container)
    if "InferenceExecutionConfig" in request and "Containers" not in request:
        raise validation_error("InferenceExecutionConfig needs Containers")
    role = request.get("ExecutionRoleArn")
    if role is None:
        raise validation_error("A model that is read from Amazon S3 needs an ExecutionRoleArn")
    check_model_data(scope.acting_as(role), container)
    name, arn = request["ModelName"], store.arn(scope, "model", request["ModelName"])
    with lock:
        if any(document["ModelArn"] == arn for document in store.models.all(scope)):
            raise already_exists("model", arn)
        document = {
            **request,
            "ModelArn": arn,
            "CreationTime": time.time(),
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
        }
        shown = {"Mode": "SingleModel", **container, "ModelDataSource": model_data(container)}
        if "PrimaryContainer" in request:
            document["PrimaryContainer"] = shown
        else:
            document["Containers"] = [shown]
        document.pop("Tags", None)
        store.models.put(scope, name, document)
        tagging.set_tags(scope, arn, request.get("Tags", []))
    events.publish(scope, "SageMaker Model State Change", "DescribeModel", document, arn)
    return {"ModelArn": arn}


def primary_container(model: Document) -> Document:
    """The only container of a model.

    Raises ServiceError: there is none, or an inference pipeline of several.
    """
    if "PrimaryContainer" in model and model.get("Containers"):
        raise validation_error("A model has either a PrimaryContainer or Containers, not both")
    containers = [model["PrimaryContainer"]] if "PrimaryContainer" in model else []
    containers += model.get("Containers", [])
    if not containers:
        raise validation_error("A model needs a PrimaryContainer or Containers")
    if len(containers) > 1:
        raise validation_error(
            "The embedded SageMaker has no inference pipelines: a model has exactly one container"
        )
    container: Document = containers[0]
    return container


def check_container(container: Document) -> None:
    """Refuse a container that isn't a single k-NN model in Amazon S3."""
    for member in UNSUPPORTED:
        if container.get(member):
            raise validation_error(f"The embedded SageMaker does not have {member}")
    if container.get("Mode") == "MultiModel" or container.get("MultiModelConfig"):
        raise validation_error("The embedded SageMaker has no multi-model endpoints")
    require_known_image(container.get("Image"))
    if not container.get("ModelDataUrl") and not container.get("ModelDataSource"):
        raise validation_error("k-NN needs its artefact: a ModelDataUrl or a ModelDataSource")
    uri = model_data(container)["S3DataSource"]["S3Uri"]
    if container.get("ModelDataUrl") not in (None, uri):
        raise validation_error("ModelDataUrl and ModelDataSource name different locations")


def model_data(container: Document) -> Document:
    """Where the artefact lies, in the form of a ModelDataSource; a ModelDataUrl is a short for it.

    Raises ServiceError: the source is not in Amazon S3.
    """
    source: Document = container.get("ModelDataSource") or {
        "S3DataSource": {
            "S3Uri": container["ModelDataUrl"],
            "S3DataType": "S3Object",
            "CompressionType": "Gzip",
        }
    }
    if "S3DataSource" not in source:
        raise validation_error("ModelDataSource needs an S3DataSource")
    return source


def check_model_data(scope: Scope, container: Document) -> None:
    """Refuse an artefact that isn't there, or that the role may not read.

    Source: both messages as clients quote them, "Could not find model data at" and "Could not
    access model data at", in issues of aws/sagemaker-python-sdk.
    """
    source = model_data(container)["S3DataSource"]
    uri = source["S3Uri"]
    try:
        if source["S3DataType"] == "S3Prefix":
            found = any(platform.list_keys(scope, uri))
        else:
            found = platform.object_exists(scope, uri)
    except platform.AccessDenied as error:
        raise no_access(scope, uri) from error
    except DataError as error:
        raise validation_error(str(error)) from error
    if not found:
        raise validation_error(f"Could not find model data at {uri}.")


def no_access(scope: Scope, uri: str) -> ServiceError:
    """The refusal of a model whose role may not read its artefact."""
    return validation_error(
        f'Could not access model data at {uri}. Please ensure that the role "{scope.role}" exists '
        'and that its trust relationship policy allows the action "sts:AssumeRole" for the '
        'service principal "sagemaker.amazonaws.com". Also ensure that the role has '
        f'"s3:GetObject" permissions and that the object is located in {scope.region}.'
    )


def find_model(scope: Scope, name: str) -> Document:
    """The model of that name, or the error that there is none."""
    model = store.models.get(scope, name)
    if model is None:
        raise not_found("model", store.arn(scope, "model", name))
    return model


def describe_model(scope: Scope, request: Document) -> Document:
    """DescribeModel."""
    return find_model(scope, request["ModelName"])


def delete_model(scope: Scope, request: Document) -> Document:
    """DeleteModel; endpoints that run it go on, as they hold their own copy."""
    with lock:
        arn = find_model(scope, request["ModelName"])["ModelArn"]
        store.models.delete(scope, request["ModelName"])
        store.tags.delete(scope, arn)
    return {}


def list_models(scope: Scope, request: Document) -> Document:
    """ListModels."""
    page, token = list_page(request, store.models.all(scope), "ModelName")
    return {"Models": page, "NextToken": token}
