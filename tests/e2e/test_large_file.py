"""A file over the threshold goes through the Distributed Map and becomes what it would at once."""

import json
from collections.abc import Iterator

import pytest

from tests.deployed import ROOT, Deployed, wait_for

pytestmark = pytest.mark.e2e
IRIS = ROOT / "data/iris.csv"


@pytest.fixture(scope="module")
def in_one(deployed: Deployed) -> str:
    """A run of iris that one function has prepared."""
    assert deployed.cli("drop", str(IRIS), "--dataset", "in-one").returncode == 0
    return deployed.runs("in-one")[0]["run"]


@pytest.fixture(scope="module")
def small_threshold(deployed: Deployed, in_one: str) -> Iterator[Deployed]:
    """The stack's functions with a threshold of two kilobytes, and parts of one and a half."""
    before = {
        "PreprocessFunction": set_environment(
            deployed, "PreprocessFunction", LARGE_FILE_MEGABYTES="0.002"
        ),
        "PreprocessPartsFunction": set_environment(
            deployed, "PreprocessPartsFunction", PART_MEGABYTES="0.0015"
        ),
    }
    yield deployed
    for function, variables in before.items():
        set_environment(deployed, function, **variables)


def set_environment(deployed: Deployed, function: str, **variables: str) -> dict[str, str]:
    """Change what a function finds in its environment, as a stack's parameter would."""
    resource = deployed.client("cloudformation").describe_stack_resource(
        StackName="knn-pipeline", LogicalResourceId=function
    )
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    functions = deployed.client("lambda")
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": before | variables}
    )
    return before


def rows(deployed: Deployed, run: str, folder: str) -> tuple[int, bytes]:
    """The files of a folder, and what they hold together."""
    listed = deployed.client("s3").list_objects_v2(
        Bucket=deployed.output("RunsBucketName"), Prefix=f"runs/{run}/{folder}/"
    )
    names = [found["Key"].removeprefix(f"runs/{run}/") for found in listed["Contents"]]
    return len(names), b"".join(deployed.read_bytes(run, name) for name in names)


def test_a_large_file_becomes_the_model_that_it_becomes_in_one(small_threshold, in_one):
    result = small_threshold.cli("drop", str(IRIS), "--dataset", "in-parts")
    assert result.returncode == 0, result.stdout + result.stderr
    run = small_threshold.runs("in-parts")[0]["run"]
    for folder in ("train", "test"):
        parts, content = rows(small_threshold, run, folder)
        assert parts == 3
        assert content == rows(small_threshold, in_one, folder)[1]
    metrics = [
        json.loads(small_threshold.read(each, "validation/metrics.json")) for each in (run, in_one)
    ]
    assert metrics[0] == metrics[1]
    machine = small_threshold.client("stepfunctions")
    arn = next(
        found["stateMachineArn"]
        for found in machine.list_state_machines()["stateMachines"]
        if found["name"].endswith("prepare-large-file")
    )
    (execution,) = [
        found
        for found in machine.list_executions(stateMachineArn=arn)["executions"]
        if found["name"] == run
    ]
    maps = machine.list_map_runs(executionArn=execution["executionArn"])["mapRuns"]
    # Scan, survey and write.
    assert len(maps) == 3


def test_a_large_file_that_is_no_use_is_refused_by_mail(small_threshold, tmp_path):
    unclosed = tmp_path / "unclosed.csv"
    unclosed.write_text(IRIS.read_text() + '5.1,3.5,1.4,0.2,"setosa\n')
    result = small_threshold.cli("drop", str(unclosed))
    assert result.returncode == 1
    assert "BrokenQuoting: We can't read the row that starts on line 152" in result.stdout


def test_a_large_file_that_cannot_be_prepared_is_reported_as_failed(small_threshold):
    """The object goes while its parts are read: the next state finds nothing."""
    s3, inbox = small_threshold.client("s3"), small_threshold.output("InboxBucketName")
    version = s3.put_object(Bucket=inbox, Key="vanishing/rows.csv", Body=IRIS.read_bytes())
    s3.delete_object(Bucket=inbox, Key="vanishing/rows.csv", VersionId=version["VersionId"])

    def ended() -> dict | None:
        runs = small_threshold.runs("vanishing")
        return runs[0] if runs and runs[0]["status"] in ("Refused", "Failed") else None

    assert wait_for(ended)["error"]["code"] == "ObjectGone"
