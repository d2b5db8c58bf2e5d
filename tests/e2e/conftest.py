"""Datasets that tests of several files ask, each dropped once."""

import pytest

from tests.deployed import Deployed, run_of_iris


@pytest.fixture(scope="session")
def async_run(deployed: Deployed) -> str:
    """The first run of the dataset "async", whose endpoint answers later."""
    return run_of_iris(deployed, "async")


@pytest.fixture(scope="session")
def realtime_run(deployed: Deployed) -> str:
    """The run of the dataset "realtime", whose endpoint answers at once."""
    return run_of_iris(deployed, "realtime")
