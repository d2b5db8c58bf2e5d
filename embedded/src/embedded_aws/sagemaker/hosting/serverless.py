"""The environments that a serverless variant runs its invocations in.

There is a limited number of them; they start cold, stay warm for a while and go when idle.
Source: developer guide, "Deploy models with Amazon SageMaker Serverless Inference" (concurrency,
cold starts, provisioned concurrency).

``SAGEMAKER_COLD_START_SECONDS`` (0 by default, which is off)
    How long an environment takes to start.
``SAGEMAKER_SERVERLESS_IDLE_SECONDS`` (300 by default; how long AWS waits is not documented)
    How long an idle environment is kept, in time that ``SAGEMAKER_TIME_SCALE`` shortens.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from embedded_aws.aws.clock import scaled
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document
from embedded_aws.sagemaker.hosting import metrics as endpoint_metrics

COLD_START_SECONDS = float(os.environ.get("SAGEMAKER_COLD_START_SECONDS") or 0)
IDLE_SECONDS = float(os.environ.get("SAGEMAKER_SERVERLESS_IDLE_SECONDS") or 300)
# Source: developer guide, "Invoke a serverless endpoint".
TIMEOUT_SECONDS = 60.0

Key = tuple[str, str, str, str]
"""Account, region, endpoint, variant."""


@dataclass
class Environment:
    """A container: when it is ready, when it was last used, and whether a request is in it."""

    ready_at: float
    used_at: float
    busy: bool = False


environments: dict[Key, list[Environment]] = defaultdict(list)
lock = threading.Lock()


@contextmanager
def environment(scope: Scope, endpoint: Document, variant: Document) -> Iterator[None]:
    """Hold an environment of the variant for one invocation, waiting for it to start.

    Raises ServiceError: ``ThrottlingException`` when all that the variant may have are busy,
    ``ModelNotReadyException`` when none is ready in time.
    """
    name = endpoint["EndpointName"]
    key = (scope.account, scope.region, name, variant["VariantName"])
    config = variant["CurrentServerlessConfig"]
    with lock:
        held = acquire(environments[key], config, time.monotonic())
        in_flight = sum(item.busy for item in environments[key])
    try:
        for metric, value, unit in concurrency_metrics(config, in_flight):
            endpoint_metrics.emit(scope, name, variant, metric, value, unit)
        setup = wait_until_ready(held)
        if setup:
            endpoint_metrics.emit(
                scope, name, variant, "ModelSetupTime", setup * 1e6, "Microseconds"
            )
        yield
    finally:
        with lock:
            held.busy = False
            held.used_at = time.monotonic()


def concurrency_metrics(config: Document, in_flight: int) -> Iterator[tuple[str, float, str]]:
    """Yield what an invocation tells of its variant's concurrency: metric, value and unit.

    Source: developer guide, "Alarms and logs for tracking metrics from serverless endpoints".
    """
    yield "ServerlessConcurrentExecutionsUtilization", in_flight / config["MaxConcurrency"], "None"
    provisioned = config.get("ProvisionedConcurrency")
    if provisioned:
        prefix = "ServerlessProvisionedConcurrency"
        yield f"{prefix}Executions", in_flight, "Count"
        yield f"{prefix}Utilization", in_flight / provisioned, "None"
        spills = in_flight > provisioned
        yield f"{prefix}{'SpilloverInvocations' if spills else 'Invocations'}", 1, "Count"


def acquire(kept: list[Environment], config: Document, now: float) -> Environment:
    """Take the environment that is ready first, a new one if all are busy.

    ``kept`` loses those that have been idle for too long; as many as are provisioned never go,
    and are ready from the start.
    """
    provisioned = config.get("ProvisionedConcurrency", 0)
    kept.sort(key=lambda item: item.used_at, reverse=True)
    kept[:] = [
        item
        for number, item in enumerate(kept)
        if item.busy or number < provisioned or now - item.used_at < scaled(IDLE_SECONDS)
    ]
    free = [item for item in kept if not item.busy]
    if free:
        held = min(free, key=lambda item: item.ready_at)
    elif len(kept) < config["MaxConcurrency"]:
        start = 0.0 if len(kept) < provisioned else COLD_START_SECONDS
        held = Environment(ready_at=now + start, used_at=now)
        kept.append(held)
    else:
        # Source: API reference, "Common Error Types".
        raise ServiceError("ThrottlingException", "Rate exceeded", 400)
    held.busy = True
    return held


def wait_until_ready(held: Environment) -> float:
    """Wait for an environment to start, and return the seconds that were waited."""
    waited = held.ready_at - time.monotonic()
    if waited <= 0:
        return 0.0
    limit = scaled(TIMEOUT_SECONDS)
    time.sleep(min(waited, limit))
    if waited > limit:
        raise ServiceError(
            "ModelNotReadyException",
            "The model is not ready for inference: the serverless endpoint's resources are still "
            "being provisioned. Wait and try your request again.",
            429,
        )
    return waited


def forget(scope: Scope, endpoint: str) -> None:
    """Stop all environments of an endpoint."""
    with lock:
        for key in list(environments):
            if key[:3] == (scope.account, scope.region, endpoint):
                del environments[key]
