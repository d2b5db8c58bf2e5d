"""Datasets that tests of several files ask, each dropped once."""

import pytest

from tests.deployed import ROOT, Deployed


def run_of_iris(deployed: Deployed, kind: str) -> str:
    """Drop iris as a dataset that is named after its kind of endpoint, and return its run."""
    result = deployed.cli("settings", kind, "--set", f"endpoint_kind={kind}")
    assert result.returncode == 0, result.stderr
    result = deployed.cli("drop", str(ROOT / "data/iris.csv"), "--dataset", kind)
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = deployed.runs(kind)
    return str(run["run"])


@pytest.fixture(scope="session")
def async_run(deployed: Deployed) -> str:
    """The first run of the dataset "async", whose endpoint answers later."""
    return run_of_iris(deployed, "async")


@pytest.fixture(scope="session")
def realtime_run(deployed: Deployed) -> str:
    """The run of the dataset "realtime", whose endpoint answers at once."""
    return run_of_iris(deployed, "realtime")
