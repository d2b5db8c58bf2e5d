"""Environments of serverless variants: limited, cold at first, warm for a while."""

import time
from typing import Any

import pytest

from local.sagemaker import clock, platform, serverless
from local.sagemaker.errors import ServiceError
from local.sagemaker.platform import Scope

SCOPE = Scope("000000000000", "us-east-1")
ENDPOINT = {"EndpointName": "iris"}


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the metrics that are published; no environment is left from other tests."""
    names: list[str] = []
    monkeypatch.setattr(platform, "publish_metric", lambda _, __, name, *___: names.append(name))
    serverless.environments.clear()
    return names


def variant(concurrency: int = 1, **changes: int) -> dict[str, Any]:
    """A serverless variant."""
    config = {"MemorySizeInMB": 1024, "MaxConcurrency": concurrency, **changes}
    return {"VariantName": "AllTraffic", "CurrentServerlessConfig": config}


def invoke(of: dict[str, Any]) -> float:
    """Invoke once, and return how long it took to get an environment."""
    started = time.monotonic()
    with serverless.environment(SCOPE, ENDPOINT, of):
        return time.monotonic() - started


def test_no_more_than_the_greatest_concurrency_run_at_once(metrics: list[str]) -> None:
    with serverless.environment(SCOPE, ENDPOINT, variant(2)):
        assert invoke(variant(2)) < 1
        with (
            serverless.environment(SCOPE, ENDPOINT, variant(2)),
            pytest.raises(ServiceError, match="Rate exceeded") as refused,
        ):
            invoke(variant(2))
    assert refused.value.code == "ThrottlingException"
    assert invoke(variant(2)) < 1


def test_without_a_cold_start_nobody_waits(metrics: list[str]) -> None:
    assert invoke(variant()) < 0.05
    assert "ModelSetupTime" not in metrics


def test_only_the_first_request_waits_for_a_cold_start(
    metrics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COLD_START_SECONDS", 0.1)
    assert invoke(variant()) >= 0.1
    assert invoke(variant()) < 0.1
    assert metrics.count("ModelSetupTime") == 1


def test_an_environment_that_was_idle_for_too_long_is_cold_again(
    metrics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COLD_START_SECONDS", 0.1)
    monkeypatch.setattr(serverless, "IDLE_SECONDS", 0.0)
    assert invoke(variant()) >= 0.1
    assert invoke(variant()) >= 0.1


def test_provisioned_concurrency_is_always_warm(
    metrics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COLD_START_SECONDS", 0.1)
    warm = variant(2, ProvisionedConcurrency=1)
    assert invoke(warm) < 0.1
    with serverless.environment(SCOPE, ENDPOINT, warm):
        assert invoke(warm) >= 0.1
    assert "ServerlessProvisionedConcurrencyUtilization" in metrics


def test_a_start_that_takes_longer_than_a_request_may_is_told_and_goes_on(
    metrics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COLD_START_SECONDS", 0.25)
    monkeypatch.setattr(clock, "SCALE", 0.1 / serverless.TIMEOUT_SECONDS)
    refusals = []
    for _ in range(10):
        try:
            invoke(variant())
            break
        except ServiceError as error:
            refusals.append((error.code, error.status))
    assert 1 <= len(refusals) < 10
    assert set(refusals) == {("ModelNotReadyException", 429)}
