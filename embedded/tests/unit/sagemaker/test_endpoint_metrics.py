"""What endpoints measure of the requests that they answer."""

from typing import Any

import pytest

from embedded_aws.aws import platform
from embedded_aws.aws.platform import Scope
from embedded_aws.sagemaker.hosting import metrics as endpoint_metrics

SCOPE = Scope("000000000000", "us-east-1")


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """The metrics that are published, with their values."""
    found: list[tuple[str, float]] = []
    monkeypatch.setattr(
        platform, "publish_metric", lambda _, __, name, value, *___: found.append((name, value))
    )
    return found


def variant(**changes: Any) -> dict[str, Any]:
    """A real-time variant on two instances."""
    return {
        "VariantName": "a",
        "CurrentInstanceCount": 2,
        "CurrentServerlessConfig": None,
        **changes,
    }


def test_concurrent_requests_are_counted_for_each_copy_of_the_model(
    metrics: list[tuple[str, float]],
) -> None:
    with (
        endpoint_metrics.concurrent_request(SCOPE, "iris", variant()),
        endpoint_metrics.concurrent_request(SCOPE, "iris", variant()),
    ):
        pass
    with endpoint_metrics.concurrent_request(SCOPE, "iris", variant()):
        pass
    assert metrics == [("ConcurrentRequestsPerModel", value) for value in (0.5, 1, 0.5)]
    assert not endpoint_metrics.under_way


@pytest.mark.parametrize(("status", "errors"), [(200, 0), (400, 1), (500, 1), (0, 1)])
def test_whatever_is_no_2xx_is_a_models_error(
    metrics: list[tuple[str, float]], status: int, errors: int
) -> None:
    endpoint_metrics.invocation(SCOPE, "iris", variant(), status, 0.1, 0.1)
    assert ("InvocationModelErrors", errors) in metrics


def test_a_serverless_endpoint_has_only_the_metrics_that_are_listed_for_it(
    metrics: list[tuple[str, float]],
) -> None:
    serverless = variant(CurrentServerlessConfig={"MaxConcurrency": 1})
    endpoint_metrics.invocation(SCOPE, "iris", serverless, 500, 0.1, 0.1)
    assert {name for name, _ in metrics} == {
        "Invocations",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "ModelLatency",
        "OverheadLatency",
    }
