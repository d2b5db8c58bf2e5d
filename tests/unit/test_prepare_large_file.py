"""The state machine of large files, checked without running it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonata
import pytest
from cfnlint.decode.cfn_yaml import load as load_template

from ranges import MAX_PARTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "statemachine/prepare_large_file.asl.json").read_text()
MACHINE = json.loads(TEXT)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
MAPS = {name: state for name, state in STATES.items() if state["Type"] == "Map"}
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
TEMPLATE = load_template(str(ROOT / "template.yaml"))
PROPERTIES = TEMPLATE["Resources"]["PrepareLargeFile"]["Properties"]
STATEMENTS = {each["Sid"]: each for each in PROPERTIES["Policies"][0]["Statement"]}


def successors(state: dict[str, Any]) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (branch["Next"] for branch in state.get("Choices", []) + state.get("Catch", []))


def test_every_state_is_reached_from_the_first_and_every_transition_leads_to_one():
    reached, todo = set(), [MACHINE["StartAt"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += successors(STATES[name])
    assert reached == set(STATES)


def child(state: dict[str, Any]) -> dict[str, Any]:
    """The one task that a Map runs of each item."""
    ((_, task),) = state["ItemProcessor"]["States"].items()
    return task


@pytest.mark.parametrize("name", [*TASKS, *MAPS])
def test_what_is_transient_is_retried_and_the_rest_is_caught(name):
    state = STATES[name]
    task = child(state) if state["Type"] == "Map" else state
    assert task["TimeoutSeconds"] > 0
    assert task["Retry"]
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
    for retry in task["Retry"]:
        throttled = "Lambda.TooManyRequestsException" in retry["ErrorEquals"]
        assert throttled or retry["MaxAttempts"] <= 6


@pytest.mark.parametrize("name", [name for name in [*TASKS, *MAPS] if name != "Start run"])
def test_a_throttled_function_is_waited_for_as_long_as_the_execution_lasts(name):
    """Other functions may have all of a small account's concurrency for as long."""
    state = STATES[name]
    task = child(state) if state["Type"] == "Map" else state
    (retry,) = (
        retry
        for retry in task["Retry"]
        if "Lambda.TooManyRequestsException" in retry["ErrorEquals"]
    )
    # Half of it on average, by the jitter.
    assert retry["JitterStrategy"] == "FULL"
    waited = retry["MaxAttempts"] * retry["MaxDelaySeconds"] / 2
    assert waited >= MACHINE["TimeoutSeconds"]
    # Source: Step Functions developer guide, "Quotas": 25,000 events of a history; a try has three.
    assert 3 * retry["MaxAttempts"] < 25_000


@pytest.mark.parametrize("name", MAPS)
def test_a_map_is_distributed_and_keeps_its_results_small(name):
    state = MAPS[name]
    config = state["ItemProcessor"]["ProcessorConfig"]
    # Express children may take five minutes, a function fifteen.
    assert config == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    # States may pass 256 KiB: parts are numbers, and say nothing in return.
    assert (state["Output"], child(state)["Output"]) == ({}, {})
    # Source: Amazon States Language, "Label": 40 characters.
    assert re.fullmatch(r"\w{1,40}", state["Label"])


@pytest.mark.parametrize("name", MAPS)
def test_a_child_reads_its_input_alone(name):
    """A child is an execution of its own: the variables of the state machine are not there."""
    expressions = re.findall(r"\{%(.*?)%\}", json.dumps(child(MAPS[name])))
    names = {found for each in expressions for found in re.findall(r"\$[a-z_]+", each)}
    assert names <= {"$states"}


@pytest.mark.parametrize(
    ("items", "variables", "expected"),
    [
        ("Scan parts", {"parts": 1}, [0]),
        ("Survey parts", {"parts": 3}, [0, 1, 2]),
        ("Rewrite parts", {"answer": {"rewrite": [2]}}, [2]),
        ("Rewrite parts", {"answer": {"rewrite": [0, 2]}}, [0, 2]),
    ],
)
def test_the_items_of_a_map_are_the_numbers_of_parts(items, variables, expected):
    expression = MAPS[items]["Items"][2:-2].strip()
    assert jsonata.Jsonata(expression).evaluate(None, variables) == expected


def test_the_numbers_of_all_parts_are_within_what_a_state_may_pass():
    # Source: Step Functions developer guide, "Quotas": 262,144 bytes; Lambda answers by json.dumps.
    answer = {"StatusCode": 200, "Payload": {"rewrite": [*range(MAX_PARTS)], "feature_dim": 1000}}
    assert len(json.dumps(answer)) < 262_144


def test_tasks_and_maps_ask_for_what_the_handlers_know():
    handlers = {
        "${PreprocessPartsFunctionArn}": (ROOT / "functions/preprocess/file_parts.py").read_text(),
        "${SplitPartsFunctionArn}": (ROOT / "functions/split/split_parts.py").read_text(),
    }
    asked = [(state["Arguments"], state["Arguments"].get("Payload")) for state in TASKS.values()]
    asked += [(child(state)["Arguments"], state["ItemSelector"]) for state in MAPS.values()]
    for arguments, payload in asked:
        if "FunctionName" in arguments:
            assert f'"{payload["task"]}":' in handlers[arguments["FunctionName"]]


@pytest.mark.parametrize("name", ["Look through parts", "Put together", "Write parts"])
def test_a_pass_over_the_parts_is_numbered_so_that_it_may_be_done_again(name):
    state = STATES[name]
    payload = state.get("ItemSelector") or state["Arguments"]["Payload"]
    assert payload["passes"] == "{% $answer.passes %}"


def test_the_template_substitutes_just_what_the_definition_names():
    assert set(PROPERTIES["DefinitionSubstitutions"]) == set(re.findall(r"\$\{(\w+)\}", TEXT))


def test_a_map_may_start_and_stop_executions_of_its_own_state_machine_alone():
    # Source: Step Functions developer guide, "IAM policies for using Distributed Map states".
    name = PROPERTIES["Name"]["Fn::Sub"]
    assert STATEMENTS["RunParts"]["Action"] == "states:StartExecution"
    assert STATEMENTS["RunParts"]["Resource"]["Fn::Sub"].endswith(f":stateMachine:{name}")
    assert STATEMENTS["FollowParts"]["Action"] == [
        "states:DescribeExecution",
        "states:StopExecution",
    ]
    for resource in STATEMENTS["FollowParts"]["Resource"]:
        assert f":execution:{name}" in resource["Fn::Sub"]


def test_no_account_region_or_partition_is_written_out():
    assert not re.search(r"\b\d{12}\b|\barn:aws\b|(us|eu|ap|cn)-[a-z]+-\d", TEXT)
