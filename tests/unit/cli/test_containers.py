"""How containers are let in, as far as it needs no container."""

import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import containers, relay
from cli.errors import Problem


def test_without_an_engine_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(Problem, match=r"Docker is not running|This needs Docker"):
        containers.check_engine()


class Shout(socketserver.StreamRequestHandler):
    """Answers in capitals when it has read to the end."""

    def handle(self) -> None:
        self.wfile.write(self.rfile.read().upper())


@pytest.fixture
def server() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Shout) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_relay_hands_a_connection_on_both_ways_and_ends_with_its_input(server):
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "socket")
        command = [sys.executable, relay.__file__, "from-file", file, str(server)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline().strip() == file
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(file)
                client.sendall(b"quietly " * 100_000)
                client.shutdown(socket.SHUT_WR)
                with client.makefile("rb") as answer:
                    assert answer.read() == b"QUIETLY " * 100_000
            process.communicate()
        assert process.returncode == 0
