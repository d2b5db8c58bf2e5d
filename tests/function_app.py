"""Load a function's ``app.py``: the one module whose name the functions share."""

from __future__ import annotations

import importlib.util
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
}


@contextmanager
def function_app(
    name: str, environment: Mapping[str, str], module_name: str = "app"
) -> Iterator[ModuleType]:
    """Load ``functions/<name>/app.py``, or another handler, with an environment of its own."""
    before = dict(os.environ)
    os.environ.update(TEST_ENVIRONMENT | dict(environment))
    path = ROOT / "functions" / name / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_{module_name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[spec.name]
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
