"""One embedded AWS for all tests of a session that call it from outside."""

from collections.abc import Iterator

import pytest

from tests.embedded_aws import EmbeddedAws, running_embedded_aws

# What AWS documents as a minute takes 0.3 s.
QUICK = {"SAGEMAKER_TIME_SCALE": "0.005"}


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """A running embedded AWS with nothing in it but what other tests of the session left."""
    with running_embedded_aws(tmp_path_factory.mktemp("embedded-aws"), QUICK) as aws:
        yield aws
