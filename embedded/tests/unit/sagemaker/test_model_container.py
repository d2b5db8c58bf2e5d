"""A model's container, whatever it does."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.sagemaker import algorithm_process
from embedded_aws.sagemaker.model_container import ContainerError, ModelContainer, fetch_model

SCOPE = Scope("000000000000", "us-east-1")
SERVES = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(200, b'{"MaxPayloadInMB": 7}')
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if body == b"sleep":
            time.sleep(10)
        self.answer(200, body.upper())
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"Listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""


def container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> ModelContainer:
    """A container that runs a script instead of the algorithm."""

    def start(*_: Any) -> Any:
        return subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    monkeypatch.setattr(algorithm_process, "start", start)
    return ModelContainer(tmp_path, {}, lambda lines: None)


def test_a_container_answers_and_tells_how_it_wants_to_be_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with container(monkeypatch, tmp_path, SERVES) as serving:
        assert serving.execution_parameters() == {"MaxPayloadInMB": 7}
        assert serving.invoke(b"abc", "text/csv", "", 5) == (200, b"ABC")
    assert serving.process.poll() is not None


def test_a_container_that_does_not_answer_in_time_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (
        container(monkeypatch, tmp_path, SERVES) as serving,
        pytest.raises(ContainerError, match="Unable to get response from algorithm"),
    ):
        serving.invoke(b"sleep", "text/csv", "", 0.1)


@pytest.mark.parametrize(
    "script",
    [
        "print('no model here')",
        "print('Listening on http://127.0.0.1:1', flush=True); import time; time.sleep(30)",
    ],
)
def test_a_container_that_does_not_start_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    failing = container(monkeypatch, tmp_path, script)
    with pytest.raises(ContainerError), failing:
        pytest.fail("it does not answer")
    assert failing.process.poll() is not None


def fetch(monkeypatch: pytest.MonkeyPatch, folder: Path, archive: bytes) -> None:
    """Fetch a model whose artefact is that."""
    monkeypatch.setattr(platform, "open_object", lambda *_: io.BytesIO(archive))
    fetch_model(SCOPE, {"ModelDataUrl": "s3://bucket/model.tar.gz"}, folder)


def archive_of(name: str) -> bytes:
    """An archive of one file of that name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    return packed.getvalue()


def test_an_artefact_is_unpacked_for_its_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetch(monkeypatch, tmp_path, archive_of("code/model"))
    assert (tmp_path / "model" / "code" / "model").read_bytes() == b"abc"


@pytest.mark.parametrize("archive", [b"not gzip", archive_of("../../escaped")])
def test_an_artefact_that_is_none_or_leaves_its_folder_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, archive: bytes
) -> None:
    with pytest.raises(DataError, match=r"not a model\.tar\.gz"):
        fetch(monkeypatch, tmp_path, archive)
