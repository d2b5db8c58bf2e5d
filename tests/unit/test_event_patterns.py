"""The template's event patterns against events that must match, and events that must not.

The matcher is the embedded EventBridge's, whose patterns are those of the EventBridge user guide,
"Comparison operators": all fields of a pattern must match, one of the values of each; a wildcard's
asterisk crosses slashes; what an event doesn't have or has as null is no string.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load as load_template
from ministack.services import eventbridge

from tests.states_language import ROOT

RESOURCES = load_template(str(ROOT / "template.yaml"))["Resources"]
INBOX, RUNS, MACHINE = "the InboxBucket", "the RunsBucket", "the TrainDeployValidate"
LARGE_FILES = "the PrepareLargeFile"
BATCHES = "the ScoreBatch"
DROPPED, MANIFEST = (
    json.loads((ROOT / "events" / name).read_text())
    for name in ("preprocess-iris.json", "split-manifest.json")
)
# Source: Step Functions developer guide, "Automating Step Functions event delivery with
# EventBridge", event examples.
STOPPED = {
    "version": "0",
    "id": "315c1398-40ff-a850-213b-158f73e60175",
    "detail-type": "Step Functions Execution Status Change",
    "source": "aws.states",
    "account": "012345678912",
    "time": "2026-11-24T12:42:21Z",
    "region": "us-east-1",
    "resources": ["arn:aws:states:us-east-1:012345678912:execution:machine:iris"],
    "detail": {
        "executionArn": "arn:aws:states:us-east-1:012345678912:execution:machine:iris",
        "stateMachineArn": MACHINE,
        "name": "iris-20261124T043410Z-2821de5e",
        "status": "ABORTED",
        "startDate": 1551225014968,
        "stopDate": 1551225017576,
        "input": "{}",
        "output": None,
        "inputDetails": {"included": True},
        "outputDetails": None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "REDRIVABLE",
        "redriveStatusReason": None,
        "error": None,
        "cause": None,
    },
}


def patterns() -> Iterator[tuple[str, Any]]:
    """Yield the pattern of each rule in the template, with words for what it refers to."""
    for name, resource in RESOURCES.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Events::Rule":
            yield name, resolved(properties["EventPattern"])
        for event, source in properties.get("Events", {}).items():
            if source["Type"] == "EventBridgeRule":
                yield f"{name}{event}", resolved(source["Properties"]["Pattern"])


def resolved(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"Ref"}:
            return f"the {value['Ref']}"
        return {key: resolved(item) for key, item in value.items()}
    return [resolved(item) for item in value] if isinstance(value, list) else value


PATTERNS = dict(patterns())


def created(bucket: str, key: str, reason: str = "PutObject", **changes: Any) -> dict[str, Any]:
    """S3's event for an object.

    Source: Amazon S3 user guide, "EventBridge event message structure".
    """
    event = copy.deepcopy(DROPPED if bucket == INBOX else MANIFEST) | changes
    event["detail"]["bucket"]["name"] = bucket
    event["detail"]["object"]["key"] = key
    event["detail"]["reason"] = reason
    return event


def without_version(event: dict[str, Any]) -> dict[str, Any]:
    del event["detail"]["object"]["version-id"]
    return event


def status(name: str = "iris-20261124T043410Z-2821de5e", **detail: Any) -> dict[str, Any]:
    """Step Functions' event for an execution."""
    return STOPPED | {"detail": STOPPED["detail"] | {"name": name, **detail}}


def of_batch(*name: str, **detail: Any) -> dict[str, Any]:
    """The same for the execution of a batch."""
    return status(*name, stateMachineArn=BATCHES, **detail)


def reported(**changes: Any) -> dict[str, Any]:
    """Report's event for a run, as EventBridge delivers it."""
    return STOPPED | {
        "source": "the AWS::StackName",
        "detail-type": "Run Reported",
        "detail": {"dataset": "iris", "verdict": "iris: live"},
        **changes,
    }


FILE, SPLIT, INTERRUPTED, BATCH, REPORTED = (
    "PreprocessFunctionFileDropped",
    "SplitFunctionDataPrepared",
    "RunInterrupted",
    "BatchInterrupted",
    "RunReported",
)
MUST = [
    (FILE, "put", created(INBOX, "iris.csv")),
    (FILE, "put by a form", created(INBOX, "iris.csv", "POST Object")),
    (FILE, "copied", created(INBOX, "iris.csv", "CopyObject")),
    (FILE, "uploaded in parts", created(INBOX, "iris.csv", "CompleteMultipartUpload")),
    (FILE, "in a folder", created(INBOX, "iris/2026/11.csv")),
    (FILE, "in capitals", created(INBOX, "IRIS.CSV")),
    (FILE, "compressed", created(INBOX, "iris.csv.gz")),
    (FILE, "compressed, in some capitals", created(INBOX, "iris/x.Csv.GZ")),
    (FILE, "with a space and another script", created(INBOX, "my 花.csv")),
    (FILE, "nothing but the ending", created(INBOX, ".csv")),
    (FILE, "without a version", without_version(created(INBOX, "iris.csv"))),
    (SPLIT, "the manifest", created(RUNS, "runs/iris-1/clean/manifest.json")),
    (SPLIT, "the manifest, deeper", created(RUNS, "runs/a/b/clean/manifest.json")),
    (INTERRUPTED, "stopped", status()),
    (INTERRUPTED, "timed out", status(status="TIMED_OUT")),
    (INTERRUPTED, "broken", status(status="FAILED", error="States.Runtime")),
    (INTERRUPTED, "too much data", status(status="FAILED", error="States.DataLimitExceeded")),
    (INTERRUPTED, "not started", status(status="FAILED", error="RunNotStarted")),
    (INTERRUPTED, "not reported", status(status="FAILED", error="NotReported")),
    (INTERRUPTED, "of a large file", status(stateMachineArn=LARGE_FILES)),
    (BATCH, "stopped", of_batch()),
    (BATCH, "timed out", of_batch(status="TIMED_OUT")),
    (BATCH, "broken", of_batch(status="FAILED", error="States.Runtime")),
    (REPORTED, "reported", reported()),
]
MUST_NOT = [
    (FILE, "another bucket", created("another bucket", "iris.csv")),
    (FILE, "the runs bucket", created(RUNS, "runs/iris-1/clean/data.csv")),
    (FILE, "deleted", created(INBOX, "iris.csv", **{"detail-type": "Object Deleted"})),
    (FILE, "restored", created(INBOX, "iris.csv", **{"detail-type": "Object Restore Completed"})),
    (FILE, "not of S3", created(INBOX, "iris.csv", source="com.example")),
    (
        FILE,
        "of CloudTrail",
        created(INBOX, "iris.csv", **{"detail-type": "AWS API Call via CloudTrail"}),
    ),
    *((FILE, key, created(INBOX, key)) for key in ("iris.txt", "csv", "iris.csv.zip", "iris.gz")),
    *((FILE, key, created(INBOX, key)) for key in ("iris/schema.json", "iris.csv/", "iris.csv ")),
    (SPLIT, "clean data", created(RUNS, "runs/iris-1/clean/data.csv")),
    (SPLIT, "another manifest", created(RUNS, "runs/iris-1/manifest.json")),
    (SPLIT, "a copy", created(RUNS, "runs/iris-1/clean/manifest.json.bak")),
    (SPLIT, "another folder", created(RUNS, "old/runs/iris-1/clean/manifest.json")),
    (SPLIT, "in capitals", created(RUNS, "runs/iris-1/clean/MANIFEST.json")),
    (SPLIT, "not of S3", created(RUNS, "runs/x/clean/manifest.json", source="com.example")),
    (SPLIT, "the inbox", created(INBOX, "runs/iris-1/clean/manifest.json")),
    (
        SPLIT,
        "deleted",
        created(RUNS, "runs/x/clean/manifest.json", **{"detail-type": "Object Deleted"}),
    ),
    (INTERRUPTED, "started", status(status="RUNNING")),
    (INTERRUPTED, "succeeded", status(status="SUCCEEDED")),
    *(
        (INTERRUPTED, f"reported: {error}", status(status="FAILED", error=error))
        for error in ("RunFailed", "LargeFileFailed", "EndpointLeftBehind")
    ),
    (INTERRUPTED, "failed without an error", status(status="FAILED")),
    (INTERRUPTED, "another machine", status(stateMachineArn="another machine")),
    # Executions that the rule itself starts are named after its event.
    (INTERRUPTED, "its own", status("315c1398-40ff-a850-213b-158f73e60175_6c8b9a6e-6c5b-1f0e")),
    (INTERRUPTED, "started by hand", status("try-again")),
    (INTERRUPTED, "not of Step Functions", status() | {"source": "com.example"}),
    (INTERRUPTED, "another kind", status() | {"detail-type": "AWS API Call via CloudTrail"}),
    (BATCH, "started", of_batch(status="RUNNING")),
    (BATCH, "reported", of_batch(status="FAILED", error="BatchFailed")),
    (BATCH, "a run", status()),
    (BATCH, "its own", of_batch("315c1398-40ff-a850-213b-158f73e60175_6c8b9a6e-6c5b-1f0e")),
    (BATCH, "not of Step Functions", of_batch() | {"source": "com.example"}),
    (BATCH, "another kind", of_batch() | {"detail-type": "AWS API Call via CloudTrail"}),
    (REPORTED, "another stack's", reported(source="another stack")),
    (REPORTED, "another kind", reported(**{"detail-type": "Run Started"})),
]


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    request = {"EventPattern": json.dumps(pattern), "Event": json.dumps(event)}
    _, _, answer = eventbridge._test_event_pattern(request)
    return bool(json.loads(answer)["Result"])


@pytest.mark.parametrize(("rule", "what", "event"), MUST, ids=lambda value: str(value)[:40])
def test_an_event_that_must_match_does(rule: str, what: str, event: dict[str, Any]) -> None:
    assert matches(PATTERNS[rule], event)


@pytest.mark.parametrize(("rule", "what", "event"), MUST_NOT, ids=lambda value: str(value)[:40])
def test_an_event_that_must_not_match_does_not(rule: str, what: str, event: dict[str, Any]) -> None:
    assert not matches(PATTERNS[rule], event)


def test_each_rule_is_tried_both_ways() -> None:
    assert {rule for rule, _, _ in MUST} == {rule for rule, _, _ in MUST_NOT} == set(PATTERNS)


@pytest.mark.parametrize("rule", PATTERNS)
def test_each_field_of_a_pattern_keeps_something_out(rule: str) -> None:
    """Without any one of its fields a pattern matches an event that it must not."""
    kept_out = [event for name, _, event in MUST_NOT if name == rule]
    for pattern in without_one(PATTERNS[rule]):
        assert any(matches(pattern, event) for event in kept_out), pattern


def without_one(pattern: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pattern without each of its fields, one at a time."""
    for key, value in pattern.items():
        rest = {name: item for name, item in pattern.items() if name != key}
        if isinstance(value, dict):
            yield from (rest | {key: inner} for inner in without_one(value) if inner)
        elif rest:
            yield rest
