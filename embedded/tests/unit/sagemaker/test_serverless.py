"""Environments of serverless variants: limited, cold at first, warm for a while."""

from typing import Any

import pytest

from embedded_aws.aws import clock, platform
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope
from embedded_aws.sagemaker.hosting import serverless

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


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Stands in for ``time.monotonic``."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Stands in for ``time.sleep``."""
        self.now += seconds


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that environments go by."""
    clock = Clock()
    monkeypatch.setattr(serverless, "time", clock)
    return clock


def invoke(of: dict[str, Any], time: Clock) -> float:
    """Invoke once, and return how long it took to get an environment."""
    started = time.now
    with serverless.environment(SCOPE, ENDPOINT, of):
        return time.now - started


def test_no_more_than_the_greatest_concurrency_run_at_once(metrics: list[str], time: Clock) -> None:
    with serverless.environment(SCOPE, ENDPOINT, variant(2)):
        invoke(variant(2), time)
        with (
            serverless.environment(SCOPE, ENDPOINT, variant(2)),
            pytest.raises(ServiceError, match="Rate exceeded") as refused,
        ):
            invoke(variant(2), time)
    assert refused.value.code == "ThrottlingException"
    invoke(variant(2), time)


def test_without_a_cold_start_nobody_waits(metrics: list[str], time: Clock) -> None:
    assert invoke(variant(), time) == 0
    assert "ModelSetupTime" not in metrics


def test_only_the_first_request_waits_for_a_cold_start(
    metrics: list[str], time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COLD_START_SECONDS", 6.0)
    assert [invoke(variant(), time), invoke(variant(), time)] == [6, 0]
    assert metrics.count("ModelSetupTime") == 1


def test_an_environment_that_was_idle_for_too_long_is_cold_again(
    metrics: list[str], time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COLD_START_SECONDS", 6.0)
    assert invoke(variant(), time) == 6
    time.sleep(serverless.IDLE_SECONDS)
    assert invoke(variant(), time) == 6


def test_provisioned_concurrency_is_always_warm(
    metrics: list[str], time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COLD_START_SECONDS", 6.0)
    warm = variant(2, ProvisionedConcurrency=1)
    assert invoke(warm, time) == 0
    with serverless.environment(SCOPE, ENDPOINT, warm):
        assert invoke(warm, time) == 6


@pytest.mark.parametrize(
    ("provisioned", "in_flight", "expected"),
    [
        ({}, 1, {"ServerlessConcurrentExecutionsUtilization": 0.25}),
        (
            {"ProvisionedConcurrency": 2},
            2,
            {
                "ServerlessConcurrentExecutionsUtilization": 0.5,
                "ServerlessProvisionedConcurrencyExecutions": 2,
                "ServerlessProvisionedConcurrencyUtilization": 1,
                "ServerlessProvisionedConcurrencyInvocations": 1,
            },
        ),
        (
            {"ProvisionedConcurrency": 2},
            3,
            {
                "ServerlessConcurrentExecutionsUtilization": 0.75,
                "ServerlessProvisionedConcurrencyExecutions": 3,
                "ServerlessProvisionedConcurrencyUtilization": 1.5,
                "ServerlessProvisionedConcurrencySpilloverInvocations": 1,
            },
        ),
    ],
)
def test_an_invocation_tells_of_its_variants_concurrency(
    provisioned: dict[str, int], in_flight: int, expected: dict[str, float]
) -> None:
    config = {"MaxConcurrency": 4, **provisioned}
    told = serverless.concurrency_metrics(config, in_flight)
    assert {metric: value for metric, value, _ in told} == expected


def test_a_start_that_takes_longer_than_a_request_may_is_told_and_goes_on(
    metrics: list[str], time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serverless, "COLD_START_SECONDS", 2.5 * serverless.TIMEOUT_SECONDS)
    monkeypatch.setattr(clock, "SCALE", 1.0)
    refusals = []
    for _ in range(2):
        with pytest.raises(ServiceError) as refused:
            invoke(variant(), time)
        refusals.append((refused.value.code, refused.value.status))
    assert set(refusals) == {("ModelNotReadyException", 429)}
    assert invoke(variant(), time) == serverless.TIMEOUT_SECONDS / 2
