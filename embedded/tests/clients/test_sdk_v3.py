"""The SageMaker SDK, version 3: its resource classes."""

from typing import Any

import pytest


@pytest.fixture(scope="module")
def found(results_of) -> dict[str, Any]:
    return results_of("sdk_v3.json")


def test_a_training_job_is_created_waited_for_and_listed(found):
    assert found["status"] == "Completed"
    assert found["metrics"]["test:accuracy"] == pytest.approx(0.9736842, abs=1e-6)
    assert len(found["listed"]) == 1


def test_an_endpoint_is_created_and_invoked(found):
    assert found["answer"] == {"predictions": [{"predicted_label": 0.0}]}


def test_a_transform_job_completes(found):
    assert found["transform"] == "Completed"


def test_what_is_deleted_is_gone(found):
    assert found["left"] == []
