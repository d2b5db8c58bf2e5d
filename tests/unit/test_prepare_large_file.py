"""The state machine of large files, checked without running it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonata
import pytest
from cfnlint.decode.cfn_yaml import load as load_template

from tabular.ranges import MAX_PARTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "statemachine/prepare_large_file.asl.json").read_text()
MACHINE = json.loads(TEXT)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
MAPS = {name: state for name, state in STATES.items() if state["Type"] == "Map"}
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
CALLS = [name for name in [*TASKS, *MAPS] if name != "Report the failure"]
"""States that call functions."""
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


@pytest.mark.parametrize("name", CALLS)
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


@pytest.mark.parametrize("name", MAPS)
def test_a_child_reads_its_input_alone(name):
    """A child is an execution of its own: the variables of the state machine are not there."""
    expressions = re.findall(r"\{%(.*?)%\}", json.dumps(child(MAPS[name])))
    names = {found for each in expressions for found in re.findall(r"\$[a-z_]+", each)}
    assert names <= {"$states"}


def evaluated(expression: str, variables: dict[str, Any]) -> Any:
    return jsonata.Jsonata(expression.removeprefix("{%").removesuffix("%}").strip()).evaluate(
        None, variables
    )


@pytest.mark.parametrize(("parts", "expected"), [(1, [0]), (3, [0, 1, 2])])
def test_the_items_of_a_map_are_the_numbers_of_parts(parts, expected):
    (state,) = MAPS.values()
    assert evaluated(state["Items"], {"parts": parts}) == expected


def test_the_numbers_of_all_parts_are_within_what_a_state_may_pass():
    (state,) = MAPS.values()
    numbers = evaluated(state["Items"], {"parts": MAX_PARTS})
    # Source: Step Functions developer guide, "Quotas": 262,144 bytes.
    assert len(json.dumps(numbers)) < 262_144


def way_of(steps: Iterator[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk through the states, the functions answering so; yield each and the variables there.

    Source: Step Functions developer guide, "Passing data between states with variables": the
    variables of a state are assigned all at once, those of a rule of a Choice if the rule is taken.
    """
    name, variables = MACHINE["StartAt"], {"states": {"input": {"run": "r", "dataset": "d"}}}
    while True:
        state = STATES[name]
        yield name, variables
        if state["Type"] in ("Succeed", "Fail"):
            return
        taken = state
        if state["Type"] == "Choice":
            taken = next(
                (rule for rule in state["Choices"] if evaluated(rule["Condition"], variables)),
                {"Next": state["Default"]},
            )
        elif name == "Ask what is next":
            variables = variables | {"states": {"result": {"Payload": next(steps)}}}
        assigned = {
            variable: evaluated(value, variables) if "{%" in str(value) else value
            for variable, value in taken.get("Assign", {}).items()
        }
        variables, name = variables | assigned, taken["Next"]


def test_each_function_is_asked_until_it_has_no_step_left():
    answers = [("scan", 2), ("survey", 2), ("split", 0), ("count-0", 2), ("write", 2), ("done", 0)]
    steps = ({"step": step, "parts": parts} for step, parts in answers)
    said = [
        (name, variables["function"], variables["step"])
        for name, variables in way_of(steps)
        if name in ("Ask what is next", "Do all parts")
    ]
    preprocess, split = "${PreprocessPartsFunctionArn}", "${SplitPartsFunctionArn}"
    assert said == [
        ("Ask what is next", preprocess, ""),
        ("Do all parts", preprocess, "scan"),
        ("Ask what is next", preprocess, "scan"),
        ("Do all parts", preprocess, "survey"),
        ("Ask what is next", preprocess, "survey"),
        ("Ask what is next", split, ""),
        ("Do all parts", split, "count-0"),
        ("Ask what is next", split, "count-0"),
        ("Do all parts", split, "write"),
        ("Ask what is next", split, "write"),
    ]


def test_a_file_that_is_refused_ends_the_loop():
    states = [name for name, _ in way_of(iter([{"step": "done", "parts": 0}]))]
    assert states == ["Begin", "Ask what is next", "What is next?", "Done"]


def test_the_loop_is_small():
    parts = [ROOT / f"functions/{name}/parts.py" for name in ("preprocess", "split")]
    parts.append(ROOT / "layers/pipeline/pipeline/large.py")
    assert len(TEXT.splitlines()) <= 150
    assert sum(len(path.read_text().splitlines()) for path in parts) <= 400


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
