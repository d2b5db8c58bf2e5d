"""AWS Lambda: invocations outlive updates, and logs go where the role allows."""

import threading
import time
from collections.abc import Iterable
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc

from embedded_aws.aws.permissions import Need
from embedded_aws.ministack.authorization import role_denial
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
