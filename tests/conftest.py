"""What all tests of a session share: an embedded AWS that is empty, and one with a stack."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from cli import deploy
from cli.settings import Local
from embedded_aws.testing import (
    EmbeddedAws,
    free_port,
    isolate_environment,
    running_embedded_aws,
)
from tests.deployed import Build, Deployed

ROOT = Path(__file__).parents[1]

isolate_environment()
for name in ("KNN_LOCAL_DIR", "PORT", "COLUMNS", "FORCE_COLOR"):
    os.environ.pop(name, None)

# What AWS documents as a minute takes 0.3 s.
QUICK = {"SAGEMAKER_TIME_SCALE": "0.005"}

# Each core has a worker. Threads of BLAS and OpenMP would only wait for one another, which they do
# by spinning; those of functions and training jobs that tests start as well.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARING = {
    # These deploy others besides, which takes as long as all the rest.
    "tests/e2e/test_options.py": "stacks of their own",
    "tests/e2e/test_run.py": "stacks of their own",
    "tests/e2e/test_update.py": "stacks of their own",
    "tests/e2e/": "a deployed stack",
    "tests/sam_local/": "a deployed stack",
    "tests/integration/": "an embedded AWS",
    "embedded/tests/integration/": "an embedded AWS of its own",
    "embedded/tests/clients/": "an embedded AWS of its own",
}
"""What tests of a file or folder set up once and share, so that one worker runs them all."""


def pytest_report_header() -> list[str]:
    """Say how long the tests take, and which of them can't run on this machine."""
    missing = []
    if not shutil.which("docker"):
        missing.append("those of sam local, which need Docker")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "chrome"))):
        missing.append("those of a browser, which need Chromium")
    if not (ROOT / ".venv-sdk/stamp").exists() or not (ROOT / ".venv-sdk-v2/stamp").exists():
        missing.append("those of the SageMaker SDKs, which make test installs")
    skipped = f"will be skipped: {'; '.join(missing)}" if missing else "nothing will be skipped"
    return [
        "all tests take about seventeen minutes on two cores, tests/unit one and a half",
        skipped,
    ]


class SharedSetUpTogether(LoadScopeScheduling):
    """Gives a worker all tests that share something, and other tests by the file.

    The longest come first, as pytest collects them, so that the rest fills up the other worker.
    """

    def _split_scope(self, nodeid: str) -> str:
        shared = (what for path, what in SHARING.items() if nodeid.startswith(path))
        return next(shared, nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedSetUpTogether:
    """Distribute tests so."""
    config.option.loadscopereorder = False
    return SharedSetUpTogether(config, log)


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """A running embedded AWS with nothing in it but what other tests of the session left."""
    with running_embedded_aws(tmp_path_factory.mktemp("embedded-aws"), QUICK) as aws:
        yield aws


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The application as it is built, from nothing, once for all stacks and workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "build"
    folder.mkdir(exist_ok=True)
    local = Local(folder, 0)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not deploy.is_built(local):
            deploy.build(local)
    return Build(folder)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory, build: Build) -> Iterator[Deployed]:
    """The application with its defaults, deployed by the command line beside what its user has."""
    stack = Deployed(tmp_path_factory.mktemp("local"), free_port())
    build.give(stack)
    try:
        result = stack.cli("up")
        assert result.returncode == 0, result.stdout + result.stderr
        yield stack
    finally:
        stack.cli("clean")
