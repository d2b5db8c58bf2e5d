"""Functions that are updated while they are in use, and events that they fail on."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from embedded.tests.helpers.iris_jobs import unique, wait_for
from embedded_aws.testing import EmbeddedAws

OLD = """
import time, boto3
def handler(event, context):
    boto3.client("s3").put_object(Bucket=event["bucket"], Key="began")
    time.sleep(1)
    return "old"
"""
NEW = "def handler(event, context):\n    return 'new'\n"


def zipped(code: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("app.py", code)
    return archive.getvalue()


def invoke(aws: EmbeddedAws) -> Any:
    payload = json.dumps({"bucket": "updated-function"})
    answer = aws.client("lambda").invoke(FunctionName="updated", Payload=payload)
    return json.load(answer["Payload"])


def test_an_invocation_ends_with_the_code_that_it_began_with(embedded_aws):
    functions, s3 = embedded_aws.client("lambda"), embedded_aws.client("s3")
    s3.create_bucket(Bucket="updated-function")
    functions.create_function(
        FunctionName="updated",
        Runtime="python3.13",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/updated",
        Code={"ZipFile": zipped(OLD)},
    )
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(invoke, embedded_aws)
        wait_for(lambda: s3.list_objects_v2(Bucket="updated-function")["KeyCount"])
        functions.update_function_code(FunctionName="updated", ZipFile=zipped(NEW))
        assert invoke(embedded_aws) == "new"
        assert under_way.result() == "old"


FAILS_AT_FIRST = """
import boto3
def handler(event, context):
    s3 = boto3.client("s3")
    tries = s3.list_objects_v2(Bucket=event["bucket"], Prefix="try/")["KeyCount"]
    s3.put_object(Bucket=event["bucket"], Key=f"try/{tries}")
    if tries < event["failures"]:
        raise ValueError("not yet")
    return "done"
"""


def told(aws: EmbeddedAws, failures: int, **config: Any) -> dict[str, Any]:
    """What the destination is told of an event that a function fails on some times."""
    functions, queues, name = aws.client("lambda"), aws.client("sqs"), unique("failing")
    aws.client("s3").create_bucket(Bucket=name)
    url = queues.create_queue(QueueName=name)["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/failing",
        Code={"ZipFile": zipped(FAILS_AT_FIRST)},
    )
    ends = {end: {"Destination": queue} for end in ("OnSuccess", "OnFailure")}
    functions.put_function_event_invoke_config(FunctionName=name, DestinationConfig=ends, **config)
    event = {"bucket": name, "failures": failures}
    payload = json.dumps(event).encode()
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=payload)

    def received() -> list[Any]:
        found: list[Any] = queues.receive_message(QueueUrl=url).get("Messages", [])
        return found

    (message,) = wait_for(received)
    record: dict[str, Any] = json.loads(message["Body"])
    assert record["requestPayload"] == event
    return record


def test_a_function_that_fails_is_tried_twice_more(embedded_aws):
    record = told(embedded_aws, failures=2)
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"] == "done"


def test_an_event_that_fails_for_good_is_passed_on_with_its_error(embedded_aws):
    record = told(embedded_aws, failures=3)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorMessage"] == "not yet"


def test_an_event_that_is_too_old_is_tried_no_more(embedded_aws):
    record = told(embedded_aws, failures=3, MaximumEventAgeInSeconds=60)
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 1
