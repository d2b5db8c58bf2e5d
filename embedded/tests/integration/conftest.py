"""What the integration tests start from."""

import pytest

from embedded.tests.helpers.iris_jobs import Workshop, open_workshop
from embedded_aws.testing import EmbeddedAws


@pytest.fixture(scope="module")
def workshop(embedded_aws: EmbeddedAws) -> Workshop:
    """A bucket of the module's own with the introduction's split of iris."""
    return open_workshop(embedded_aws)
