"""AWS Lambda: invocations outlive updates, and logs go where the role allows."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch_logs, lambda_svc

from embedded_aws.aws.permissions import Need
from embedded_aws.ministack.authorization import is_on, role_denial
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


KEPT_STREAMS = 1000
"""Of a function's log. MiniStack makes one for each invocation, and keeps it in memory."""

streams_lock = threading.Lock()


@patch(
    lambda_svc,
    "_emit_lambda_logs",
    fixes="Lambda logs without asking the function's role",
    source='Lambda developer guide, "Execution role"',
)
def emit_logs(original: Function, func: Any, *args: Any, **kwargs: Any) -> None:
    """Log as far as the function's role allows, and forget the oldest invocations."""
    config = func.get("config") or func
    name = config.get("FunctionName", "")
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
    if not is_on() or may_log(config, name, group):
        original(func, *args, **kwargs)
        forget_oldest_streams(group)


def may_log(config: Mapping[str, Any], name: str, group: str) -> bool:
    """Whether a function's role lets it write to a log group."""
    place = f"{get_region()}:{get_account_id()}"
    stream = f"arn:aws:logs:{place}:log-group:{group}:log-stream:x"
    wanted = [Need(action, stream) for action in ("logs:CreateLogStream", "logs:PutLogEvents")]
    role = config.get("Role", "")
    return all(role_denial(role, name, need) is None for need in wanted)


def forget_oldest_streams(group: str) -> None:
    """Keep the streams of the latest invocations only."""
    streams = (cloudwatch_logs._log_groups.get(group) or {}).get("streams", {})
    with streams_lock:
        for stream in list(streams)[: max(0, len(streams) - KEPT_STREAMS)]:
            # Others than Lambda's are kept.
            if "[" in stream:
                del streams[stream]
