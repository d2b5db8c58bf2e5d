"""What survives an embedded AWS that is killed."""

import json
from pathlib import Path

from embedded.tests.helpers.iris_jobs import ROLE, unique, wait_for
from embedded_aws.testing import running_embedded_aws


def test_an_execution_that_has_ended_is_there_after_the_server_was_killed(tmp_path: Path) -> None:
    with running_embedded_aws(tmp_path) as before:
        states = before.client("stepfunctions")
        definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
        machine = states.create_state_machine(
            name=unique("machine"), definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]
        execution = states.start_execution(stateMachineArn=machine)["executionArn"]
        saved = tmp_path / "stepfunctions.json"
        wait_for(lambda: saved.exists() and '"SUCCEEDED"' in saved.read_text())
        before.process.kill()
        before.process.wait()

    with running_embedded_aws(tmp_path) as after:
        described = after.client("stepfunctions").describe_execution(executionArn=execution)
        assert described["status"] == "SUCCEEDED"
