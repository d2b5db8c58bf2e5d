"""Parallel states on the embedded AWS: what goes into their branches, and what comes out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from embedded.tests.helpers.iris_jobs import ROLE, unique, wait_for
from embedded_aws.mocks import configure
from embedded_aws.testing import EmbeddedAws

States = dict[str, Any]


@pytest.fixture(autouse=True)
def quick_waits(embedded_aws: EmbeddedAws) -> Iterator[None]:
    """Waits and intervals that take no time."""
    configure(embedded_aws.endpoint_url, _SFN_WAIT_SCALE=0)
    yield
    configure(embedded_aws.endpoint_url, _SFN_WAIT_SCALE=1)


def make(aws: EmbeddedAws, states: States, language: str = "JSONata") -> str:
    """Make a state machine of these states; its ARN."""
    definition = {"QueryLanguage": language, "StartAt": next(iter(states)), "States": states}
    made = aws.client("stepfunctions").create_state_machine(
        name=unique("machine"), definition=json.dumps(definition), roleArn=ROLE
    )
    return str(made["stateMachineArn"])


def executed(
    aws: EmbeddedAws, states: States, given: Any = None, language: str = "JSONata"
) -> dict[str, Any]:
    """Describe an execution of these states once it has ended."""
    client, machine = aws.client("stepfunctions"), make(aws, states, language)
    arn = client.start_execution(stateMachineArn=machine, input=json.dumps(given or {}))
    arn = arn["executionArn"]

    def description() -> dict[str, Any] | None:
        found: dict[str, Any] = client.describe_execution(executionArn=arn)
        return None if found["status"] == "RUNNING" else found

    found = wait_for(description)
    assert found is not None
    return found


def output(*arguments: Any, **more: Any) -> Any:
    """The output of an execution that succeeds."""
    found = executed(*arguments, **more)
    assert found["status"] == "SUCCEEDED", found
    return json.loads(found["output"])


def parallel(*branches: States, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Parallel",
        "Branches": [{"StartAt": next(iter(states)), "States": states} for states in branches],
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


def tell(expression: Any, **fields: Any) -> dict[str, Any]:
    return {"Type": "Pass", "Output": expression, "End": True, **fields}


def test_branches_are_given_the_arguments(embedded_aws: EmbeddedAws) -> None:
    branch = {"Tell": tell("{% $states.input %}")}
    arguments = {"n": "{% $states.input.count + 1 %}"}
    assert output(embedded_aws, {"All": parallel(branch)}, {"count": 1}) == [{"count": 1}]
    states = {"All": parallel(branch, branch, Arguments=arguments)}
    assert output(embedded_aws, states, {"count": 1}) == [{"n": 2}, {"n": 2}]


def test_the_output_and_the_variables_are_made_of_the_results(embedded_aws: EmbeddedAws) -> None:
    states = {
        "All": parallel(
            {"One": tell(1)},
            {"Two": tell(2)},
            Output="{% {'results': $states.result, 'given': $states.input} %}",
            Assign={"sum": "{% $sum($states.result) %}"},
            Next="Tell",
        ),
        "Tell": tell({"sum": "{% $sum %}", "all": "{% $states.input %}"}),
    }
    expected = {"sum": 3, "all": {"results": [1, 2], "given": {"count": 1}}}
    assert output(embedded_aws, states, {"count": 1}) == expected


def test_a_branch_reads_the_variables_around_it_and_keeps_its_own_to_itself(
    embedded_aws: EmbeddedAws,
) -> None:
    seen = {"outer": "{% $outer %}", "inner": "{% $inner %}"}
    other = "{% $exists($inner) ? 'shared' : 'kept' %}"
    states = {
        "Begin": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "All"},
        "All": parallel(
            {
                "Set": {"Type": "Pass", "Assign": {"inner": "{% $outer + 1 %}"}, "Next": "Tell"},
                "Tell": tell(seen),
            },
            {"Wait": {"Type": "Wait", "Seconds": 1, "Next": "Look"}, "Look": tell(other)},
            Next="Afterwards",
        ),
        "Afterwards": tell({"branches": "{% $states.input %}", "after": other}),
    }
    expected = {"branches": [{"outer": 1, "inner": 2}, "kept"], "after": "kept"}
    assert output(embedded_aws, states) == expected


def test_two_branches_may_have_variables_of_one_name(embedded_aws: EmbeddedAws) -> None:
    def branch(value: int) -> States:
        return {
            f"Set {value}": {"Type": "Pass", "Assign": {"own": value}, "Next": f"Wait {value}"},
            f"Wait {value}": {"Type": "Wait", "Seconds": 1, "Next": f"Tell {value}"},
            f"Tell {value}": tell("{% $own %}"),
        }

    assert output(embedded_aws, {"All": parallel(branch(1), branch(2))}) == [1, 2]


@pytest.mark.parametrize("kind", ["Parallel", "Map", "nested"])
def test_a_variable_of_an_outer_scope_is_not_assigned_in_an_inner_one(
    embedded_aws: EmbeddedAws, kind: str
) -> None:
    inner: States = {"Set": tell(1, Assign={"same": 2})}
    around: States = {
        "Parallel": parallel(inner),
        "Map": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "Set", "States": inner},
            "End": True,
        },
        "nested": parallel({"Inner": parallel(inner)}),
    }
    caught = [{"ErrorEquals": ["States.ALL"], "Assign": {"same": 1}, "Next": "Caught"}]
    states = {"All": around[kind] | {"Catch": caught}, "Caught": {"Type": "Succeed"}}
    client = embedded_aws.client("stepfunctions")
    with pytest.raises(client.exceptions.InvalidDefinition, match="same"):
        make(embedded_aws, states)
    machine = make(embedded_aws, {"Done": {"Type": "Succeed"}})
    definition = {"QueryLanguage": "JSONata", "StartAt": "All", "States": states}
    with pytest.raises(client.exceptions.InvalidDefinition, match="same"):
        client.update_state_machine(stateMachineArn=machine, definition=json.dumps(definition))


def test_an_error_of_a_branch_is_caught_under_its_own_name_with_the_variables_around(
    embedded_aws: EmbeddedAws,
) -> None:
    states = {
        "Begin": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "Try"},
        "Try": parallel(
            {
                "Set": {"Type": "Pass", "Assign": {"why": "no rows"}, "Next": "Fail"},
                "Fail": {"Type": "Fail", "Error": "Empty", "Cause": "{% $why %}"},
            },
            Catch=[
                {"ErrorEquals": ["Full"], "Next": "Another"},
                {
                    "ErrorEquals": ["Empty"],
                    "Assign": {"problem": "{% $states.errorOutput %}"},
                    "Next": "Caught",
                },
            ],
        ),
        "Another": {"Type": "Fail"},
        "Caught": tell(
            {"problem": "{% $problem %}", "outer": "{% $outer %}", "inner": "{% $exists($why) %}"}
        ),
    }
    problem = {"Error": "Empty", "Cause": "no rows"}
    assert output(embedded_aws, states) == {"problem": problem, "outer": 1, "inner": False}


def test_when_a_branch_fails_the_others_are_stopped(embedded_aws: EmbeddedAws) -> None:
    configure(embedded_aws.endpoint_url, _SFN_WAIT_SCALE=1)
    polling = {"Wait": {"Type": "Wait", "Seconds": 600, "Next": "Tell"}, "Tell": tell(1)}
    states = {"All": parallel(polling, {"Fail": {"Type": "Fail", "Error": "Empty"}})}
    assert executed(embedded_aws, states)["error"] == "Empty"


def test_a_retry_runs_all_branches_again(embedded_aws: EmbeddedAws) -> None:
    count = "{% $states.context.State.RetryCount %}"
    states = {
        "All": parallel(
            {
                "Look": {
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% $states.input.attempt = 2 %}", "Next": "Tell"}],
                    "Default": "Fail",
                },
                "Tell": tell("done"),
                "Fail": {"Type": "Fail", "Error": "Early"},
            },
            Arguments={"attempt": count},
            Retry=[{"ErrorEquals": ["Early"], "MaxAttempts": 2}],
        )
    }
    assert output(embedded_aws, states) == ["done"]


def test_the_history_tells_the_states_of_the_branches(embedded_aws: EmbeddedAws) -> None:
    states = {"All": parallel({"One": tell(1, Next="Two", End=False), "Two": {"Type": "Succeed"}})}
    found = executed(embedded_aws, states)
    history = embedded_aws.client("stepfunctions").get_execution_history(
        executionArn=found["executionArn"]
    )
    types = [event["type"] for event in history["events"]]
    assert types[1:-1] == [
        "ParallelStateEntered",
        "ParallelStateStarted",
        "PassStateEntered",
        "PassStateExited",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ParallelStateSucceeded",
        "ParallelStateExited",
    ]


def test_no_state_of_a_branch_is_entered_once_the_execution_was_stopped(
    embedded_aws: EmbeddedAws,
) -> None:
    configure(embedded_aws.endpoint_url, _SFN_WAIT_SCALE=1)
    client = embedded_aws.client("stepfunctions")
    branch = {"Wait": {"Type": "Wait", "Seconds": 1, "Next": "Tell"}, "Tell": tell(1)}
    machine = make(embedded_aws, {"All": parallel(branch)})
    arn = client.start_execution(stateMachineArn=machine)["executionArn"]

    def entered() -> list[str]:
        events = client.get_execution_history(executionArn=arn)["events"]
        return [e["stateEnteredEventDetails"]["name"] for e in events if "Entered" in e["type"]]

    wait_for(lambda: "Wait" in entered())
    client.stop_execution(executionArn=arn)
    # The one after it, of an execution that was started later, has been entered by then.
    assert output(embedded_aws, {"All": parallel(branch)}) == [1]
    assert entered() == ["All", "Wait"]


def test_paths_are_applied_in_a_parallel_state_of_jsonpath(embedded_aws: EmbeddedAws) -> None:
    branch = {"Keep": {"Type": "Pass", "End": True}}
    states = {
        "All": parallel(
            branch,
            branch,
            InputPath="$.part",
            Parameters={"n.$": "$.count"},
            ResultSelector={"first.$": "$[0].n"},
            ResultPath="$.result",
        )
    }
    given = {"part": {"count": 2}}
    expected = {"part": {"count": 2}, "result": {"first": 2}}
    assert output(embedded_aws, states, given, language="JSONPath") == expected
