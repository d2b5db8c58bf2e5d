"""The README's commands as their user types them, from nothing to a prediction and back."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_aws.testing import free_port
from tests.artefacts import artefacts
from tests.deployed import ROOT, Build, Deployed, wait_for
from tests.function_app import TEST_ENVIRONMENT

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def fresh(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Nothing but what `sam build` keeps of what it has built before."""
    stack = Deployed(tmp_path_factory.mktemp("fresh"), free_port())
    build.give_cache(stack.folder / "build-cache")
    try:
        yield stack
    finally:
        stack.cli("clean")


def test_make_run_goes_from_nothing_to_a_prediction(fresh):
    result = fresh.make("run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "✓ Build " in result.stdout
    assert "✓ Deploy " in result.stdout
    assert "right on 38 held-out rows" in result.stdout
    assert '{"predictions": [{"label": "setosa", "probabilities": {"setosa": 1.0' in result.stdout


def test_a_second_make_run_reuses_the_stack_and_its_curl_can_be_pasted(fresh):
    result = fresh.make("run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "✓ Stack as it is" in result.stdout
    assert "✓ Build" not in result.stdout
    curl = next(line for line in result.stdout.splitlines() if line.startswith("curl "))
    pasted = subprocess.run(shlex.split(curl), capture_output=True, text=True, check=True)
    assert '"setosa"' in pasted.stdout


def test_make_drop_takes_a_dataset_and_refuses_a_file_that_is_not_there(fresh):
    result = fresh.make("drop", "CSV=data/iris.csv", "DATASET=flowers")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [run["status"] for run in fresh.runs("flowers")] == ["Live"]
    missing = fresh.make("drop", "CSV=no/such.csv")
    assert missing.returncode != 0
    assert "There is no file no/such.csv" in missing.stderr
    assert "make drop CSV=path" in fresh.make("drop").stdout


def test_make_mail_and_make_logs_show_what_happened(fresh):
    run = fresh.runs("flowers")[-1]["run"]
    assert run in fresh.make("mail").stdout
    assert run in fresh.make("logs").stdout


def test_the_command_line_lists_runs_and_predicts(fresh):
    assert fresh.cli("endpoint").stdout.strip() == fresh.endpoint_url
    assert "flowers-" in fresh.cli("runs", "flowers").stdout
    result = fresh.cli("predict", "flowers", "5.1", "3.5", "1.4", "0.2")
    assert '"setosa"' in result.stdout
    refused = fresh.cli("predict", "flowers", "5.1")
    assert "Row 1 has 1 value where the model has 4 features" in refused.stderr
    assert "schema flowers" in refused.stderr
    assert "UnknownDataset" in fresh.cli("predict", "nothing", "1", "--json").stdout


def test_a_report_and_all_files_of_a_run_can_be_fetched(fresh, tmp_path):
    run = fresh.runs("flowers")[-1]["run"]
    page = fresh.cli("report", run).stdout.strip()
    assert "flowers" in Path(page).read_text()
    assert "clean/data.csv" in fresh.cli("files", run, "--to", str(tmp_path)).stdout
    assert (tmp_path / "clean/data.csv").read_text().startswith("5.1,3.5,")


def test_what_cannot_work_is_said_before_anything_is_done(fresh, tmp_path):
    other = Deployed(fresh.folder, fresh.port + 1)
    assert f"runs on port {fresh.port}" in other.cli("runs").stderr
    assert "is not a port" in fresh.make("mail", PORT="eighty").stderr
    assert "no parameter Nonsense" in fresh.cli("up", "--parameter", "Nonsense=1").stderr
    assert "can't name a dataset" in fresh.make("drop", "CSV=data/iris.csv", "DATASET=a/b").stderr
    assert "--stack-name" in fresh.cli("--stack-name", "other", "runs").stderr


def test_a_stopped_stack_comes_back_with_its_runs_and_mails_and_reports_what_it_cut_short(fresh):
    before = {run["run"] for run in fresh.runs("iris")}
    mails = len(fresh.mails())
    sfn, arn = fresh.client("stepfunctions"), fresh.output("StateMachineArn")
    fresh.client("s3").upload_file(
        str(ROOT / "data/iris.csv"), fresh.output("InboxBucketName"), "cut-short.csv"
    )
    wait_for(lambda: sfn.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"])
    assert "has stopped" in fresh.make("stop").stdout
    assert "not running" in fresh.cli("runs").stderr
    result = fresh.make("run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "✓ Stack as it is" in result.stdout
    assert before < {run["run"] for run in fresh.runs("iris")}
    assert len(fresh.mails()) > mails
    wait_for(lambda: [run["status"] for run in fresh.runs("cut-short")] == ["Failed"])


def test_all_that_a_killed_embedded_aws_was_working_on_ends_with_an_email(fresh):
    sfn, arn = fresh.client("stepfunctions"), fresh.output("StateMachineArn")
    inbox, iris = fresh.output("InboxBucketName"), str(ROOT / "data/iris.csv")
    fresh.client("s3").upload_file(iris, inbox, "killed-late.csv")
    wait_for(lambda: sfn.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"])
    waiting = fresh.started("drop", iris, "--dataset", "killed-followed")
    wait_for(lambda: fresh.runs("killed-followed"))
    fresh.client("s3").upload_file(iris, inbox, "killed-early.csv")
    os.kill(json.loads((fresh.folder / "server.json").read_text())["pid"], signal.SIGKILL)
    result = fresh.make("run")
    assert result.returncode == 0, result.stdout + result.stderr
    for dataset in ("killed-late", "killed-followed", "killed-early"):
        (run,) = wait_for(
            lambda dataset=dataset: [
                run for run in fresh.runs(dataset) if run["status"] in ("Failed", "Live")
            ]
        )
        wait_for(lambda run=run: [m for m in fresh.mails() if run["run"] in m["BodyText"]])
    waiting.communicate(timeout=300)


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


def test_make_deploy_takes_the_default_settings_to_whatever_aws_is_configured(fresh, build):
    if not (ROOT / ".aws-sam/cache").exists():
        build.give_cache(ROOT / ".aws-sam/cache")
    result = fresh.make(
        "deploy",
        "ADDRESS=somebody@example.com",
        AWS_ENDPOINT_URL=fresh.endpoint_url,
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_DEFAULT_REGION="us-east-1",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    identity = fresh.client("sesv2").get_email_identity(EmailIdentity="somebody@example.com")
    assert identity["IdentityType"] == "EMAIL_ADDRESS"


def test_make_clean_leaves_nothing(fresh):
    assert fresh.make("clean").returncode == 0
    assert not fresh.folder.exists()


def test_a_port_in_use_is_said_with_what_to_do(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        stack = Deployed(tmp_path, other.getsockname()[1])
        result = stack.make("run")
    assert result.returncode != 0
    assert f"Another program uses port {stack.port}" in result.stderr
    assert "PORT=" in result.stderr


def test_a_python_that_is_not_3_13_is_refused_with_what_to_do(tmp_path):
    stack = Deployed(tmp_path, free_port())
    result = stack.make(f"VENV={tmp_path}/venv", "PYTHON=/bin/false", "run")
    assert result.returncode != 0
    assert "Python 3.13 is needed" in result.stderr


def test_an_environment_that_was_left_half_made_is_made_anew(tmp_path):
    half = tmp_path / "venv/bin"
    half.mkdir(parents=True)
    (half / "python").symlink_to(sys.executable)
    stack = Deployed(tmp_path, free_port())
    stack.make(f"VENV={tmp_path}/venv", f"{tmp_path}/venv/venv.stamp")
    assert (half / "pip").exists()


def test_help_lists_every_command_of_the_readme(tmp_path):
    stack = Deployed(tmp_path, free_port())
    listed = stack.make("help").stdout
    readme = (ROOT / "README.md").read_text()
    for command in ("run", "test", "drop", "mail", "logs", "notebook", "stop", "clean", "deploy"):
        assert f"make {command}" in readme
        assert f"\n{command} " in f"\n{listed}"


@pytest.mark.parametrize("function", ["Preprocess", "Split", "Validate", "Report", "Predict"])
def test_built_functions_stay_small(build, function):
    folder = build.artefacts / f"{function}Function"
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size < (20e6 if function == "Predict" else 150e6)


@pytest.mark.parametrize("function", ["Preprocess", "Split", "SplitParts", "Predict", "Report"])
def test_functions_with_their_layers_fit_lambda(build, function):
    (found,) = (
        each for each in artefacts(build.artefacts) if each.logical_id == f"{function}Function"
    )
    folders = [found.folder, *(layer.parent for layer in found.path[1:])]
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    # Source: Lambda developer guide, "Lambda quotas".
    assert sum(file.stat().st_size for file in files) < 250 * 2**20 * 0.9


def test_predict_imports_neither_numpy_nor_scikit_learn(build):
    code = "import predict.app, sys; print([n for n in ('numpy', 'sklearn') if n in sys.modules])"
    environment = TEST_ENVIRONMENT | {
        "PYTHONPATH": f"{build.artefacts}/PredictFunction:{build.artefacts}/PipelineLayer/python",
        "RUNS_BUCKET": "runs",
        "REGISTRY_TABLE": "registry",
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
