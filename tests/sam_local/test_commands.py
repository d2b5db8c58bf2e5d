"""`make invoke` and `make api`, as a developer uses them."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from embedded_aws.testing import free_port
from tests.deployed import ROOT, Deployed, wait_for
from tests.sam_local.conftest import INSTANCE

pytestmark = pytest.mark.e2e


def labels(body: dict[str, Any]) -> list[str]:
    """The classes that were predicted."""
    return [prediction["label"] for prediction in body["predictions"]]


def containers() -> set[str]:
    command = ["docker", "ps", "--quiet"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_make_invoke_prints_a_functions_answer_and_leaves_no_container(stack):
    before = containers()
    result = stack.make("invoke", "EVENT=predict-json")
    assert result.returncode == 0, result.stdout + result.stderr
    answer = json.loads(result.stdout[result.stdout.index("\n{") :])
    assert labels(json.loads(answer["body"])) == ["setosa"]
    assert containers() == before


def test_a_function_that_fails_fails_the_command(stack, tmp_path):
    event = tmp_path / "no-run.json"
    event.write_text("{}")
    result = stack.make("invoke", f"EVENT={event}", "FUNCTION=validate")
    assert result.returncode != 0
    assert '"errorType": "KeyError"' in result.stdout


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def api(stack: Deployed) -> Iterator[str]:
    """The address of the API, served until it is interrupted as a terminal does."""
    before, port = containers(), free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "api", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "PORT": str(stack.port), "KNN_LOCAL_DIR": str(stack.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever runs the tests may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        wait_for(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        yield f"http://127.0.0.1:{port}/datasets"
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    assert containers() == before


def call(url: str, body: str | None = None, content_type: str = "application/json") -> Any:
    """The status of an answer, and its body."""
    request = urllib.request.Request(
        url, data=body and body.encode(), headers={"content-type": content_type}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_api_predicts_from_json_and_csv(api):
    status, body = call(f"{api}/iris/predictions", INSTANCE)
    assert (status, labels(body)) == (200, ["setosa"])
    status, body = call(f"{api}/iris/predictions", "6.5,3.0,5.5,2.0\n", "text/csv")
    assert (status, labels(body)) == (200, ["virginica"])


def test_the_api_describes_the_live_model(api):
    status, body = call(f"{api}/iris")
    assert (status, body["schema"]["features"][0]) == (200, "Sepal.Length")


def test_the_api_refuses_what_it_cannot_answer(api):
    assert call(f"{api}/iris/predictions", "{}")[0] == 400
    assert call(f"{api}/nothing")[0] == 404
    assert call(f"{api}/iris/predictions", "x", "text/plain")[0] == 415
    assert call(f"{api}/iris/nothing")[0] == 403


def test_an_asynchronous_prediction_is_fetched_by_its_id(api):
    status, body = call(f"{api}/async/predictions", INSTANCE)
    assert (status, body["status"]) == (202, "Pending")
    later = f"{api}/async/predictions/{body['id']}"
    _, body = wait_for(lambda: (found := call(later))[0] == 200 and found)
    assert labels(body) == ["setosa"]
