"""Containers that reach a deployed stack, which has a run of every kind."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import containers, events
from cli.errors import Problem
from cli.settings import STACK_NAME, Local
from cli.stack import find_stack
from tests.deployed import ROOT, Deployed, run_of_iris, wait_for
from tests.e2e.test_large_file import set_environment
from tests.local_environment import local_environment

IRIS = (ROOT / "data/iris.csv").read_bytes()
INSTANCE = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'


@pytest.fixture(scope="session")
def engine() -> str:
    """The system that Docker runs on; without an engine and Lambda's image, tests are skipped."""
    try:
        system = containers.check_engine()
    except Problem as problem:
        pytest.skip(problem.message)
    if not containers.has_base_image():
        pytest.skip(f"the image is not there: docker pull {containers.base_image()}")
    return system


@pytest.fixture(scope="session")
def stack(engine: str, deployed: Deployed) -> Deployed:
    """The stack, with runs that ended in every way, and live models behind two kinds of endpoint.

    Other tests may have left such runs; what is asked about is made here in any case.
    """
    if not deployed.runs("async"):
        run_of_iris(deployed, "async")
    assert deployed.call("POST", "/datasets/async/predictions", INSTANCE).status == 202
    states, arn = deployed.client("stepfunctions"), deployed.output("StateMachineArn")

    def running(dataset: str = "") -> list[str]:
        listed = states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]
        return [e["executionArn"] for e in listed if e["name"].startswith(dataset)]

    drop(deployed, "cut-short.csv")
    (execution,) = wait_for(lambda: running("cut-short-"))
    states.stop_execution(executionArn=execution)
    drop(deployed, "iris.csv")
    drop(deployed, "iris/broken.csv", b"a,b\n1,2\n")
    drop(deployed, "zipped/rows.csv.gz", gzip.compress(IRIS))
    drop_in_one_part(deployed, "one-part.csv")
    # The last one, since its event is repeated, is no dataset that other events are about.
    version = drop(deployed, "blossoms.csv")
    wait_for(lambda: statuses(deployed, "blossoms") == ["Live"])
    # An event that comes too late: a newer file is live already.
    event = json.loads((ROOT / "events/preprocess-iris.json").read_text())
    event["time"] = "2020-01-01T00:00:00Z"
    event["detail"]["bucket"]["name"] = deployed.output("InboxBucketName")
    event["detail"]["object"] |= {"key": "blossoms.csv", "version-id": version}
    preprocess = deployed.client("cloudformation").describe_stack_resource(
        StackName=STACK_NAME, LogicalResourceId="PreprocessFunction"
    )["StackResourceDetail"]["PhysicalResourceId"]
    deployed.client("lambda").invoke(FunctionName=preprocess, Payload=json.dumps(event))
    wait_for(lambda: sorted(statuses(deployed, "blossoms")) == ["Live", "Superseded"])
    wait_for(lambda: not running())
    rows = "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width\n5.1,3.5,1.4,0.2\n"
    assert deployed.score("iris", rows, "one.csv")["status"] == "Scored"
    return deployed


def drop_in_one_part(deployed: Deployed, key: str) -> None:
    """Put an object into the inbox that counts as a large file, and wait for its model."""
    before = set_environment(deployed, "PreprocessFunction", LARGE_FILE_MEGABYTES="0.002")
    drop(deployed, key)
    wait_for(lambda: statuses(deployed, key.removesuffix(".csv")) == ["Live"])
    set_environment(deployed, "PreprocessFunction", **before)


def drop(deployed: Deployed, key: str, content: bytes = IRIS) -> str:
    """Put an object into the inbox; return its version."""
    inbox = deployed.output("InboxBucketName")
    answer = deployed.client("s3").put_object(Bucket=inbox, Key=key, Body=content)
    return answer["VersionId"]


def statuses(deployed: Deployed, dataset: str) -> list[str]:
    return [run["status"] for run in deployed.runs(dataset)]


@dataclass(frozen=True)
class SamLocal:
    """What `sam local` needs to invoke the stack's functions in containers."""

    options: list[str]
    events: Path
    not_filled: dict[str, str]


@pytest.fixture(scope="module")
def sam_local(engine: str, stack: Deployed) -> Iterator[SamLocal]:
    """Events with the stack's names, and containers that reach it."""
    local = Local(stack.folder, stack.port)
    into, endpoint_url = local.folder / "events", containers.endpoint_url(local)
    with local_environment(local), containers.reachable(local, engine) as options:
        deployed = events.DeployedStack(find_stack(STACK_NAME, local), STACK_NAME)
        outcome = events.fill(deployed, into, endpoint_url)
        environment = events.fill_environment(deployed, into, endpoint_url)
        template = containers.template(local, "Predict")
        options = ["--template", str(template), "--env-vars", str(environment), *options]
        yield SamLocal(options, into, {name: why for name, why in outcome.items() if why})
