"""Tags on resources, by ARN."""

from local.sagemaker import store
from local.sagemaker.errors import validation_error
from local.sagemaker.platform import Scope
from local.sagemaker.store import Document

MAX_TAGS = 50


def set_tags(scope: Scope, arn: str, tags: list[Document]) -> list[Document]:
    """Add tags to those that the resource has; the same key replaces."""
    merged = dict(store.tags.get(scope, arn) or {})
    merged.update({tag["Key"]: tag["Value"] for tag in tags})
    if len(merged) > MAX_TAGS:
        raise validation_error(f"A resource can't have more than {MAX_TAGS} tags")
    if merged:
        store.tags.put(scope, arn, merged)
    return as_list(merged)


def as_list(tags: Document) -> list[Document]:
    """Tags as the API spells them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def add_tags(scope: Scope, request: Document) -> Document:
    """AddTags."""
    require_resource(scope, request["ResourceArn"])
    return {"Tags": set_tags(scope, request["ResourceArn"], request["Tags"])}


def list_tags(scope: Scope, request: Document) -> Document:
    """ListTags."""
    require_resource(scope, request["ResourceArn"])
    return {"Tags": as_list(store.tags.get(scope, request["ResourceArn"]) or {})}


def delete_tags(scope: Scope, request: Document) -> Document:
    """DeleteTags."""
    require_resource(scope, request["ResourceArn"])
    tags = store.tags.get(scope, request["ResourceArn"]) or {}
    for key in request["TagKeys"]:
        tags.pop(key, None)
    return {}


def require_resource(scope: Scope, arn: str) -> None:
    """Refuse the ARN of something that isn't there."""
    kinds = (
        (store.training_jobs, "TrainingJobArn"),
        (store.models, "ModelArn"),
        (store.endpoint_configs, "EndpointConfigArn"),
        (store.endpoints, "EndpointArn"),
    )
    for table, member in kinds:
        if any(document[member] == arn.lower() for document in table.all(scope)):
            return
    raise validation_error(f"Requested resource not found: {arn}")
