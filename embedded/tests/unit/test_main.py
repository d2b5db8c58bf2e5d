"""How the server is set up before it starts."""

import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from embedded_aws.__main__ import configure_environment, read_options, refuse_foreign_binds


@pytest.mark.parametrize("address", ["0.0.0.0", "", "192.168.0.1", "::"])
def test_no_socket_may_listen_beyond_this_machine(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(PermissionError, match=r"127\.0\.0\.1 only"):
        refuse_foreign_binds("socket.bind", (sock, (address, 8883)))


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_a_socket_may_listen_on_this_machine(address: str) -> None:
    with socket.socket() as sock:
        refuse_foreign_binds("socket.bind", (sock, (address, 4566)))


def test_keeping_state_keeps_the_objects_of_s3_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("S3_PERSIST", "S3_DATA_DIR", "AWS_ENDPOINT_URL", "BIND_HOST"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name in ("IOT_MTLS_ENABLED", "SFTP_ENABLED", "DOCKER_HOST", "LAMBDA_EXECUTOR"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("GATEWAY_PORT", "4567")
    monkeypatch.setenv("PERSIST_STATE", "1")
    monkeypatch.setenv("STATE_DIR", "/somewhere/state")
    assert configure_environment() == 4567
    assert os.environ["S3_PERSIST"] == "1"
    assert os.environ["S3_DATA_DIR"] == "/somewhere/state/s3"
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4567"
    assert os.environ["BIND_HOST"] == "127.0.0.1"


def test_an_option_stands_for_what_the_environment_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("GATEWAY_PORT", "STATE_DIR", "PERSIST_STATE", "AUTH", "SAGEMAKER_TIME_SCALE")
    for name in names:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    read_options([])
    assert [name for name in names if name in os.environ] == []
    read_options(["--port", "4567", "--state-dir", "state", "--auth", "--time-scale", "0.01"])
    assert [os.environ[name] for name in names] == ["4567", "state", "1", "true", "0.01"]


def test_the_command_line_explains_itself() -> None:
    command = [sys.executable, "-m", "embedded_aws", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(option in told for option in ("--port", "--state-dir", "--auth", "--time-scale"))


def test_a_wheel_has_all_packages_and_says_that_they_are_typed(tmp_path: Path) -> None:
    project = Path(__file__).parents[2]
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(project)], check=True)
    (wheel,) = tmp_path.glob("embedded_aws-*.whl")
    source = project / "src"
    expected = {str(path.relative_to(source)) for path in source.rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        assert {*expected, "embedded_aws/py.typed"} <= set(archive.namelist())
