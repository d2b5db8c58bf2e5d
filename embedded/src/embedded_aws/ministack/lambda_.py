"""AWS Lambda: invocations outlive updates; logs go where the role allows, and their metrics too."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc

from embedded_aws.aws.permissions import Need
from embedded_aws.ministack.authorization import current_scope, role_denial
from embedded_aws.ministack.cloudwatch import publish_metric
from embedded_aws.ministack.patch import Function, patch


@patch(
    lambda_runtime,
    "kill_workers",
    fixes="updating a function kills its running invocations",
    source='Lambda developer guide, "Lambda function states": while a function is updated, it runs '
    "with its previous code and configuration",
)
def kill_idle_workers(original: Function, workers: Iterable[Any]) -> None:
    """Let an invocation go on to its end."""

    def kill_once_idle(worker: Any) -> None:
        deadline = time.monotonic() + worker.config.get("Timeout", 3)
        while worker.in_use and time.monotonic() < deadline:
            time.sleep(0.05)
        with worker._lock:
            original([worker])

    idle = []
    for worker in workers:
        # Leased for longer than its lock is held, or used without being leased.
        if worker.in_use or worker._lock.locked():
            threading.Thread(target=kill_once_idle, args=(worker,), daemon=True).start()
        else:
            idle.append(worker)
    original(idle)


@patch(
    lambda_svc,
    "_emit_lambda_logs",
    fixes="the metrics that a function logs are no metrics",
    source='CloudWatch user guide, "Specification: Embedded metric format"',
)
def emit_metrics(
    original: Function, func: Any, request_id: str, log_text: str, *args: Any, **kwargs: Any
) -> None:
    """Publish what a function logs in the embedded metric format."""
    original(func, request_id, log_text, *args, **kwargs)
    scope = current_scope()
    for line in (log_text or "").splitlines():
        # Most lines are none: they aren't worth parsing.
        if '"CloudWatchMetrics"' in line:
            for metric in embedded_metrics(line):
                publish_metric(scope, *metric)


def embedded_metrics(line: str) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """Yield the metrics in a line, with namespace, name, value, unit and dimensions of each."""
    try:
        logged = json.loads(line)
        for directive in logged["_aws"]["CloudWatchMetrics"]:
            for names in directive.get("Dimensions") or [[]]:
                dimensions = {name: str(logged[name]) for name in names}
                for metric in directive["Metrics"]:
                    values = logged[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        unit = metric.get("Unit", "None")
                        yield directive["Namespace"], metric["Name"], float(value), unit, dimensions
    # What breaks the specification is a line of a log and no more.
    except (ValueError, LookupError, TypeError):
        return


@patch(
    lambda_svc,
    "_emit_lambda_logs",
    fixes="Lambda logs without asking the function's role",
    source='Lambda developer guide, "Execution role"',
    auth=True,
)
def emit_logs(original: Function, func: Any, *args: Any, **kwargs: Any) -> None:
    """Log as far as the function's role allows."""
    config = func.get("config") or func
    name = config.get("FunctionName", "")
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
    place = f"{get_region()}:{get_account_id()}"
    stream = f"arn:aws:logs:{place}:log-group:{group}:log-stream:x"
    wanted = [Need(action, stream) for action in ("logs:CreateLogStream", "logs:PutLogEvents")]
    role = config.get("Role", "")
    if all(role_denial(role, name, need) is None for need in wanted):
        original(func, *args, **kwargs)
