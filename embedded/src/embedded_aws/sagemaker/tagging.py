"""Tags on resources, by ARN."""

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.paging import cut_page
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document, lock
from embedded_aws.sagemaker import store

MAX_TAGS = 50
RESERVED = "aws:"

# What can have tags here: its table, and the member that holds its ARN.
TAGGED = (
    (store.training_jobs, "TrainingJobArn"),
    (store.tuning_jobs, "HyperParameterTuningJobArn"),
    (store.transform_jobs, "TransformJobArn"),
    (store.models, "ModelArn"),
    (store.endpoint_configs, "EndpointConfigArn"),
    (store.endpoints, "EndpointArn"),
)


def set_tags(scope: Scope, arn: str, tags: list[Document]) -> list[Document]:
    """Add tags to those that the resource has; the same key replaces."""
    check_tags(tags)
    merged = tags_of(scope, arn)
    merged.update({tag["Key"]: tag["Value"] for tag in tags})
    if len(merged) > MAX_TAGS:
        raise validation_error(f"A resource can't have more than {MAX_TAGS} tags")
    if merged:
        store.tags.put(scope, arn, merged)
    return as_list(merged)


def check_tags(tags: list[Document]) -> None:
    """Refuse keys that are reserved to AWS, or given twice.

    Source: AWS General Reference, "Tag naming limits and requirements".
    """
    keys = [tag["Key"] for tag in tags]
    for key in keys:
        if key.lower().startswith(RESERVED):
            raise validation_error(f"Tag keys must not start with {RESERVED}, as {key!r} does")
    if len(set(keys)) < len(keys):
        raise validation_error("Tag keys must be unique")


def tags_of(scope: Scope, arn: str) -> Document:
    """A copy of a resource's tags, ``{key: value}``."""
    return dict(store.tags.get(scope, arn) or {})


def as_list(tags: Document) -> list[Document]:
    """Tags as the API spells them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def add_tags(scope: Scope, request: Document) -> Document:
    """AddTags."""
    with lock:
        arn = find_resource(scope, request["ResourceArn"])
        return {"Tags": set_tags(scope, arn, request["Tags"])}


def list_tags(scope: Scope, request: Document) -> Document:
    """ListTags."""
    arn = find_resource(scope, request["ResourceArn"])
    page, token = cut_page(
        request, as_list(tags_of(scope, arn)), key=lambda tag: (tag["Key"],), default_size=MAX_TAGS
    )
    return {"Tags": page, "NextToken": token}


def delete_tags(scope: Scope, request: Document) -> Document:
    """DeleteTags; keys that the resource doesn't have are passed over."""
    with lock:
        arn = find_resource(scope, request["ResourceArn"])
        left = tags_of(scope, arn)
        for key in request["TagKeys"]:
            left.pop(key, None)
        store.tags.put(scope, arn, left)
    return {}


def find_resource(scope: Scope, arn: str) -> str:
    """The ARN as its resource has it; an error for one that there isn't."""
    for table, member in TAGGED:
        for document in table.all(scope):
            if document[member].lower() == arn.lower():
                return str(document[member])
    raise validation_error(f"Requested resource not found: {arn}")
