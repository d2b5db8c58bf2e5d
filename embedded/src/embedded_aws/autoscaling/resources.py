"""Scalable targets and scaling policies as resources of CloudFormation templates.

Source: CloudFormation template reference, "AWS::ApplicationAutoScaling::ScalableTarget" and
"…::ScalingPolicy". Their properties are the members of the API's requests.
"""

from collections.abc import Callable
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from embedded_aws.autoscaling.operations import API, SERVICE
from embedded_aws.aws import protocol
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document

Resource = tuple[str, dict[str, Any]]
"""What ``Ref`` gives, and the attributes that ``Fn::GetAtt`` gives."""

TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"


def put_target(scope: Scope, properties: Document) -> Resource:
    """Create or change a scalable target."""
    request = as_request("RegisterScalableTarget", properties)
    API.call(scope, "RegisterScalableTarget", request)
    identifier = "|".join(
        request[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace")
    )
    return identifier, {"Id": identifier}


def delete_target(scope: Scope, identifier: str, _: Document) -> None:
    """Deregister a scalable target by what ``Ref`` gave."""
    API.call(scope, "DeregisterScalableTarget", target_of(identifier))


def put_policy(scope: Scope, properties: Document) -> Resource:
    """Create or change a scaling policy."""
    request = as_request("PutScalingPolicy", with_target(properties))
    arn = API.call(scope, "PutScalingPolicy", request)["PolicyARN"]
    return arn, {"Arn": arn}


def delete_policy(scope: Scope, _: str, properties: Document) -> None:
    """Delete a scaling policy."""
    request = as_request("DeleteScalingPolicy", with_target(properties))
    API.call(scope, "DeleteScalingPolicy", request)


def with_target(properties: Document) -> Document:
    """The properties of a policy with its target's, if they name it by ``ScalingTargetId``."""
    named = properties.get("ScalingTargetId")
    return {**properties, **target_of(named)} if named else properties


def target_of(identifier: str) -> Document:
    """The three members that a target's identifier is made of."""
    resource, dimension, namespace = identifier.split("|")
    return {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}


def as_request(operation: str, properties: Document) -> Document:
    """Those of the properties that an operation takes, of the types that it wants."""
    shape = protocol.operation_model(SERVICE, operation).input_shape
    request: Document = typed(properties, shape) if shape else {}
    # A template has tags as a list of pairs, the API as a map.
    if isinstance(properties.get("Tags"), list):
        request["Tags"] = {tag["Key"]: tag["Value"] for tag in properties["Tags"]}
    return request


CASTS: dict[str, Callable[[Any], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "string": str,
    "boolean": lambda value: str(value).lower() == "true",
}


def typed(value: Any, shape: Shape) -> Any:
    """A value of a template, where parameters make strings of numbers, in a shape's types."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {
            name: typed(value[name], member)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [typed(item, shape.member) for item in value]
    return CASTS.get(shape.type_name, lambda kept: kept)(value)
