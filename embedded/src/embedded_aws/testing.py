"""An embedded AWS of one's own for a test session: started on a free port, stopped by its pid."""

import functools
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 60
STOP_SECONDS = 30


def isolate_environment() -> None:
    """Remove what says whose AWS this machine uses, and through which proxy, from the environment.

    To be called before modules are imported that make clients.
    """
    settings = ("AWS_", "SFN_", "SAGEMAKER_", "GATEWAY_PORT")
    for name in [name for name in os.environ if name.startswith(settings)]:
        del os.environ[name]
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, ("127.0.0.1,localhost", os.environ.get(name))))


@dataclass(frozen=True)
class EmbeddedAws:
    """A running embedded AWS."""

    endpoint_url: str
    state_dir: Path
    log_file: Path
    process: subprocess.Popen[bytes]

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of it, with test credentials in us-east-1."""
        if options:
            return new_client(service, self.endpoint_url, **options)
        return default_client(service, self.endpoint_url)


def new_client(service: str, endpoint_url: str, **options: Any) -> Any:
    """Make a boto3 client."""
    options = {
        "region_name": REGION,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "config": Config(retries={"total_max_attempts": 1}),
        **options,
    }
    session: Any = boto3.session.Session()
    return session.client(service, endpoint_url=endpoint_url, **options)


@functools.cache
def default_client(service: str, endpoint_url: str) -> Any:
    """The one client of a service with default options: making one takes 50 ms."""
    return new_client(service, endpoint_url)


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(endpoint_url: str) -> bool:
    """Whether the server answers."""
    try:
        with urllib.request.urlopen(f"{endpoint_url}/_ministack/health", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def running_embedded_aws(
    state_dir: Path, environment: Mapping[str, str] | None = None, *, module: str = "embedded_aws"
) -> Iterator[EmbeddedAws]:
    """Run ``python -m embedded_aws`` with its state in a folder; stop it, state saved."""
    port = free_port()
    endpoint_url = f"http://127.0.0.1:{port}"
    state_dir.mkdir(parents=True, exist_ok=True)
    log_file = state_dir / "server.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env={
                **os.environ,
                "GATEWAY_PORT": str(port),
                "PERSIST_STATE": "1",
                "STATE_DIR": str(state_dir),
                **(environment or {}),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not healthy(endpoint_url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"the embedded AWS did not start:\n{log_file.read_text()[-4000:]}"
                )
            time.sleep(0.05)
        yield EmbeddedAws(endpoint_url, state_dir, log_file, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
