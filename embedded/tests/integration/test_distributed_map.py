"""A Distributed Map in JSONata, as the embedded AWS runs it."""

import json
from typing import Any

import pytest

from embedded.tests.helpers.iris_jobs import wait_for
from embedded_aws.testing import EmbeddedAws

EACH = {
    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    "StartAt": "Each",
    "States": {
        "Each": {"Type": "Pass", "Output": {"twice": "{% $states.input.n * 2 %}"}, "End": True}
    },
}


@pytest.fixture
def run(embedded_aws: EmbeddedAws) -> Any:
    """Run a state machine of one Map, and return its execution."""
    states = embedded_aws.client("stepfunctions")

    def start(name: str, **fields: Any) -> dict[str, Any]:
        machine = states.create_state_machine(
            name=name,
            roleArn="arn:aws:iam::000000000000:role/states",
            definition=json.dumps(
                {
                    "QueryLanguage": "JSONata",
                    "StartAt": "Begin",
                    "States": {
                        "Begin": {
                            "Type": "Pass",
                            "Assign": {"run": "r", "parts": "{% $states.input.parts %}"},
                            "Next": "Map",
                        },
                        "Map": {"Type": "Map", "ItemProcessor": EACH, "Next": "Done", **fields},
                        "Done": {"Type": "Succeed", "Output": "{% $states.input %}"},
                    },
                }
            ),
        )
        started = states.start_execution(
            stateMachineArn=machine["stateMachineArn"], input='{"parts": 3}'
        )
        return wait_for(
            lambda: (
                found
                if (found := states.describe_execution(executionArn=started["executionArn"]))[
                    "status"
                ]
                != "RUNNING"
                else None
            )
        )

    return start


def test_items_input_limits_and_output_are_evaluated(embedded_aws, run):
    execution = run(
        "doubling",
        Items="{% [1..$parts] %}",
        MaxConcurrency="{% $number('2') %}",
        ItemSelector={
            "n": "{% $states.context.Map.Item.Value %}",
            "at": "{% $states.context.Map.Item.Index %}",
            "run": "{% $run %}",
        },
        Output="{% {'all': $states.result.twice} %}",
    )
    assert execution["status"] == "SUCCEEDED", execution
    assert json.loads(execution["output"]) == {"all": [2, 4, 6]}
    states = embedded_aws.client("stepfunctions")
    (map_run,) = states.list_map_runs(executionArn=execution["executionArn"])["mapRuns"]
    described = states.describe_map_run(mapRunArn=map_run["mapRunArn"])
    assert described["itemCounts"]["succeeded"] == 3
    assert described["maxConcurrency"] == 2
    children = states.list_executions(mapRunArn=map_run["mapRunArn"])["executions"]
    inputs = [
        json.loads(states.describe_execution(executionArn=each["executionArn"])["input"])
        for each in children
    ]
    assert sorted(inputs, key=lambda each: each["n"]) == [
        {"n": 1, "at": 0, "run": "r"},
        {"n": 2, "at": 1, "run": "r"},
        {"n": 3, "at": 2, "run": "r"},
    ]


def test_without_an_output_the_results_pass_on_and_assign_sees_them(run):
    execution = run(
        "assigning",
        Items=[{"n": 4}, {"n": 5}],
        Assign={"sum": "{% $sum($states.result.twice) %}"},
        Output={"sum": "{% $sum($states.result.twice) %}"},
    )
    assert json.loads(execution["output"]) == {"sum": 18}


def test_items_that_are_no_list_fail_as_aws_says(run):
    execution = run("wrong", Items="{% $run %}")
    assert execution["status"] == "FAILED"
    assert execution["error"] == "States.QueryEvaluationError"
