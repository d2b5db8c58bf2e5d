"""One embedded AWS for all integration tests of a session."""

from collections.abc import Iterator

import pytest

from tests.embedded_aws import EmbeddedAws, running_embedded_aws


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """A running embedded AWS with nothing in it but what other tests of the session left."""
    with running_embedded_aws(tmp_path_factory.mktemp("embedded-aws")) as aws:
        yield aws
