"""What all tests of a session share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from embedded_aws.testing import EmbeddedAws, isolate_environment, running_embedded_aws

isolate_environment()

# A deadline would measure how busy the machine is. (In CI hypothesis has a profile of its own.)
settings.register_profile("no deadline", deadline=None)
if settings.get_current_profile_name() == "default":
    settings.load_profile("no deadline")

# What AWS documents as a minute takes 0.3 s.
QUICK = {"SAGEMAKER_TIME_SCALE": "0.005"}


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """A running embedded AWS with nothing in it but what other tests of the session left."""
    with running_embedded_aws(tmp_path_factory.mktemp("embedded-aws"), QUICK) as aws:
        yield aws
