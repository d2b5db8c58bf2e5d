"""The process of the embedded AWS: started once, found again, stopped by its own id."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.errors import Problem
from cli.settings import DEFAULT_PORT, ROOT, Local, checkout, chosen_port

START_SECONDS = 60
STOP_SECONDS = 60
ORPHAN_SECONDS = 10
"""Longer than the embedded AWS takes to notice that its folder was deleted, and to end."""

DELETED = "deleted-"
"""How the names of folders begin whose deletion may have been interrupted."""

WAIT_SCALE = "0.02"
"""Waits of the state machine and before Lambda's retries are that much shorter here: endpoints take
a second, not minutes."""


def find(folder: Path, *, any_port: bool = False) -> Local:
    """Return the embedded AWS of a folder, on its port; with `any_port` whatever that is.

    Raises
    ------
    Problem
        The environment asks for another port than the one that it runs on.
    """
    last = _read(folder)
    port = None if any_port else chosen_port()
    local = Local(folder, port or (last["port"] if last else DEFAULT_PORT))
    if last and port not in (None, last["port"]) and running(local) is not None:
        raise Problem(
            f"The embedded AWS already runs on port {last['port']}. Leave out PORT={port}, or stop "
            "it first: make stop"
        )
    return local


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
    if is_taken(local.port):
        _wait_for_orphan(local)
    if is_taken(local.port):
        raise Problem(
            f"Another program uses port {local.port}. Stop it, or choose another port: "
            f"PORT={local.port + 1 if local.port < 65535 else 4567} make run"
        )
    checkout()
    shutil.rmtree(local.temporary, ignore_errors=True)
    for folder in local.folder.glob(f"{DELETED}*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (local.state, local.temporary):
        folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(local.port),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(local.state),
        "TMPDIR": str(local.temporary),
        "SFN_WAIT_SCALE": WAIT_SCALE,
        "LAMBDA_WAIT_SCALE": WAIT_SCALE,
        # So that its log can be followed.
        "PYTHONUNBUFFERED": "1",
    }
    with (
        local.process_file.open("a+") as record,
        local.log.open("wb") as log,
        uninterrupted(),
    ):
        # The process inherits the lock, which ends with it, however it ends.
        try:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Problem(
                "Another command is starting the embedded AWS. Try again in a moment: make run"
            ) from error
        process = subprocess.Popen(
            [sys.executable, "-m", "embedded_aws"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[record.fileno()],
        )
        record.truncate(0)
        json.dump({"pid": process.pid, "port": local.port}, record)
    _wait_until_healthy(local, process)
    return True


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off: a process that is started must be written down, or nobody can stop it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Whoever starts a script in the background asks for no Ctrl-C.
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _wait_for_orphan(local: Local) -> None:
    """Wait for an embedded AWS that is about to end, since its folder was deleted while it ran."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while _is_healthy(local) and time.monotonic() < deadline:
        time.sleep(0.1)
    while is_taken(local.port) and time.monotonic() < deadline:
        time.sleep(0.1)


def stop(local: Local) -> bool:
    """Stop the embedded AWS, which saves its state; return False if it wasn't running."""
    pid = running(local)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running(local) is not None:
        if time.monotonic() > deadline:
            raise Problem(
                f"The embedded AWS (process {pid}) does not stop. Its log, {local.log}, may say "
                f"why. End it: kill -9 {pid}"
            )
        time.sleep(0.1)
    shutil.rmtree(local.temporary, ignore_errors=True)
    return True


def remove_state(local: Local) -> None:
    """Forget everything: the next start is the first.

    The state goes out of the way first, so that half of it, if this is interrupted, isn't used.
    """
    with suppress(FileNotFoundError):
        local.state.rename(_half_deleted(local))
    shutil.rmtree(local.folder, ignore_errors=True)


def _half_deleted(local: Local) -> Path:
    return local.folder / f"{DELETED}{os.getpid()}"


def running(local: Local) -> int | None:
    """Return the id of the process that was started for the folder, if it lives."""
    last = _read(local.folder)
    if last is None:
        return None
    with local.process_file.open() as record:
        try:
            fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return last["pid"]
    return None


def _read(folder: Path) -> dict[str, int] | None:
    """Return process id and port of the last start."""
    try:
        last: dict[str, int] = json.loads(Local(folder, 0).process_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return last


def is_taken(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
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
                f"The embedded AWS {'stopped' if ended else 'does not answer'}. "
                f"The end of its log, {local.log}:\n{tail(local)}\nTry again: make run. If its "
                "state is damaged, begin anew: make clean"
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
