"""What a state machine's definition consists of, for tests that look at or run all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape

ROOT = Path(__file__).parents[1]
# The name of a service in Step Functions, where it is another than botocore's.
SERVICES = {
    "applicationautoscaling": "application-autoscaling",
    "cloudwatchlogs": "logs",
    "sfn": "stepfunctions",
}
State = Mapping[str, Any]


class Part(NamedTuple):
    """A way through a state that an execution may take: ``Next``, ``Choices[0]``, ``Retry[1]``."""

    state: str
    part: str


def definition(name: str) -> dict[str, Any]:
    """The definition in a file of ``statemachine/``, substitutions and all."""
    found: dict[str, Any] = json.loads((ROOT / "statemachine" / name).read_text())
    return found


def substituted(value: Any, substitutions: Mapping[str, str]) -> Any:
    """The value with the template's substitutions made in each of its strings."""
    if isinstance(value, dict):
        return {key: substituted(item, substitutions) for key, item in value.items()}
    if isinstance(value, list):
        return [substituted(item, substitutions) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: substitutions[found[1]], value)
    return value


def flat(states: Mapping[str, State]) -> dict[str, Any]:
    """The states by name, with those in the branches of Parallel states and of Maps."""
    found = dict(states)
    for state in states.values():
        inside = [*state.get("Branches", []), state.get("ItemProcessor", {"States": {}})]
        for machine in inside:
            found |= flat(machine["States"])
    return found


def branches(state: State) -> Iterator[tuple[str, str]]:
    """Yield each way out of a state, and the state that it leads to."""
    yield from ((key, state[key]) for key in ("Next", "Default") if key in state)
    for kind in ("Choices", "Catch"):
        for number, branch in enumerate(state.get(kind, [])):
            yield f"{kind}[{number}]", branch["Next"]


def parts(states: Mapping[str, State]) -> set[Part]:
    """Each way out of each state, and each Retry."""
    ways = {Part(name, way) for name, state in states.items() for way, _ in branches(state)}
    retries = {
        Part(name, f"Retry[{number}]")
        for name, state in states.items()
        for number, _ in enumerate(state.get("Retry", []))
    }
    return ways | retries


def handler_of(state: State, kind: str, error: str) -> int | None:
    """The Retry or Catch that an error falls to, by its number.

    Source: Step Functions developer guide, "Handling errors in Step Functions workflows".
    """
    for number, handler in enumerate(state.get(kind, [])):
        names = handler["ErrorEquals"]
        general = "States.TaskFailed" in names and error != "States.Timeout"
        if error in names or general or "States.ALL" in names:
            return number
    return None


def expressions(value: Any) -> Iterator[str]:
    """Yield each JSONata expression in a value."""
    if isinstance(value, dict):
        for item in value.values():
            yield from expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item)
    elif isinstance(value, str) and value.startswith("{%"):
        yield value.removeprefix("{%").removesuffix("%}").strip()


# --- arguments ---------------------------------------------------------------------------------


def called(state: State) -> tuple[str, str]:
    """The service and the operation that a task calls, as botocore names them."""
    *_, service, action = state["Resource"].removesuffix(":2").split(":")
    action = action.removesuffix(".sync")
    return SERVICES.get(service, service), action[0].upper() + action[1:]


def input_shape(service: str, operation: str) -> Shape:
    """What an operation takes, by botocore's service model."""
    shape = service_model(service).operation_model(operation).input_shape
    assert shape
    return shape


def output_shape(service: str, operation: str) -> Shape | None:
    """What an operation gives, if anything, by botocore's service model."""
    shape: Shape | None = service_model(service).operation_model(operation).output_shape
    return shape


def service_model(service: str) -> Any:
    """Botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def problems(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """Yield where a value isn't what the service model asks for.

    Names, required members, types, enumerations, patterns, lengths and ranges, at all depths. What
    JSONata has yet to compute, or the template to substitute, is passed over.
    """
    if isinstance(value, str) and ("{%" in value or "${" in value):
        return
    if isinstance(shape, StructureShape):
        yield from problems_of_structure(value, shape, path)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        yield from outside(len(value), shape, path)
        for number, item in enumerate(value):
            yield from problems(item, shape.member, f"{path}[{number}]")
    elif isinstance(shape, MapShape):
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no map"
            return
        for key, item in value.items():
            yield from problems(key, shape.key, f"{path} key")
            yield from problems(item, shape.value, f"{path}[{key}]")
    elif shape.type_name == "string":
        yield from problems_of_string(value, shape, path)
    elif shape.type_name in ("integer", "long"):
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            yield f"{path}: {value!r} is no whole number"
        else:
            yield from outside(value, shape, path)
    elif shape.type_name in ("float", "double"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{path}: {value!r} is no number"
    elif shape.type_name == "boolean" and not isinstance(value, bool):
        yield f"{path}: {value!r} is no boolean"


def problems_of_structure(value: Any, shape: StructureShape, path: str) -> Iterator[str]:
    """Yield what is wrong with the members of a structure, whose names have a capital here."""
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no structure"
        return
    members = {key[0].upper() + key[1:]: member for key, member in shape.members.items()}
    required = {key[0].upper() + key[1:] for key in shape.required_members}
    for name in sorted(required - set(value)):
        yield f"{path}.{name} is missing"
    for name in sorted(set(value) - set(members)):
        yield f"{path}.{name} is no member"
    for name in set(value) & set(members):
        yield from problems(value[name], members[name], f"{path}.{name}")


def problems_of_string(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Yield what is wrong with a string."""
    if not isinstance(value, str):
        yield f"{path}: {value!r} is no string"
        return
    yield from outside(len(value), shape, path)
    if getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value!r} is not one of {shape.enum}"
    pattern = shape.metadata.get("pattern", ".*")
    # Python knows no classes by property and no surrogates; this is what patterns have of them.
    for of_java, of_python in (
        (r"\p{L}", r"\w"),
        (r"\p{Z}", r"\s"),
        (r"\p{N}", r"\d"),
        (r"\p{Print}", "[ -~]"),
        (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"),
    ):
        pattern = pattern.replace(of_java, of_python)
    if not re.fullmatch(pattern, value):
        yield f"{path}: {value!r} is not like {pattern}"


def outside(size: float, shape: Shape, path: str) -> Iterator[str]:
    """Yield what a length or a number exceeds."""
    if size < shape.metadata.get("min", size) or size > shape.metadata.get("max", size):
        yield f"{path}: {size} is out of range"
