"""The algorithm in a process of its own, as a container would be; none outlives the server."""

import atexit
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]
"""The folder of `embedded_aws`: a customer's environment says nothing of it."""

running: set[subprocess.Popen[bytes]] = set()


@atexit.register
def kill_all() -> None:
    """End at once what still runs when the server ends in good order."""
    for process in list(running):
        process.kill()


def start(
    arguments: list[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start ``python -m embedded_aws.knn`` with arguments; what it prints comes through its stdout.

    ``environment`` is what the customer wants; the process finds its way by our own.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "embedded_aws.knn", *arguments, "--until-eof"],
        cwd=folder,
        env={
            **environment,
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(SOURCES),
            "TMPDIR": str(folder),
        },
        # However the server ends, this pipe ends with it, and the process with the pipe.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C in a terminal is for the server, which ends its processes itself.
        start_new_session=True,
    )
    running.add(process)
    return process


def end(process: subprocess.Popen[bytes], grace: float) -> None:
    """End a process: SIGTERM, and by force if it takes longer than ``grace`` seconds."""
    try:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        if process.stdin:
            process.stdin.close()
        running.discard(process)
