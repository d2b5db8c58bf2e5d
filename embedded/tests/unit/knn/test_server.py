"""The container interface, over HTTP."""

import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.tests.unit.knn.test_training import K1, channel
from embedded_aws.knn.artefact import write_model
from embedded_aws.knn.inference import execution_parameters
from embedded_aws.knn.server import MOST_BYTES, ModelServer
from embedded_aws.knn.training import train
from embedded_aws.sagemaker import algorithm_process

PROJECT = Path(__file__).resolve().parents[3]
Answer = tuple[int, str, bytes]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server with a model of one feature: label 0 at 0, 1 at 10."""
    model = train(K1, {"train": channel(b"0,0\n1,10\n")}, print)
    with ModelServer(model, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Status, content type and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, names)
    response = connection.getresponse()
    answer = response.status, response.headers.get("content-type", ""), response.read()
    connection.close()
    return answer


def test_ping_is_answered_with_200_and_nothing(port: int) -> None:
    status, _, body = ask(port, "GET", "/ping")
    assert (status, body) == (200, b"")


def test_execution_parameters_are_told(port: int) -> None:
    status, content_type, body = ask(port, "GET", "/execution-parameters")
    assert (status, content_type) == (200, "application/json")
    assert json.loads(body) == execution_parameters()


def test_invocations_are_answered_by_content_type(port: int) -> None:
    answer = ask(
        port,
        "POST",
        "/invocations",
        b"9\n1",
        content_type="text/csv",
        accept="application/jsonlines",
    )
    expected = b'{"predicted_label": 1.0}\n{"predicted_label": 0.0}'
    assert answer == (200, "application/jsonlines", expected)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        (b"x", "text/csv", 400, b"unable to evaluate payload provided: body: line 1, column 1"),
        (b"1", "image/png", 415, b"Content-Type header value 'image/png' is not supported"),
        (b"1", "", 415, b"is not supported"),
    ],
)
def test_a_refusal_has_its_status_and_says_why(
    port: int, body: bytes, content_type: str, status: int, message: bytes
) -> None:
    got, _, text = ask(port, "POST", "/invocations", body, content_type=content_type)
    assert got == status
    assert message in text


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/ping")])
def test_other_paths_are_not_there(port: int, method: str, path: str) -> None:
    assert ask(port, method, path)[0] == 404


@pytest.mark.parametrize(
    ("length", "status"), [(str(MOST_BYTES + 1), 413), ("-1", 411), ("x", 411)]
)
def test_a_body_without_a_sensible_length_is_refused(port: int, length: str, status: int) -> None:
    assert ask(port, "POST", "/invocations", content_length=length)[0] == status


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_a_folder_until_it_is_ended_in_the_background_too(
    tmp_path: Path, ended_by: signal.Signals
) -> None:
    (tmp_path / "model").mkdir()
    write_model(train(K1, {"train": channel(b"0,0\n1,10\n")}, print), tmp_path / "model")
    process = subprocess.Popen(
        [sys.executable, "-m", "embedded_aws.knn", "serve", str(tmp_path), "--port", "0"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        assert ask(port, "GET", "/ping")[0] == 200
        answer = ask(port, "POST", "/invocations", b"9", content_type="text/csv")
        assert json.loads(answer[2]) == {"predictions": [{"predicted_label": 1.0}]}
    finally:
        process.send_signal(ended_by)
        assert process.wait(10) == 0


def test_a_command_ends_with_the_input_that_it_was_told_to_end_with(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write_model(train(K1, {"train": channel(b"0,0\n1,10\n")}, print), tmp_path / "model")
    process = algorithm_process.start(["serve", str(tmp_path), "--port", "0"], tmp_path, {})
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        assert b"Listening" in process.stdout.readline()
        # As when the server is killed, which has no time to end anything.
        process.stdin.close()
        assert process.wait(20) == 1
    finally:
        algorithm_process.end(process, 0)


def test_a_folder_without_a_model_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    ended = subprocess.run(
        [sys.executable, "-m", "embedded_aws.knn", "serve", str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert "not a k-NN model: there is no model_algo-1" in ended.stderr
