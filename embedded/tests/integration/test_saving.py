"""What survives an embedded AWS that is killed."""

import io
import json
import zipfile
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


def test_an_execution_that_was_just_started_ends_as_aborted_after_the_server_was_killed(
    tmp_path: Path,
) -> None:
    with running_embedded_aws(tmp_path) as before:
        states, events, queues = (
            before.client(name) for name in ("stepfunctions", "events", "sqs")
        )
        definition = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}}
        machine = states.create_state_machine(
            name=unique("machine"), definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]
        url = queues.create_queue(QueueName="ended")["QueueUrl"]
        pattern = {"source": ["aws.states"], "detail": {"status": ["ABORTED"]}}
        events.put_rule(Name="ended", EventPattern=json.dumps(pattern))
        queue = "arn:aws:sqs:us-east-1:000000000000:ended"
        events.put_targets(Rule="ended", Targets=[{"Id": "queue", "Arn": queue}])
        # Saves all that there is so far.
        states.start_execution(stateMachineArn=machine, name="first")
        saved = tmp_path / "stepfunctions.json"
        wait_for(lambda: saved.exists() and "first" in saved.read_text())
        execution = states.start_execution(stateMachineArn=machine, name="second")["executionArn"]
        before.process.kill()
        before.process.wait()
        assert "second" not in saved.read_text()

    with running_embedded_aws(tmp_path) as after:
        states, queues = after.client("stepfunctions"), after.client("sqs")
        wait_for(lambda: states.describe_execution(executionArn=execution)["status"] == "ABORTED")
        told: set[str] = set()

        def all_told() -> bool:
            for message in queues.receive_message(QueueUrl=url).get("Messages", []):
                told.add(json.loads(message["Body"])["detail"]["name"])
            return told == {"first", "second"}

        wait_for(all_told)


LAYER = """
WAIT_SECONDS = 60
"""
WRITES = """
import time, boto3, layered
def handler(event, context):
    s3 = boto3.client("s3")
    s3.put_object(Bucket="invoked", Key=f"began-{time.time_ns()}")
    if s3.list_objects_v2(Bucket="invoked", Prefix="began-")["KeyCount"] == 1:
        time.sleep(layered.WAIT_SECONDS)
    s3.put_object(Bucket="invoked", Key="ended")
"""


def zipped(name: str, text: str) -> bytes:
    """An archive of one file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr(name, text)
    return archive.getvalue()


def test_an_event_that_a_function_was_working_on_is_delivered_again_after_a_kill(
    tmp_path: Path,
) -> None:
    with running_embedded_aws(tmp_path) as before:
        s3, functions = before.client("s3"), before.client("lambda")
        states = before.client("stepfunctions")
        s3.create_bucket(Bucket="invoked")
        layer = functions.publish_layer_version(
            LayerName="layer", Content={"ZipFile": zipped("python/layered.py", LAYER)}
        )
        functions.create_function(
            FunctionName="slow",
            Runtime="python3.13",
            Handler="app.handler",
            Role=ROLE,
            Timeout=90,
            Code={"ZipFile": zipped("app.py", WRITES)},
            Layers=[layer["LayerVersionArn"]],
        )
        # Saves all that there is so far.
        definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
        machine = states.create_state_machine(
            name=unique("machine"), definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]
        states.start_execution(stateMachineArn=machine)
        saved = tmp_path / "lambda.json"
        wait_for(lambda: saved.exists() and "slow" in saved.read_text())
        functions.invoke(FunctionName="slow", InvocationType="Event", Payload=b"{}")
        wait_for(lambda: s3.list_objects_v2(Bucket="invoked")["KeyCount"])
        before.process.kill()
        before.process.wait()

    with running_embedded_aws(tmp_path) as after:
        s3 = after.client("s3")
        wait_for(
            lambda: (
                "ended"
                in [
                    found["Key"]
                    for found in s3.list_objects_v2(Bucket="invoked").get("Contents", [])
                ]
            )
        )
