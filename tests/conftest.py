"""What all tests of a session share: an embedded AWS that is empty, and one with a stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Deployed, free_port
from tests.embedded_aws import EmbeddedAws, running_embedded_aws

# What AWS documents as a minute takes 0.3 s.
QUICK = {"SAGEMAKER_TIME_SCALE": "0.005"}


# Before xdist looks at the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes a deployed stack, which waits a lot, run beside all the rest.

    Each of the two groups shares what it sets up: ``-n 2 --dist loadgroup``.
    """
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        group = "stack" if folder in ("e2e", "sam_local") else "rest"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """A running embedded AWS with nothing in it but what other tests of the session left."""
    with running_embedded_aws(tmp_path_factory.mktemp("embedded-aws"), QUICK) as aws:
        yield aws


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The application with its defaults, deployed by the command line beside what its user has."""
    stack = Deployed(tmp_path_factory.mktemp("local"), free_port())
    try:
        result = stack.cli("up")
        assert result.returncode == 0, result.stdout + result.stderr
        yield stack
    finally:
        stack.cli("clean")
