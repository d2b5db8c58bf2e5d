"""Each function with each of its events, in a container as on Lambda; and what comes of it."""

import csv
import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from cli import containers, events
from pipeline.layout import dataset_of_run
from tests.deployed import ROOT, Deployed, wait_for
from tests.sam_local.conftest import SamLocal, statuses

pytestmark = pytest.mark.e2e

AT_ONCE = 3
LAST = "teardown-delete"
"""It deletes what the others ask."""


@dataclass(frozen=True)
class Invoked:
    """What functions answered to their events, and what there was before."""

    stack: Deployed
    events: dict[str, dict[str, Any]]
    answers: dict[str, Any]
    files_before: dict[str, datetime]

    def body(self, event: str, status: int = 200) -> dict[str, Any]:
        assert self.answers[event]["statusCode"] == status
        return json.loads(self.answers[event]["body"])

    def written(self, run: str) -> set[str]:
        """The files of a run that are new, or newer than before."""
        return {
            key.removeprefix(f"runs/{run}/")
            for key, time in files(self.stack).items()
            if key.startswith(f"runs/{run}/") and self.files_before.get(key) != time
        }


def files(stack: Deployed) -> dict[str, datetime]:
    pages = (
        stack.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=stack.output("RunsBucketName"))
    )
    return {item["Key"]: item["LastModified"] for page in pages for item in page["Contents"]}


def mails_about(stack: Deployed, run: str) -> list[str]:
    """The subjects of the mails that give a run's folder."""
    return [m["Subject"] for m in stack.mails() if f"runs/{run}/" in m["BodyText"]]


def invoke(sam_local: SamLocal, event: str) -> Any:
    return containers.invoke(
        sam_local.options, events.function_of(event), sam_local.events / f"{event}.json"
    )


@pytest.fixture(scope="module")
def invoked(stack: Deployed, sam_local: SamLocal) -> Invoked:
    filled = {path.stem: json.loads(path.read_text()) for path in sam_local.events.glob("*-*.json")}
    before = files(stack)
    first = sorted(filled.keys() - {LAST})
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda event: invoke(sam_local, event), first)
        answered = dict(zip(first, answers, strict=True))
    return Invoked(stack, filled, answered, before)


def test_every_event_is_filled(sam_local):
    assert sam_local.not_filled == {}


def test_every_event_is_answered(invoked):
    recorded = {path.stem for path in (ROOT / "events").glob("*-*.json")}
    assert invoked.answers.keys() == recorded - {LAST}
    failed = {
        event: answer
        for event, answer in invoked.answers.items()
        if isinstance(answer, dict) and "errorType" in answer
    }
    assert failed == {}


@pytest.mark.parametrize("event", ["preprocess-iris", "preprocess-gzip"])
def test_a_dropped_file_is_preprocessed_and_the_stack_makes_a_model_of_it(invoked, event):
    answer = invoked.answers[event]
    assert answer["rows"] == 150
    written = invoked.written(answer["run"])
    assert {"clean/data.csv", "clean/schema.json", "clean/manifest.json"} <= written
    dataset = answer["run"].rsplit("-", 2)[0]

    def status() -> str:
        return next(r["status"] for r in invoked.stack.runs(dataset) if r["run"] == answer["run"])

    wait_for(lambda: status() == "Live")


@pytest.mark.parametrize(
    ("event", "code"),
    [("preprocess-gone", "ObjectGone"), ("preprocess-misnamed", "BadDatasetName")],
)
def test_a_file_that_is_no_use_is_refused_and_the_stack_mails_it(invoked, event, code):
    answer = invoked.answers[event]
    assert answer["refusal"]["code"] == code
    (subject,) = wait_for(lambda: mails_about(invoked.stack, answer["run"]))
    assert ": refused, " in subject


def test_the_manifest_of_a_run_that_has_gone_on_is_not_split_again(invoked):
    answer = invoked.answers["split-manifest"]
    assert answer["rows"] == {"train": 112, "test": 38}
    assert not {"train/train.pbr", "test/test.pbr"} & invoked.written(answer["run"])


def test_a_large_file_is_prepared_in_parts(invoked):
    run = invoked.events["preprocess-parts-begin"]["run"]
    next_steps = {
        "preprocess-parts-begin": {"step": "scan", "parts": 1},
        "preprocess-parts-scanned": {"step": "survey", "parts": 1},
        "preprocess-parts-surveyed": {"step": "split", "parts": 0},
        "split-parts-begin": {"step": "write", "parts": 1},
        "split-parts-written": {"step": "done", "parts": 0},
    }
    assert {event: invoked.answers[event] for event in next_steps} == next_steps
    assert {"train/part-00000.pbr", "clean/schema.json"} <= invoked.written(run)


@pytest.mark.parametrize("event", ["validate-serverless", "validate-async"])
def test_held_out_rows_are_validated(invoked, event):
    answer, run = invoked.answers[event], invoked.events[event]["run"]
    assert answer["rows"] == 38
    assert {"validation/predictions.csv", "validation/metrics.json"} <= invoked.written(run)
    table = csv.DictReader(io.StringIO(invoked.stack.read(run, "validation/predictions.csv")))
    right = [row["Prediction"] == row["Species"] for row in table]
    assert answer["accuracy"] == pytest.approx(sum(right) / 38)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("report-live", ": live, "),
        ("report-refused", ": refused, "),
        ("report-failed", ": training failed"),
        ("report-superseded", "a newer file is live"),
    ],
)
def test_an_outcome_is_reported_and_mailed(invoked, event, words):
    payload = invoked.events[event]
    assert invoked.answers[event]["status"] == payload["outcome"]
    assert "report/report.html" in invoked.written(payload["run"])
    about = mails_about(invoked.stack, payload["run"])
    # When the run ended, and now again.
    assert len(about) == 2
    assert words in about[-1]


def test_predictions_are_made_of_json_and_csv(invoked):
    def labels(event: str) -> list[str]:
        return [each["label"] for each in invoked.body(event)["predictions"]]

    assert labels("predict-json") == labels("predict-by-name") == ["setosa"]
    assert labels("predict-csv") == ["setosa", "virginica"]
    assert labels("predict-later") == ["setosa"]


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        ("predict-bad-instance", 400, "InvalidInstance"),
        ("predict-unknown-dataset", 404, "UnknownDataset"),
        ("predict-unsupported-type", 415, "UnsupportedMediaType"),
    ],
)
def test_a_request_that_is_no_use_is_refused(invoked, event, status, code):
    assert invoked.body(event, status)["error"]["code"] == code


def test_live_models_are_listed_and_described(invoked):
    listed = {item["dataset"] for item in invoked.body("predict-datasets")["datasets"]}
    assert {"iris", "async", "zipped", "blossoms"} <= listed
    assert invoked.body("predict-dataset")["schema"]["classes"][0] == "setosa"


@pytest.mark.parametrize("request_type", ["create", "update"])
def test_cloudformation_is_answered_and_nothing_is_torn_down(invoked, request_type):
    assert answer_to_cloudformation(invoked.stack, request_type)["Status"] == "SUCCESS"
    assert invoked.stack.client("sagemaker").list_endpoints()["Endpoints"]


def test_a_stack_that_is_deleted_leaves_no_endpoint(invoked, sam_local):
    wait_for(lambda: "Training" not in statuses(invoked.stack, "blossoms"))
    invoke(sam_local, LAST)
    assert answer_to_cloudformation(invoked.stack, "delete")["Status"] == "SUCCESS"
    # Other tests leave endpoints that are no run's of the stack.
    left = invoked.stack.client("sagemaker").list_endpoints()["Endpoints"]
    names = [endpoint["EndpointName"] for endpoint in left]
    own = [
        name
        for name in names
        if name in {run["run"] for run in invoked.stack.runs(dataset_of_run(name))}
    ]
    assert own == []


def answer_to_cloudformation(stack: Deployed, request_type: str) -> Mapping[str, Any]:
    answer = stack.client("s3").get_object(
        Bucket=stack.output("RunsBucketName"), Key=f"teardown/{request_type}.json"
    )
    return json.load(answer["Body"])
