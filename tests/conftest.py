"""What all tests of a session share: an embedded AWS that is empty, and one with a stack."""

from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from embedded_aws.testing import EmbeddedAws, free_port, running_embedded_aws
from tests.deployed import Deployed

# What AWS documents as a minute takes 0.3 s.
QUICK = {"SAGEMAKER_TIME_SCALE": "0.005"}


class StackBesideTheRest(LoadScopeScheduling):
    """Two groups of tests for ``-n 2``, each of which shares what it sets up.

    What takes a deployed stack, which waits a lot, runs beside all the rest.
    """

    def _split_scope(self, nodeid: str) -> str:
        needs_stack = nodeid.startswith(("tests/e2e/", "tests/sam_local/"))
        return "stack" if needs_stack else "rest"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> StackBesideTheRest:
    """Distribute tests so."""
    return StackBesideTheRest(config, log)


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
