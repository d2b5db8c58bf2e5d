"""Load a function's handler with an environment of its own."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

ROOT = Path(__file__).parent.parent
TEST_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_METRICS_NAMESPACE": "tests",
    "POWERTOOLS_SERVICE_NAME": "tests",
    "API_AUTHORIZATION": "key",
    "API_UPLOADS": "yes",
    "API_BASE_PATH": "",
    "API_CORS_ORIGINS": "",
}
READ_THE_ENVIRONMENT = (
    "pipeline.handling",
    "pipeline.executions",
    "pipeline.large",
    "pipeline.mail",
)
"""Modules of the layer that read the environment when they are imported, as handlers do."""


@contextmanager
def function_app(
    name: str, environment: Mapping[str, str], module_name: str = "app"
) -> Iterator[ModuleType]:
    """Import ``functions/<name>/app.py``, or another handler, anew in this environment."""
    before = dict(os.environ)
    os.environ.update(TEST_ENVIRONMENT | dict(environment))
    handler = f"{name}.{module_name}"
    for module in (handler, *READ_THE_ENVIRONMENT):
        sys.modules.pop(module, None)
    try:
        yield importlib.import_module(handler)
    finally:
        os.environ.clear()
        os.environ.update(before)


def lambda_context(seconds: int = 60) -> SimpleNamespace:
    """What Lambda tells a handler about its invocation."""
    return SimpleNamespace(
        function_name="function",
        memory_limit_in_mb=128,
        invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:function",
        aws_request_id="00000000-0000-0000-0000-000000000000",
        log_stream_name="stream",
        get_remaining_time_in_millis=lambda: seconds * 1000,
    )
