"""The recorded events: there are some for each function, and they are what it is really sent."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from cli.events import function_of

ROOT = Path(__file__).parents[2]
EVENTS = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*-*.json"))
}
STATE_MACHINES = [json.loads(path.read_text()) for path in (ROOT / "statemachine").glob("*.json")]
RESOURCES = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
FUNCTIONS = [
    logical_id.removesuffix("Function")
    for logical_id, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
]

# Source: Amazon S3 user guide, "EventBridge event message structure".
OBJECT_CREATED = {
    "": {"version", "id", "detail-type", "source", "account", "time", "region", "resources"},
    "detail": {"version", "bucket", "object", "request-id", "requester", "source-ip-address"},
    "object": {"key", "size", "etag", "version-id", "sequencer"},
}


def of(function: str) -> dict[str, Any]:
    return {name: event for name, event in EVENTS.items() if function_of(name) == function}


def tasks(states: Any) -> Iterator[tuple[str, Any]]:
    """What a state machine calls functions by, at whatever depth, and what it sends them."""
    for value in states.values() if isinstance(states, dict) else states:
        if isinstance(value, dict) and {"FunctionName", "Payload"} <= value.keys():
            yield value["FunctionName"], value["Payload"]
        elif isinstance(value, dict | list):
            yield from tasks(value)


def functions_by(name: str, machine: Any) -> list[str]:
    """The functions that a name stands for: ${PredictFunctionArn}, or a variable for any."""
    said = json.dumps(machine) if "{%" in name else name
    return sorted(set(re.findall(r"\$\{(\w+)FunctionArn\}", said)))


SENT = [
    (function, payload)
    for machine in STATE_MACHINES
    for name, payload in tasks(machine)
    for function in functions_by(name, machine)
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_events(function):
    assert of(function)


def test_every_event_is_for_a_function():
    assert {function_of(name) for name in EVENTS} == set(FUNCTIONS)


def test_the_readme_has_a_command_for_each_event():
    readme = (ROOT / "events/README.md").read_text()
    assert [name for name in EVENTS if f"make invoke EVENT={name}`" not in readme] == []


@pytest.mark.parametrize("name", [*of("Preprocess"), *of("Split")])
def test_an_object_created_event_has_every_field(name):
    event = EVENTS[name]
    assert event.keys() == OBJECT_CREATED[""] | {"detail"}
    assert event["detail"].keys() == OBJECT_CREATED["detail"] | {"reason"}
    assert event["detail"]["object"].keys() == OBJECT_CREATED["object"]


@pytest.mark.parametrize("function", sorted({function for function, _ in SENT}))
def test_a_function_that_a_state_machine_calls_has_events_of_what_it_is_sent(function):
    payloads = [payload for called, payload in SENT if called == function]
    written_out = {frozenset(payload) for payload in payloads if isinstance(payload, dict)}
    recorded = {frozenset(event) for event in of(function).values()}
    assert written_out <= recorded
    # What an expression gives, "{% $states.input %}", can't be told from here.
    assert recorded == written_out or any(isinstance(payload, str) for payload in payloads)
