"""The embedded AWS with Step Functions telling what it does.

``python -m tests.integration.traced_server`` writes to the file that ``TRACE_FILE`` names, a JSON
document a line: each event of an execution's history, each JSONata expression with its value, and
the arguments of each task.
"""

import functools
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedded_aws import __main__ as server


def trace(path: Path) -> None:
    """Write down what the engine evaluates and calls from now on."""
    from ministack.services import stepfunctions

    lock, file = threading.Lock(), path.open("a", buffering=1)
    add_event = stepfunctions._add_event
    evaluate = stepfunctions._evaluate_jsonata
    apply_arguments = stepfunctions._apply_jsonata_arguments

    def write(execution: str, **what: Any) -> None:
        with lock:
            file.write(json.dumps({"execution": execution, **what}, default=str) + "\n")

    def add_traced_event(execution: Any, event_type: str, details: Any = None) -> Any:
        write(execution["executionArn"], event=event_type, details=details)
        return add_event(execution, event_type, details)

    def told(ctx: Any) -> dict[str, str]:
        return {"execution": ctx["Execution"]["Id"], "state": ctx["State"]["Name"]}

    @functools.wraps(evaluate)
    def evaluate_traced(expression: str, raw_input: Any, ctx: Any = None, *rest: Any) -> Any:
        value = evaluate(expression, raw_input, ctx, *rest)
        write(**told(ctx), expression=expression, value=value)
        return value

    def apply_traced_arguments(state: Any, raw_input: Any, ctx: Any = None) -> Any:
        arguments = apply_arguments(state, raw_input, ctx)
        write(**told(ctx), arguments=arguments)
        return arguments

    stepfunctions._add_event = add_traced_event
    stepfunctions._evaluate_jsonata = evaluate_traced
    stepfunctions._apply_jsonata_arguments = apply_traced_arguments


def traced(install: Callable[[bool], None], path: Path) -> Callable[[bool], None]:
    """Install first, then trace what is installed."""

    def install_and_trace(auth: bool) -> None:
        install(auth)
        trace(path)

    return install_and_trace


if __name__ == "__main__":
    # MiniStack reads its environment while it is imported.
    server.configure_environment()
    from embedded_aws.ministack import patch

    patch.install = traced(patch.install, Path(os.environ["TRACE_FILE"]))
    sys.exit(server.main())
