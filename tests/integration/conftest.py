"""What the integration tests start from."""

import pytest

from tests.embedded_aws import EmbeddedAws
from tests.integration.iris_jobs import Workshop, open_workshop


@pytest.fixture(scope="module")
def workshop(embedded_aws: EmbeddedAws) -> Workshop:
    """A bucket of the module's own with the introduction's split of iris."""
    return open_workshop(embedded_aws)
