"""Programs of other clients, each with the Python that its packages are installed for."""

import functools
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded.tests.helpers.iris_jobs import ROLE, Workshop, open_workshop
from embedded_aws.testing import ACCOUNT, REGION, EmbeddedAws

ROOT = Path(__file__).parents[3]
PROGRAMS = Path(__file__).parent / "programs"
SECONDS = 240


@dataclass(frozen=True)
class Clients:
    """What a client of the embedded AWS finds around it."""

    aws: EmbeddedAws
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Credentials, region and the one switch, ``AWS_ENDPOINT_URL``; nothing of the user's."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "AWS_ENDPOINT_URL": self.aws.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # The SDKs would report their use to a bucket of AWS's.
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(PROGRAMS / "sdk-defaults.yaml"),
            "NO_PROXY": "127.0.0.1",
        }

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a client's program."""
        return subprocess.Popen(
            command,
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def python_of(environment: str) -> str:
    """The Python of a virtual environment beside the project's; skips where there is none."""
    python = ROOT / environment / "bin/python"
    if not python.exists():
        pytest.skip(f"no {environment}: make test sets it up")
    return str(python)


@pytest.fixture(scope="session")
def clients(embedded_aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return Clients(embedded_aws, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def client_bucket(embedded_aws: EmbeddedAws) -> Workshop:
    """A bucket with the introduction's split, and rows to transform."""
    workshop = open_workshop(embedded_aws)
    workshop.put("rows/rows.csv", b"5.1,3.5,1.4,0.2\n6.5,3.0,5.5,2.0\n")
    return workshop


@pytest.fixture(scope="session")
def results_of(clients: Clients, client_bucket: Workshop) -> Iterator[Callable[[str], Any]]:
    """What the SDKs' programs gave: as they mostly wait, they run side by side."""
    arguments = [client_bucket.bucket, ROLE]
    commands = {
        "sdk_v2.json": [python_of(".venv-sdk-v2"), str(PROGRAMS / "sdk_v2.py"), *arguments],
        "sdk_v3.json": [python_of(".venv-sdk"), str(PROGRAMS / "sdk_v3.py"), *arguments],
    }
    running = {
        name: clients.start([*command, str(clients.home / name)])
        for name, command in commands.items()
    }

    @functools.cache
    def results(name: str) -> Any:
        output, errors = running[name].communicate(timeout=SECONDS)
        # SDK 2 has tracebacks printed to standard output.
        assert running[name].returncode == 0, f"{output[-4000:]}\n{errors[-4000:]}"
        return json.loads((clients.home / name).read_text())

    try:
        yield results
    finally:
        for process in running.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="session", autouse=True)
def role_of_the_sdks(embedded_aws: EmbeddedAws) -> None:
    """The role that the programs name; nothing is enforced here, but it has to be there."""
    assume = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    assert ROLE.startswith(f"arn:aws:iam::{ACCOUNT}:role/")
    embedded_aws.client("iam").create_role(
        RoleName=ROLE.rpartition("/")[2], AssumeRolePolicyDocument=json.dumps(assume)
    )
