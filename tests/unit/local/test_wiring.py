"""That MiniStack still has what ``local/wiring.py`` takes hold of.

A failure here means that the pinned version was changed: look the name up in the new version,
adapt ``local/wiring.py``, then this.
"""

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from ministack import app
from ministack.core import persistence, responses, router
from ministack.services import apigateway_v1, eventbridge, s3, ses, stepfunctions

from local import wiring

TABLES = [
    (app, "SERVICE_REGISTRY", "s3"),
    (app, "SERVICE_HANDLERS", "s3"),
    (app, "_state_map", "s3"),
    (router, "SERVICE_PATTERNS", "s3"),
    (stepfunctions, "_AWS_SDK_SERVICE_MAP", "dynamodb"),
    (stepfunctions, "_AWS_SDK_ERROR_PREFIX", "dynamodb"),
    (stepfunctions, "_AWS_SDK_ERROR_CODE_OVERRIDES", "rds"),
    (stepfunctions, "_SERVICE_DISPATCH", "arn:aws:states:::sqs:sendMessage"),
]
FUNCTIONS = [
    (stepfunctions, "_execute_task", ["state_def", "raw_input", "execution", "ctx"]),
    (stepfunctions, "_invoke_resource", ["resource", "input_data"]),
    (eventbridge, "_put_events", ["data", "allow_aws_source"]),
    (eventbridge, "_dispatch_event", ["event", "view"]),
    (apigateway_v1, "_import_security_schemes", ["api_id", "spec"]),
    (apigateway_v1, "_put_gateway_response", ["api_id", "response_type", "data"]),
    (ses, "get_state", []),
    (ses, "load_persisted_state", ["data"]),
    (stepfunctions, "load_persisted_state", ["data"]),
    (stepfunctions, "_emit_execution_status_event", ["execution"]),
    (stepfunctions, "_ExecutionError", ["error", "cause"]),
    (app, "_wait_for_port", ["port", "timeout"]),
    (responses, "get_account_id", []),
    (responses, "get_region", []),
    (responses, "request_scope", ["account_id", "region"]),
    (responses, "_service_model", ["service"]),
    (app, "_get_module", ["name"]),
    (persistence, "save_all", ["services"]),
]


def test_the_version_is_the_one_that_the_wiring_was_written_for() -> None:
    assert version("ministack") == wiring.MINISTACK_VERSION, (
        "MiniStack's version changed: check local/wiring.py against it, then MINISTACK_VERSION"
    )


@pytest.mark.parametrize(("module", "name", "known"), TABLES, ids=lambda value: str(value)[-40:])
def test_the_table_is_where_the_wiring_expects_it(module: Any, name: str, known: str) -> None:
    table = getattr(module, name, None)
    assert isinstance(table, dict), f"{module.__name__}.{name} moved: adapt local/wiring.py"
    assert known in table, f"{module.__name__}.{name} changed its keys: adapt local/wiring.py"


@pytest.mark.parametrize(("module", "name", "parameters"), FUNCTIONS, ids=lambda v: str(v)[-40:])
def test_the_function_is_as_the_wiring_calls_it(
    module: Any, name: str, parameters: list[str]
) -> None:
    function: Callable[..., Any] | None = getattr(module, name, None)
    assert function is not None, f"{module.__name__}.{name} moved: adapt local/wiring.py"
    assert list(inspect.signature(inspect.unwrap(function)).parameters) == parameters, (
        f"{module.__name__}.{name} takes other parameters: adapt local/wiring.py"
    )


def test_an_object_event_is_still_fired_with_the_version_that_the_wiring_adds() -> None:
    assert "version_id" in inspect.signature(s3._fire_s3_event).parameters, (
        "s3._fire_s3_event takes no version any more: adapt local/wiring.py"
    )


def test_modules_and_mails_are_still_kept_where_the_wiring_looks() -> None:
    assert isinstance(app._loaded_modules, dict), "app._loaded_modules moved: adapt local/wiring.py"
    assert hasattr(ses, "_sent_emails"), "ses._sent_emails moved: adapt local/wiring.py"
    assert hasattr(stepfunctions._executions, "all_values"), (
        "stepfunctions._executions moved: adapt local/wiring.py"
    )


def test_tasks_are_still_run_through_the_name_that_the_wiring_replaces() -> None:
    runners = (stepfunctions._run_execution, stepfunctions._run_sub_machine)
    assert all('"Task": _execute_task' in inspect.getsource(runner) for runner in runners), (
        "stepfunctions._execute_task is no longer looked up by name: adapt local/wiring.py"
    )


def test_an_execution_still_tells_its_status() -> None:
    assert 'execution["status"] = "ABORTED"' in inspect.getsource(stepfunctions._stop_execution), (
        "a stopped execution is marked in another way: adapt local/wiring.py"
    )


def test_an_execution_still_tells_its_arn() -> None:
    assert '"executionArn": exec_arn' in inspect.getsource(stepfunctions._start_execution), (
        "an execution is named in another way: adapt local/wiring.py"
    )


def test_ministack_still_has_no_sagemaker_of_its_own() -> None:
    assert app.SERVICE_REGISTRY.get("sagemaker") in (None, {"module": "sagemaker"}), (
        "MiniStack now brings SageMaker: decide which one to keep"
    )
