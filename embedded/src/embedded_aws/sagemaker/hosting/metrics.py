"""CloudWatch metrics of endpoints, in the namespace ``AWS/SageMaker``.

Source: developer guide, "Amazon SageMaker AI metrics in Amazon CloudWatch" (endpoint invocation
metrics), "Monitor a serverless endpoint" and "Monitor asynchronous endpoint"; names, units and
dimensions as listed there.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from embedded_aws.aws import platform
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document

NAMESPACE = "AWS/SageMaker"

under_way: Counter[tuple[str, str, str, str]] = Counter()
"""How many requests each real-time variant is answering, by account, region, endpoint, variant."""
lock = threading.Lock()


@contextmanager
def concurrent_request(scope: Scope, endpoint: str, variant: Document) -> Iterator[None]:
    """Count a request among those that a real-time variant answers at a time.

    There is a copy of the model on each instance.
    """
    key = (scope.account, scope.region, endpoint, variant["VariantName"])
    with lock:
        under_way[key] += 1
        count = under_way[key]
    copies = max(1, variant["CurrentInstanceCount"])
    emit(scope, endpoint, variant, "ConcurrentRequestsPerModel", count / copies)
    try:
        yield
    finally:
        with lock:
            under_way[key] -= 1
            if not under_way[key]:
                del under_way[key]


def invocation(
    scope: Scope,
    endpoint: str,
    variant: Document,
    status: int,
    model_seconds: float,
    overhead_seconds: float,
) -> None:
    """One answered InvokeEndpoint; ``status`` is what the container answered."""
    serverless = bool(variant["CurrentServerlessConfig"])
    errors(scope, endpoint, variant, status, model_seconds)
    emit(scope, endpoint, variant, "Invocations", 1)
    emit(scope, endpoint, variant, "OverheadLatency", overhead_seconds * 1e6, "Microseconds")
    if not serverless:
        # Serverless endpoints have neither, says the exhaustive list of what they have.
        failed = float(not 200 <= status < 300)
        emit(scope, endpoint, variant, "InvocationModelErrors", failed)
        share = 1 / max(1, variant["CurrentInstanceCount"])
        emit(scope, endpoint, variant, "InvocationsPerInstance", share)


def errors(
    scope: Scope, endpoint: str, variant: Document, status: int, model_seconds: float
) -> None:
    """What real-time and asynchronous endpoints both measure of a container's answer."""
    emit(scope, endpoint, variant, "Invocation4XXErrors", float(400 <= status < 500))
    emit(scope, endpoint, variant, "Invocation5XXErrors", float(status >= 500))
    emit(scope, endpoint, variant, "ModelLatency", model_seconds * 1e6, "Microseconds")


def emit(
    scope: Scope, endpoint: str, variant: Document, name: str, value: float, unit: str = "None"
) -> None:
    """Publish a metric of a variant."""
    dimensions = {"EndpointName": endpoint, "VariantName": variant["VariantName"]}
    platform.publish_metric(scope, NAMESPACE, name, value, unit, dimensions)


def emit_of_endpoint(scope: Scope, endpoint: str, name: str, value: float, unit: str) -> None:
    """Publish a metric of an endpoint as a whole."""
    platform.publish_metric(scope, NAMESPACE, name, value, unit, {"EndpointName": endpoint})
