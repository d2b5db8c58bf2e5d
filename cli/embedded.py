"""The process of the embedded AWS: started once, found again, stopped by its own id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from cli.errors import Problem
from cli.settings import ROOT, Local

START_SECONDS = 60
STOP_SECONDS = 60
WAIT_SCALE = "0.1"
"""Waits of the state machine are that much shorter here: endpoints take a second, not minutes."""


def start(local: Local) -> bool:
    """Start the embedded AWS; return False if it is running already.

    Raises
    ------
    Problem
        Something else listens on the port, or the process ends before it answers.
    """
    if running(local) is not None:
        _wait_until_healthy(local)
        return False
    if _is_taken(local.port):
        raise Problem(
            f"Port {local.port} is in use by another program. Stop that one, or choose another "
            f"port: PORT={local.port + 1} make run"
        )
    local.state.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(local.port),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(local.state),
        "SFN_WAIT_SCALE": WAIT_SCALE,
        # So that its log can be followed.
        "PYTHONUNBUFFERED": "1",
    }
    with local.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    local.pid_file.write_text(str(process.pid))
    _wait_until_healthy(local, process)
    return True


def stop(local: Local) -> bool:
    """Stop the embedded AWS, which saves its state; return False if it wasn't running."""
    pid = running(local)
    if pid is None:
        local.pid_file.unlink(missing_ok=True)
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running(local) is not None:
        if time.monotonic() > deadline:
            raise Problem(f"The embedded AWS, process {pid}, does not stop: see {local.log}")
        time.sleep(0.1)
    local.pid_file.unlink(missing_ok=True)
    return True


def remove_state(local: Local) -> None:
    """Forget everything: the next start is the first."""
    shutil.rmtree(local.folder, ignore_errors=True)


def running(local: Local) -> int | None:
    """Return the id of the process in the pid file, if it is ours and alive."""
    try:
        pid = int(local.pid_file.read_text())
        state, command = subprocess.run(
            ["ps", "-o", "stat=", "-o", "args=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split(maxsplit=1)
    except (FileNotFoundError, ValueError, subprocess.CalledProcessError):
        return None
    # A number may have gone to another program since; a zombie has ended.
    return pid if "-m local" in command and not state.startswith("Z") else None


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _wait_until_healthy(local: Local, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_healthy(local):
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            raise Problem(
                f"The embedded AWS {'ended' if ended else 'does not answer'}. "
                f"The end of its log, {local.log}:\n{tail(local)}"
            )
        time.sleep(0.1)


def _is_healthy(local: Local) -> bool:
    try:
        with urllib.request.urlopen(f"{local.endpoint_url}/_ministack/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def tail(local: Local, lines: int = 20) -> str:
    """Return the last lines of the log."""
    return "\n".join(local.log.read_text(errors="replace").splitlines()[-lines:])
