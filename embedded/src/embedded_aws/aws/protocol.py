"""Requests and answers of an AWS API, checked against botocore's service model of it."""

import functools
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from embedded_aws.aws.errors import ServiceError

Document = dict[str, Any]


@functools.cache
def service_model(service: str) -> ServiceModel:
    """The model of a service that botocore brings along."""
    return botocore.session.get_session().get_service_model(service)


def operation_model(service: str, operation: str) -> OperationModel:
    """The model of an operation by its name, ``CreateTrainingJob``."""
    return service_model(service).operation_model(operation)


def parse_request(body: bytes) -> Document:
    """The JSON document in a body; members that are null count as not given.

    Raises ServiceError: ``SerializationException``, there is none.
    """
    try:
        request: Document = json.loads(
            body or b"{}", parse_constant=refuse_constant, object_hook=without_nulls
        )
    except (ValueError, RecursionError) as error:
        raise ServiceError("SerializationException", f"The body is not JSON: {error}") from error
    return request


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python reads, but JSON doesn't have."""
    raise ValueError(f"{name} is not a number")


def without_nulls(document: Document) -> Document:
    """The members of a document that have a value."""
    return {name: value for name, value in document.items() if value is not None}


def check_request(service: str, operation: str, request: Document) -> None:
    """Refuse a request that breaks the service model: types, required members, ranges, patterns.

    Raises ServiceError: ``SerializationException`` for a wrong type, else ``ValidationException``
    that lists every violation in the words that AWS uses.
    """
    shape = operation_model(service, operation).input_shape
    found = list(violations(request, shape, "")) if shape else []
    if found:
        noun = "error" if len(found) == 1 else "errors"
        raise ServiceError(
            "ValidationException", f"{len(found)} validation {noun} detected: " + "; ".join(found)
        )


def violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Yield each constraint of the shape that the value breaks, deepest members included."""
    of_type: bool = isinstance(value, PYTHON_TYPES[shape.type_name])
    if not of_type or (isinstance(value, bool) and shape.type_name != "boolean"):
        raise ServiceError(
            "SerializationException",
            f"{path or 'The request'} must be of type {shape.type_name}, "
            f"not {type(value).__name__}",
        )
    if isinstance(value, float) and not math.isfinite(value):
        # JSON's 1e999.
        raise ServiceError("SerializationException", f"{path} is too large a number")
    yield from constraint_violations(value, shape, path)
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                yield violation(None, member_path(path, name), "Member must not be null")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from violations(value[name], member, member_path(path, name))
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value, start=1):
            yield from violations(item, shape.member, f"{path}.{number}.member")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from constraint_violations(key, shape.key, f"{path}.{key}.key")
            yield from violations(item, shape.value, f"{path}.{key}.member")


PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "character": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
}


def constraint_violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Yield what of enum, pattern, length and range the value itself breaks."""
    rules = shape.metadata
    if rules.get("enum") and value not in rules["enum"]:
        allowed = ", ".join(rules["enum"])
        yield violation(value, path, f"Member must satisfy enum value set: [{allowed}]")
    pattern = python_pattern(rules.get("pattern"))
    if pattern and isinstance(value, str) and not pattern.fullmatch(value):
        rule = f"Member must satisfy regular expression pattern: {rules['pattern']}"
        yield violation(value, path, rule)
    numeric = shape.type_name in ("integer", "long", "float", "double")
    sized = shape.type_name in ("string", "list", "map")
    if numeric or sized:
        size = value if numeric else len(value)
        what = "value" if numeric else "length"
        if "min" in rules and size < rules["min"]:
            rule = f"Member must have {what} greater than or equal to {rules['min']}"
            yield violation(value, path, rule)
        if "max" in rules and size > rules["max"]:
            rule = f"Member must have {what} less than or equal to {rules['max']}"
            yield violation(value, path, rule)


# Java's classes of characters, inside brackets, as ``re`` has them: letters (with numbers and the
# underscore, which always come along), separators, numbers.
JAVA_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    r"\p{N}": r"\d",
    r"\p{Alnum}": "A-Za-z0-9",
}


@functools.cache
def python_pattern(pattern: str | None) -> re.Pattern[str] | None:
    """The model's pattern, or None where it needs more of Java's syntax than ``re`` can say."""
    if not pattern:
        return None
    for java, python in JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern)
    except re.error:
        return None


def violation(value: Any, path: str, constraint: str) -> str:
    """One violation in the words of AWS."""
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def member_path(path: str, name: str) -> str:
    """AWS names members in messages with a small first letter."""
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name


def shape_response(service: str, operation: str, response: Document) -> Document:
    """Keep of a response what the operation's output shape has, and drop what is None."""
    shape = operation_model(service, operation).output_shape
    return shaped(response, shape) if shape else {}


def shaped(value: Any, shape: Shape) -> Any:
    """The value with only the members that the shape declares, at every depth."""
    if isinstance(shape, StructureShape):
        return {
            name: shaped(value[name], member)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [shaped(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {key: shaped(item, shape.value) for key, item in value.items()}
    return value


def timestamps_in_milliseconds(value: Any, shape: Shape) -> Any:
    """The value with its timestamps, epoch seconds here, as the epoch milliseconds of events."""
    if isinstance(shape, StructureShape):
        return {
            name: timestamps_in_milliseconds(value[name], member)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [timestamps_in_milliseconds(item, shape.member) for item in value]
    if shape.type_name == "timestamp":
        return int(value * 1000)
    return value
