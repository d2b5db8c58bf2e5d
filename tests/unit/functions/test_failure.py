"""What is started when Preprocess or Split have failed on an event for good."""

import json
from typing import Any

import pytest

from tests.function_app import ROOT, TEST_ENVIRONMENT, function_app, lambda_context

ENVIRONMENT = TEST_ENVIRONMENT | {
    "RUNS_BUCKET": "RUNS",
    "REGISTRY_TABLE": "registry",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:train",
    "SCORE_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:score",
}
RUN = "iris-20261124T043410Z-2821de5e"


@pytest.fixture
def handled(monkeypatch):
    """Handles a recorded event, with changes, and returns what is recorded and started."""

    def handle(name: str, **changes: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        event = json.loads((ROOT / f"events/failure-{name}.json").read_text()) | changes
        with function_app("failure", ENVIRONMENT) as app:
            record = lambda *_, **fields: found.update(recorded=fields)  # noqa: E731
            monkeypatch.setattr(app, "record_status", record)
            monkeypatch.setattr(app, "start_run", lambda run, given: found.update({run: given}))
            found["answer"] = app.handler(event, lambda_context())
        return found

    return handle


def test_a_file_that_preprocess_failed_on_is_recorded_as_its_run_and_reported(handled):
    found = handled("preprocess")
    run = found["answer"]["run"]
    assert run.startswith("iris-20261124T043410Z-")
    assert found["recorded"]["source"]["key"] == "iris.csv"
    failure = found[run]["failure"]
    assert failure["code"] == "NotPrepared"
    assert failure["message"].startswith(
        "Preprocess was tried 3 times and failed: Sandbox.Timedout"
    )
    assert failure["remedy"].endswith("look at the log of Preprocess.")


def test_clean_rows_that_split_failed_on_are_reported_as_their_run(handled):
    found = handled("split")
    assert found["answer"] == {"run": RUN}
    assert "recorded" not in found
    assert found[RUN]["failure"]["message"].startswith("Split was tried 3 times and failed")


def test_rows_that_preprocess_failed_to_hand_on_are_handed_on_to_be_scored(monkeypatch):
    event = json.loads((ROOT / "events/failure-preprocess.json").read_text())
    event["requestPayload"]["detail"]["object"]["key"] = "score/iris/new.csv"
    with function_app("failure", ENVIRONMENT) as app:
        started = []
        monkeypatch.setattr(app, "start_batch", lambda *given: started.append(given) or "batch")
        assert app.handler(event, lambda_context()) == {"batch": "batch"}
    ((source, pin, machine),) = started
    assert (source.key, pin["key"]) == ("score/iris/new.csv", "score/iris/new.csv")
    assert machine == ENVIRONMENT["SCORE_STATE_MACHINE_ARN"]


def test_a_function_that_left_no_reason_is_reported_without(handled):
    found = handled("split", responsePayload=None)
    assert found[RUN]["failure"]["message"].endswith("failed: no reason given")
