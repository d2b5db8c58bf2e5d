"""How the server is set up before it starts."""

import socket

import pytest

from embedded_aws.__main__ import configure_environment, refuse_foreign_binds


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
    import os

    assert configure_environment() == 4567
    assert os.environ["S3_PERSIST"] == "1"
    assert os.environ["S3_DATA_DIR"] == "/somewhere/state/s3"
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4567"
    assert os.environ["BIND_HOST"] == "127.0.0.1"
