"""Executions of state machines on the embedded AWS, where MiniStack's are others than AWS's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from embedded.tests.helpers.iris_jobs import ROLE, unique, wait_for
from embedded_aws.mocks import Answers, configure, fails, gives, mock_configuration
from embedded_aws.testing import EmbeddedAws

TASK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::dynamodb:getItem",
    "Arguments": {"TableName": "none", "Key": {"id": {"S": "1"}}},
}


@pytest.fixture(autouse=True)
def quick_waits(embedded_aws: EmbeddedAws) -> Iterator[None]:
    """Waits and intervals that take no time."""
    configure(embedded_aws.endpoint_url, _SFN_WAIT_SCALE=0)
    yield
    configure(embedded_aws.endpoint_url, _SFN_WAIT_SCALE=1, _sfn_mock_config={})


def started(aws: EmbeddedAws, states: dict[str, Any], case: str = "", **top: Any) -> str:
    """Start an execution of these states, mocked if a case is named; its ARN."""
    client, name = aws.client("stepfunctions"), unique("machine")
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    machine = client.create_state_machine(
        name=name, definition=json.dumps(definition | top), roleArn=ROLE
    )["stateMachineArn"]
    if case:
        case = f"#{case}"
        configure(aws.endpoint_url, _sfn_mock_config=mock_configuration({name: CASES}))
    return str(client.start_execution(stateMachineArn=f"{machine}{case}")["executionArn"])


def ended(aws: EmbeddedAws, execution: str) -> dict[str, Any]:
    """Describe an execution once it has ended."""
    client = aws.client("stepfunctions")

    def description() -> dict[str, Any] | None:
        found: dict[str, Any] = client.describe_execution(executionArn=execution)
        return None if found["status"] == "RUNNING" else found

    found = wait_for(description)
    assert found is not None
    return found


SLOW = fails("DynamoDB.RequestLimitExceededException")
CASES: dict[str, Answers] = {
    "throttled": {"Get": [SLOW, SLOW, gives({"Item": {"id": {"S": "1"}}})]},
    "broken": {"Get": [fails("States.Runtime")]},
}


def retried(attempts: int) -> dict[str, Any]:
    return TASK | {
        "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": attempts}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }


def test_each_attempt_gets_the_response_that_is_mocked_for_it(embedded_aws: EmbeddedAws) -> None:
    caught = {"Type": "Pass", "Output": "caught", "End": True}
    for attempts, output in ((2, {"Item": {"id": {"S": "1"}}}), (1, "caught")):
        states = {"Get": retried(attempts), "Caught": caught}
        found = ended(embedded_aws, started(embedded_aws, states, "throttled"))
        assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", output)


def test_a_runtime_error_is_not_caught_by_states_all(embedded_aws: EmbeddedAws) -> None:
    states = {"Get": retried(3), "Caught": {"Type": "Pass", "End": True}}
    found = ended(embedded_aws, started(embedded_aws, states, "broken"))
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")


def test_variables_are_assigned_all_at_once_and_a_succeed_state_tells_them(
    embedded_aws: EmbeddedAws,
) -> None:
    states = {
        "First": {"Type": "Pass", "Assign": {"a": 1, "b": 2}, "Next": "Swap"},
        "Swap": {"Type": "Pass", "Assign": {"a": "{% $b %}", "b": "{% $a %}"}, "Next": "Tell"},
        "Tell": {"Type": "Succeed", "Output": {"a": "{% $a %}", "b": "{% $b %}"}},
    }
    found = ended(embedded_aws, started(embedded_aws, states))
    assert json.loads(found["output"]) == {"a": 2, "b": 1}


def test_an_execution_that_takes_too_long_is_timed_out_and_announced(
    embedded_aws: EmbeddedAws,
) -> None:
    events, sqs, name = embedded_aws.client("events"), embedded_aws.client("sqs"), unique("late")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {"source": ["aws.states"], "detail": {"status": ["TIMED_OUT"]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])
    configure(embedded_aws.endpoint_url, _SFN_WAIT_SCALE=1)
    states = {"Wait": {"Type": "Wait", "Seconds": 2, "Next": "Fail"}, "Fail": {"Type": "Fail"}}
    execution = started(embedded_aws, states, TimeoutSeconds=1)
    assert ended(embedded_aws, execution)["status"] == "TIMED_OUT"
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert json.loads(message["Body"])["detail"]["executionArn"] == execution


def test_a_nested_execution_whose_name_is_taken_fails_with_the_name_of_the_integration(
    embedded_aws: EmbeddedAws,
) -> None:
    done = {"Done": {"Type": "Succeed"}}
    taken = started(embedded_aws, done)
    ended(embedded_aws, taken)
    nested = {
        "Nest": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution",
            "Arguments": {
                "StateMachineArn": taken.rpartition(":")[0].replace(
                    ":execution:", ":stateMachine:"
                ),
                "Name": taken.rpartition(":")[2],
                "Input": {"another": "input"},
            },
            "End": True,
        }
    }
    failed = ended(embedded_aws, started(embedded_aws, nested))
    assert failed["error"] == "StepFunctions.ExecutionAlreadyExistsException"


def test_an_input_larger_than_states_hold_is_refused(embedded_aws):
    client, name = embedded_aws.client("stepfunctions"), unique("machine")
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    machine = client.create_state_machine(name=name, definition=definition, roleArn=ROLE)
    arn = machine["stateMachineArn"]
    largest = json.dumps("é" * 131_071, ensure_ascii=False)
    client.start_execution(stateMachineArn=arn, input=largest)
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.start_execution(stateMachineArn=arn, input=f"{largest} ")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
