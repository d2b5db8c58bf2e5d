"""A living stack of the previous release is updated to the present revision, and taken back."""

import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli import embedded
from cli.settings import Local
from embedded_aws.testing import free_port
from tests.deployed import ROOT, Answer, Build, Deployed, wait_for
from tests.local_environment import local_environment

pytestmark = pytest.mark.e2e

PREVIOUS_RELEASE = Path(__file__).parent / "previous_release.tar.gz"
"""What is deployed of it. It is kept here since a checkout may come without git's history.

``git get-tar-commit-id`` tells the revision. With a release it is made anew: ``git archive -o
tests/e2e/previous_release.tar.gz TAG template.yaml samconfig.toml api functions layers
statemachine``.
"""

SETOSA = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
PREDICTIONS = "/datasets/iris/predictions"


@pytest.fixture(scope="module")
def previous_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the previous release."""
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(PREVIOUS_RELEASE) as files:
        files.extractall(folder, filter="data")
    return folder


def told(answer: Answer) -> tuple[int, list[str], str]:
    """What clients of either release rely on: the status, the classes, the run."""
    predictions = answer.body.get("predictions", [])
    return answer.status, [each["label"] for each in predictions], answer.body.get("run", "")


def sam(command: str, folder: Path) -> None:
    """Build or deploy the sources in a folder, to the AWS of the environment."""
    bin_folder = Path(sys.executable).parent
    result = subprocess.run(
        [bin_folder / "sam", command, "--config-env", "local"],
        cwd=folder,
        # functions/Makefile calls python3.13.
        env={
            **os.environ,
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.3",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


class Traffic:
    """Asks for a prediction again and again, and drops a file now and then, in a thread."""

    def __init__(self, stack: Deployed) -> None:
        self._stack = stack
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: list[Answer] = []
        self.datasets: list[str] = []

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stopped.wait(0.1):
            self.answers.append(self._stack.call("POST", PREDICTIONS, SETOSA))
            if time.monotonic() - began > 3 * len(self.datasets):
                self.datasets.append(f"during-{len(self.datasets)}")
                upload(self._stack, self.datasets[-1])


@dataclass
class State:
    """What a stack's users know of it."""

    outputs: dict[str, str]
    resources: dict[str, str]
    registry: list[dict[str, Any]]
    mails: list[str]
    report: str
    answer: Answer


def state_of(stack: Deployed) -> State:
    cloudformation = stack.client("cloudformation")
    described = cloudformation.describe_stacks(StackName="knn-pipeline")["Stacks"][0]
    resources = cloudformation.describe_stack_resources(StackName="knn-pipeline")
    runs = stack.runs("iris")
    return State(
        outputs={output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]},
        resources={
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in resources["StackResources"]
        },
        registry=runs,
        mails=[mail["Subject"] for mail in stack.mails()],
        report=stack.read(runs[0]["run"], "report/report.html"),
        answer=stack.call("POST", PREDICTIONS, SETOSA),
    )


@dataclass
class Updated:
    """A stack that was updated while it was in use."""

    stack: Deployed
    local: Local
    before: State
    traffic: Traffic
    after: State = field(init=False)


def upload(stack: Deployed, dataset: str) -> None:
    """Upload iris as a dataset."""
    inbox = stack.output("InboxBucketName")
    stack.client("s3").upload_file(str(ROOT / "data/iris.csv"), inbox, f"{dataset}.csv")


@pytest.fixture(scope="module")
def updated(
    previous_sources: Path, build: Build, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Updated]:
    stack = Deployed(tmp_path_factory.mktemp("updated"), free_port())
    local = Local(stack.folder, stack.port)
    # The present revision is built already.
    build.give(stack)
    try:
        with local_environment(local, {"AUTH": "true"}):
            embedded.start(local)
            sam("build", previous_sources)
            sam("deploy", previous_sources)
        for dataset in ("iris", "kept"):
            upload(stack, dataset)
        for dataset in ("iris", "kept"):
            wait_for(lambda d=dataset: [run["status"] for run in stack.runs(d)] == ["Live"])
        wait_for(lambda: len(stack.mails()) == 2)
        before = state_of(stack)
        with Traffic(stack) as traffic:
            result = stack.cli("up")
        assert result.returncode == 0, result.stdout + result.stderr
        assert "Build" not in result.stdout
        outcome = Updated(stack, local, before, traffic)
        outcome.after = state_of(stack)
        yield outcome
    finally:
        stack.cli("clean")


def test_an_update_keeps_every_name_that_anybody_may_know(updated):
    assert updated.after.outputs.items() >= updated.before.outputs.items()
    kept = updated.before.resources.keys() & updated.after.resources.keys()
    assert {"InboxBucket", "RegistryTable", "PredictionsApi", "PredictionsApiApiKey"} <= kept
    before = {name: updated.before.resources[name] for name in kept}
    assert {name: updated.after.resources[name] for name in kept} == before


def test_an_update_keeps_runs_mails_and_reports(updated):
    assert updated.after.registry == updated.before.registry
    assert updated.after.mails[: len(updated.before.mails)] == updated.before.mails
    assert updated.after.report == updated.before.report


def test_the_live_model_answers_all_the_while(updated):
    assert updated.before.answer.status == 200
    assert len(updated.traffic.answers) > 20
    before = told(updated.before.answer)
    assert [answer for answer in updated.traffic.answers if told(answer) != before] == []
    assert told(updated.after.answer) == before


def test_an_asynchronous_request_of_before_is_answered_after_the_update(updated):
    """The previous release's function and endpoint have written these, in the run's folder."""
    stack, number = updated.stack, "0" * 32
    run = updated.before.registry[0]["run"]
    folder, bucket = f"runs/{run}/async", stack.output("RunsBucketName")
    places = {name: f"s3://{bucket}/{folder}/{name}/1.out" for name in ("output", "failure")}
    answer = {"predictions": [{"labels": [0.0] * 5, "distances": [1.0] * 5}]}
    for name, body in (
        (f"ticket/{number}.json", {"asked": int(time.time()), **places}),
        ("output/1.out", answer),
    ):
        key = {"Bucket": bucket, "Key": f"{folder}/{name}"}
        stack.client("s3").put_object(**key, Body=json.dumps(body))
    assert told(stack.call("GET", f"{PREDICTIONS}/{run}.{number}")) == (200, ["setosa"], run)


def test_files_that_were_uploaded_meanwhile_become_models_or_it_is_said_how(updated):
    stack = updated.stack

    def ended(dataset: str) -> dict[str, Any] | None:
        runs = sorted(stack.runs(dataset), key=lambda run: run["run"])
        return runs[-1] if runs and runs[-1]["status"] not in ("Preparing", "Training") else None

    assert len(updated.traffic.datasets) > 1
    for dataset in updated.traffic.datasets:
        run = wait_for(lambda d=dataset: ended(d))
        if run["status"] != "Live":
            assert "was updated" in run["error"]["message"], run
            assert run["error"]["remedy"].startswith(("Upload", "Drop")), run
            wait_for(lambda r=run["run"]: [m for m in stack.mails() if r in m["BodyText"]])
            upload(stack, dataset)
            again = wait_for(lambda d=dataset, r=run: (e := ended(d)) and e["run"] > r["run"] and e)
            assert again["status"] == "Live", again
        answer = stack.call("POST", f"/datasets/{dataset}/predictions", SETOSA)
        assert told(answer)[:2] == (200, ["setosa"])


def test_the_next_file_replaces_the_model_that_was_live_before(updated):
    stack = updated.stack
    (old,) = updated.before.registry
    result = stack.cli("drop", str(ROOT / "data/iris.csv"))
    assert result.returncode == 0, result.stdout + result.stderr
    status, labels, run = told(stack.call("POST", PREDICTIONS, SETOSA))
    assert (status, labels) == (200, ["setosa"])
    assert run != old["run"]
    sagemaker = stack.client("sagemaker")
    wait_for(lambda: not sagemaker.list_endpoints(NameContains=old["run"])["Endpoints"])
    assert {r["run"]: r["status"] for r in stack.runs("iris")}[old["run"]] == "Retired"


def test_an_update_can_be_taken_back(updated, previous_sources):
    """A model that was made since can't be read then, and gives no wrong answer."""
    stack, kept = updated.stack, "/datasets/kept/predictions"
    before = told(stack.call("POST", kept, SETOSA))
    with local_environment(updated.local):
        sam("deploy", previous_sources)
    assert told(stack.call("POST", kept, SETOSA)) == before
    assert stack.call("POST", PREDICTIONS, SETOSA).status == 502
    known = {run["run"] for run in stack.runs("iris")}
    upload(stack, "iris")
    wait_for(lambda: [r["status"] for r in stack.runs("iris") if r["run"] not in known] == ["Live"])
    assert told(stack.call("POST", PREDICTIONS, SETOSA))[:2] == (200, ["setosa"])
