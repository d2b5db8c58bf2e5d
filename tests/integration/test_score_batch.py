"""The state machine of a batch, on the embedded Step Functions, with its tasks mocked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from embedded_aws.mocks import Answers, configure, fails, gives, mock_configuration
from embedded_aws.testing import EmbeddedAws
from tests.deployed import wait_for
from tests.states_language import definition, substituted

BATCH = "iris-20261124T043410Z-2821de5e"
ASKED = {"batch": BATCH, "dataset": "iris", "file": {"bucket": "inbox", "key": "new.csv"}}
SUBSTITUTIONS = {
    "Partition": "aws",
    "StackName": "knn-pipeline",
    "RunsBucket": "runs",
    "ScoreFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:score",
    "TransformInstanceType": "ml.m5.large",
    "EncryptionKeyArn": "",
}
COUNTS = {"rows": 2, "set_aside": 0, "parts": 1}


def answer(**payload: Any) -> dict[str, Any]:
    return gives({"StatusCode": 200, "Payload": payload})


def prepared(endpoint_name: str | None) -> dict[str, Any]:
    return answer(run="live-run", endpoint_name=endpoint_name, prepared=COUNTS)


REFUSAL = {"code": "MissingColumns", "message": "No length.", "remedy": "Name it."}
FEW, MANY = prepared("live-run"), prepared(None)
WRITTEN = answer(predicted={"setosa": 2})
BROKEN = fails("SageMaker.SageMakerException", "Could not find model.")
GONE = fails("ValidationError", "Endpoint not found.")
SCORED, REFUSED, FAILED = (answer(status=status) for status in ("Scored", "Refused", "Failed"))
WELL = {"Prepare": [FEW], "Transform": [gives({})], "Write result": [WRITTEN], "Report": [SCORED]}

Run = Callable[..., tuple[str, list[str], str]]


@pytest.fixture
def run(embedded_aws: EmbeddedAws) -> Iterator[Run]:
    """Runs the state machine with answers of its tasks.

    Gives how the execution ended, which states it went through, and the cause if it failed.
    """
    states = embedded_aws.client("stepfunctions")
    machine = states.create_state_machine(
        name="score-batch",
        roleArn="arn:aws:iam::000000000000:role/states",
        definition=json.dumps(substituted(definition("score_batch.asl.json"), SUBSTITUTIONS)),
    )["stateMachineArn"]

    def execute(answers: Answers, given: Any = ASKED) -> tuple[str, list[str], str]:
        mocked = mock_configuration({"score-batch": {"case": WELL | answers}})
        configure(embedded_aws.endpoint_url, _sfn_mock_config=mocked, _SFN_WAIT_SCALE=0)
        arn = states.start_execution(
            stateMachineArn=f"{machine}#case", name=BATCH, input=json.dumps(given)
        )["executionArn"]

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = states.describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        found = wait_for(ended)
        pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
        entered = [
            event["stateEnteredEventDetails"]["name"]
            for page in pages
            for event in page["events"]
            if "stateEnteredEventDetails" in event
        ]
        return found.get("error") or found["status"], entered, found.get("cause", "")

    try:
        yield execute
    finally:
        configure(embedded_aws.endpoint_url, _sfn_mock_config={}, _SFN_WAIT_SCALE=1)
        states.delete_state_machine(stateMachineArn=machine)


def test_a_batch_whose_execution_was_interrupted_is_reported(run):
    given = {"input": json.dumps(ASKED), "interrupted": "TIMED_OUT"}
    end, through, cause = run({"Report": [FAILED]}, given)
    assert (end, json.loads(cause)["Cause"]) == ("BatchFailed", "TIMED_OUT")
    assert through[1:3] == ["Was it interrupted?", "Report"]


def test_few_rows_are_asked_of_the_endpoint(run):
    end, through, _ = run({})
    assert end == "SUCCEEDED"
    assert through == [
        *("Begin", "Was it interrupted?", "Prepare", "How is it scored?", "Write result"),
        *("Report", "Did it fail?", "Done"),
    ]


def test_many_rows_go_through_a_transform_job(run):
    end, through, _ = run({"Prepare": [MANY]})
    assert end == "SUCCEEDED"
    assert through[3:6] == ["How is it scored?", "Transform", "Write result"]


def test_a_refused_file_is_reported_and_nothing_is_asked(run):
    end, through, _ = run({"Prepare": [answer(refusal=REFUSAL)], "Report": [REFUSED]})
    assert end == "SUCCEEDED"
    assert not {"Transform", "Write result"} & set(through)


def test_a_file_that_takes_too_long_to_write_is_reported(run):
    late = answer(predicted={}, refusal=REFUSAL)
    end, through, _ = run({"Write result": [late], "Report": [REFUSED]})
    assert (end, through.count("Write result")) == ("SUCCEEDED", 1)


@pytest.mark.parametrize(
    "answers",
    [
        {"Prepare": [MANY, FEW], "Transform": [BROKEN]},
        {"Write result": [GONE, GONE, GONE, GONE, GONE, WRITTEN]},
    ],
    ids=["the model", "the endpoint"],
)
def test_what_is_gone_since_another_model_is_live_is_asked_of_that_one(run, answers):
    end, through, _ = run(answers)
    assert end == "SUCCEEDED"
    assert through.count("Prepare") == 2


@pytest.mark.parametrize("task", ["Prepare", "Transform", "Write result"])
def test_what_fails_again_and_again_is_reported_as_failed(run, task):
    answers = {"Prepare": [MANY], task: [GONE], "Report": [FAILED]}
    end, through, cause = run(answers)
    assert end == "BatchFailed"
    assert json.loads(cause)["Error"] == "ValidationError"
    assert through.count("Report") == 1
