"""What the integration tests start from."""

import pytest

from tests.embedded_aws import EmbeddedAws
from tests.integration.iris_jobs import Workshop, open_workshop
from tests.integration.pipeline import Pipeline, open_pipeline


@pytest.fixture(scope="module")
def workshop(embedded_aws: EmbeddedAws) -> Workshop:
    """A bucket of the module's own with the introduction's split of iris."""
    return open_workshop(embedded_aws)


@pytest.fixture(scope="session")
def pipeline(embedded_aws: EmbeddedAws) -> Pipeline:
    """What the functions find around them."""
    return open_pipeline(embedded_aws)
