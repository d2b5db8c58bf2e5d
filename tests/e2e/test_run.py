"""``make run`` as its user sees it: one command from nothing to a prediction."""

import shlex
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Deployed, free_port

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    stack = Deployed(tmp_path_factory.mktemp("fresh"), free_port())
    try:
        yield stack
    finally:
        stack.cli("clean")


def test_run_goes_from_nothing_to_a_prediction_and_then_reuses_the_stack(fresh):
    first = fresh.cli("run")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "✓ Deploy " in first.stdout
    assert "Accuracy  0." in first.stdout
    assert '"setosa"' in first.stdout
    second = fresh.cli("run")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "✓ Stack as it is" in second.stdout
    assert "✓ Build" not in second.stdout


def test_the_curl_that_run_prints_can_be_pasted(fresh):
    result = fresh.cli("run")
    curl = next(line for line in result.stdout.splitlines() if line.startswith("curl "))
    pasted = subprocess.run(shlex.split(curl), capture_output=True, text=True, check=True)
    assert '"setosa"' in pasted.stdout


def test_a_stopped_stack_comes_back_with_its_runs(fresh):
    before = {run["run"]: run["status"] for run in fresh.runs("iris")}
    assert "has stopped" in fresh.cli("stop").stdout
    result = fresh.cli("run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "✓ Stack as it is" in result.stdout
    assert set(before) < {run["run"] for run in fresh.runs("iris")}


def test_deleting_the_stack_leaves_no_endpoint(fresh):
    assert fresh.client("sagemaker").list_endpoints()["Endpoints"]
    cloudformation = fresh.client("cloudformation")
    cloudformation.delete_stack(StackName="knn-pipeline")
    waiter = cloudformation.get_waiter("stack_delete_complete")
    waiter.wait(StackName="knn-pipeline", WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    sagemaker = fresh.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []


def test_a_port_in_use_is_said_with_what_to_do(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        stack = Deployed(tmp_path, other.getsockname()[1])
        result = stack.cli("run")
    assert result.returncode == 1
    assert f"Port {stack.port} is in use by another program" in result.stderr
    assert "PORT=" in result.stderr
