"""What the integration tests start from."""

import pytest

from embedded_aws.testing import EmbeddedAws
from tests.integration.pipeline import Pipeline, open_pipeline


@pytest.fixture(scope="session")
def pipeline(embedded_aws: EmbeddedAws) -> Pipeline:
    """What the functions find around them."""
    return open_pipeline(embedded_aws)
