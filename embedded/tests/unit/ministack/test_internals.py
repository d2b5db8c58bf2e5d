"""That MiniStack still has what ``local/wiring.py`` and its neighbours take hold of.

A failure here means that the pinned version was changed: look the name up in the new version,
adapt ``local/wiring.py``, then this.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from ministack import app
from ministack.core import (
    iam_actions,
    iam_evaluator,
    lambda_runtime,
    persistence,
    responses,
    router,
)
from ministack.services import (
    apigateway_v1,
    cloudwatch,
    eventbridge,
    iam,
    lambda_svc,
    s3,
    ses,
    ses_v2,
    stepfunctions,
    sts,
)
from ministack.services.cloudformation import provisioners, stacks

from embedded_aws.ministack import server as wiring

TABLES = [
    (app, "SERVICE_REGISTRY", "s3"),
    (app, "SERVICE_HANDLERS", "s3"),
    (app, "_state_map", "s3"),
    (router, "SERVICE_PATTERNS", "s3"),
    (stepfunctions, "_AWS_SDK_SERVICE_MAP", "dynamodb"),
    (stepfunctions, "_AWS_SDK_ERROR_PREFIX", "dynamodb"),
    (stepfunctions, "_AWS_SDK_ERROR_CODE_OVERRIDES", "rds"),
    (stepfunctions, "_SERVICE_DISPATCH", "arn:aws:states:::sqs:sendMessage"),
    (provisioners, "_RESOURCE_HANDLERS", "AWS::StepFunctions::StateMachine"),
    (provisioners, "_RESOURCE_HANDLERS", "AWS::ApiGateway::RestApi"),
    (provisioners, "_RESOURCE_HANDLERS", "AWS::IAM::Policy"),
    (iam_actions, "SERVICE_TO_IAM_NAMESPACE", "monitoring"),
]
STORES = [
    *((apigateway_v1, part) for part in wiring.API_PARTS),
    (cloudwatch, "_alarms"),
    (cloudwatch, "_metrics"),
    (iam, "_roles"),
    (iam, "_oidc_providers"),
    (lambda_svc, "_functions"),
    (ses, "_identities"),
    (ses_v2, "_identities"),
    (stepfunctions, "_executions"),
    (stepfunctions, "_state_machines"),
    (sts, "_sessions"),
]
FUNCTIONS = [
    (stepfunctions, "_execute_task", ["state_def", "raw_input", "execution", "ctx"]),
    (stepfunctions, "_invoke_resource", ["resource", "input_data"]),
    (stepfunctions, "_invoke_nested_start_execution", ["resource", "input_data"]),
    (stepfunctions, "_jsonata_state_field", ["state_def", "field", "expected", "raw_input", "ctx"]),
    (
        stepfunctions,
        "_run_distributed_map",
        ["state_def", "raw_input", "effective", "iterator", "execution", "ctx"],
    ),
    (iam, "_create_oidc_provider", ["p"]),
    (iam, "_delete_oidc_provider", ["p"]),
    (s3, "_get_object", ["bucket_name", "key", "headers", "query_params"]),
    (s3, "_parse_range", ["range_header", "total"]),
    (stepfunctions, "_error_matches", ["error_equals", "error"]),
    (
        stepfunctions,
        "_apply_state_assign",
        ["state_def", "raw_input", "ctx", "result", "error_output"],
    ),
    (
        stepfunctions,
        "_apply_jsonata_template",
        ["value", "raw_input", "ctx", "result", "error_output"],
    ),
    (stepfunctions, "_state_query_language", ["state_def", "ctx"]),
    (stepfunctions, "_apply_output_path", ["state_def", "data", "ctx"]),
    (
        stepfunctions,
        "_apply_jsonata_output",
        ["state_def", "raw_input", "ctx", "result", "error_output", "default"],
    ),
    (stepfunctions, "_run_execution", ["exec_arn"]),
    (
        stepfunctions,
        "_run_parallel_branches",
        ["state_def", "raw_input", "execution", "ctx"],
    ),
    (
        stepfunctions,
        "_run_sub_machine",
        ["states", "start_at", "input_data", "execution", "ctx"],
    ),
    (stepfunctions, "_apply_jsonata_arguments", ["state_def", "raw_input", "ctx"]),
    (stepfunctions, "_apply_input_path", ["state_def", "data", "ctx"]),
    (stepfunctions, "_apply_parameters", ["state_def", "data", "ctx"]),
    (stepfunctions, "_apply_result_selector", ["state_def", "data"]),
    (stepfunctions, "_apply_result_path", ["state_def", "original", "result"]),
    (stepfunctions, "_next_or_end", ["state_def"]),
    (stepfunctions, "_fail_state_error", ["state_def", "raw_input", "ctx"]),
    (stepfunctions, "_validate_definition_jsonata", ["definition_str"]),
    (stepfunctions, "_execute_pass", ["state_def", "raw_input", "ctx"]),
    (stepfunctions, "_execute_choice", ["state_def", "raw_input", "ctx"]),
    (stepfunctions, "_execute_wait", ["state_def", "raw_input", "ctx"]),
    (stepfunctions, "_execute_parallel", ["state_def", "raw_input", "execution", "ctx"]),
    (stepfunctions, "_execute_map", ["state_def", "raw_input", "execution", "ctx"]),
    (stepfunctions, "_fail_execution", ["execution", "error", "cause"]),
    (stepfunctions, "_add_event", ["execution", "event_type", "details"]),
    (stepfunctions, "_emit_execution_status_event", ["execution"]),
    (app, "_build_persistence_save_dict", []),
    (app, "save_all", ["services"]),
    (stepfunctions, "_get_mock_response", ["sm_name", "test_case", "state_name", "attempt"]),
    (eventbridge, "_put_events", ["data", "allow_aws_source"]),
    (eventbridge, "_dispatch_event", ["event", "view"]),
    (apigateway_v1, "_import_security_schemes", ["api_id", "spec"]),
    (apigateway_v1, "_put_gateway_response", ["api_id", "response_type", "data"]),
    (apigateway_v1, "_gw_error", ["response_type", "message"]),
    (apigateway_v1, "_import_rest_api", ["spec", "base_data"]),
    (apigateway_v1, "_delete_rest_api", ["api_id"]),
    (
        provisioners,
        "_apigw_rest_api_update",
        ["physical_id", "old_props", "new_props", "stack_name", "logical_id"],
    ),
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
    (cloudwatch, "_metric_bucket", ["key"]),
    (cloudwatch, "_evaluate_alarm", ["alarm"]),
    (cloudwatch, "_point_stats", ["pt"]),
    (cloudwatch, "_dims_key", ["dims"]),
    (cloudwatch, "_dims_from_list", ["dimensions"]),
    (stacks, "_runs_on_worker_thread", ["resource_type"]),
    (app, "pin_request_origin", ["source_ip", "secure_transport"]),
    (router, "extract_access_key_id", ["headers", "query_params"]),
    (iam_actions, "request_tag_context", ["service", "iam_action", "body", "params"]),
    (
        iam_actions,
        "identity_denial_message",
        ["action", "principal_arn", "resource", "explicit_deny"],
    ),
    (iam_actions, "_param", ["body", "query_params", "fields"]),
    (iam_actions, "_safe_json_field", ["body", "field"]),
    (
        iam_actions,
        "extract_resource_arn",
        ["service", "method", "path", "headers", "body", "query_params", "region", "account_id"],
    ),
    (
        iam_evaluator,
        "enforce",
        ["access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"],
    ),
    (iam_evaluator, "evaluate", ["ctx", "policies", "limits"]),
    (
        iam_evaluator,
        "combine_resource_policy",
        ["identity", "ctx", "policy", "owner_account", "required", "limits"],
    ),
    (
        iam_evaluator,
        "evaluate_resource_policy",
        ["doc", "ctx", "service", "named_only", "direct_only"],
    ),
    (iam_evaluator, "_gather_role_policies", ["role_name", "account_id"]),
    (iam_evaluator, "_permissions_boundary", ["store", "name", "account_id"]),
    (iam_evaluator, "_resource_policy", ["service", "resource_arn"]),
    (iam_evaluator, "_service_principal_matches", ["principal", "service"]),
    (iam_evaluator, "parse_policy_document", ["doc"]),
    (sts, "register_session", ["access_key", "session"]),
    (stepfunctions, "_invoke_with_callback", ["resource", "input_data", "token", "state_def"]),
    (stepfunctions, "_create_state_machine", ["data"]),
    (stepfunctions, "_update_state_machine", ["data"]),
    (eventbridge, "_invoke_target", ["target", "event", "rule", "view"]),
    (apigateway_v1, "_call_lambda_raw", ["function_ref", "event", "account_id", "region"]),
    (lambda_svc, "function_policy_for_arn", ["resource_arn"]),
    (
        lambda_svc,
        "_emit_lambda_logs",
        ["func", "request_id", "log_text", "error", "duration_ms", "log_source"],
    ),
    (lambda_svc, "_route_async_failure", ["target_arn", "func_name", "event", "result"]),
    (lambda_runtime, "kill_workers", ["workers"]),
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


@pytest.mark.parametrize(("module", "name"), STORES, ids=lambda value: str(value)[-40:])
def test_the_store_is_where_the_wiring_expects_it(module: Any, name: str) -> None:
    store = getattr(module, name, None)
    assert hasattr(store, "get"), f"{module.__name__}.{name} moved: adapt local/enforcement.py"


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


def test_what_is_replaced_is_still_looked_up_by_name() -> None:
    """A caller that has imported it keeps the original; these must go by the module."""
    for caller, called in (
        (stepfunctions._execute_task, "_invoke_resource(resource, effective)"),
        (stepfunctions._execute_task, "_invoke_with_callback("),
        (stepfunctions._execute_task, "_get_mock_response("),
        (stepfunctions._execute_task, "_apply_state_assign("),
        (stepfunctions._execute_parallel, "_run_parallel_branches("),
        (stepfunctions._run_map_items, "_run_sub_machine("),
        (stepfunctions._run_distributed_map, "_run_sub_machine("),
        (stepfunctions._create_state_machine, "_validate_definition_jsonata("),
        (stepfunctions._update_state_machine, "_validate_definition_jsonata("),
        (stepfunctions._find_matching_retrier, "_error_matches("),
        (stepfunctions._find_matching_catcher, "_error_matches("),
        (stepfunctions._start_execution, "args=(_run_execution, exec_arn)"),
        (stepfunctions._run_execution, "_fail_execution("),
        (stepfunctions._run_execution, "_apply_output_path(state_def, current_input"),
        (stepfunctions._invoke_resource_with_timeout, "_invoke_resource, resource"),
        (app._dispatch_service_request, "import (\n            access_denied_response"),
        (app._enforce_ses_v2, "import extract_iam_action, extract_resource_arn"),
        (stacks, "_runs_on_worker_thread(rtype)"),
        (eventbridge, "_invoke_target(target"),
        (apigateway_v1, "await _call_lambda_raw("),
        (lambda_svc, "_emit_lambda_logs("),
        (lambda_svc, "_route_async_failure("),
        (lambda_runtime.invalidate_worker, "kill_workers(doomed)"),
        (lambda_runtime.Worker.invoke, "with self._lock:"),
    ):
        assert called in inspect.getsource(caller), f"{called} is called in another way"


def test_the_proxy_of_api_gateway_is_still_found_by_name_and_given_a_body() -> None:
    source = inspect.getsource(apigateway_v1)
    assert "invoke = _invoke_lambda_proxy_v1" in source, "adapt local/wiring.py"
    assert "body" in inspect.signature(apigateway_v1._invoke_lambda_proxy_v1).parameters


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


@pytest.mark.parametrize("service", ["sagemaker", "application-autoscaling"])
def test_ministack_still_has_none_of_its_own(service: str) -> None:
    assert app.SERVICE_REGISTRY.get(service) in (None, {"module": service}), (
        f"MiniStack now brings {service}: decide which one to keep"
    )


def test_invocations_hold_up_neither_each_other_nor_the_control_plane() -> None:
    as_many_as_an_endpoint_may_have = 200
    started = threading.Semaphore(0)
    let = threading.Event()

    def respond(_: Any, __: str, path: str, *___: Any) -> Any:
        if path.startswith("/endpoints/"):
            started.release()
            assert let.wait(20)
        return 200, {}, b""

    handle = wiring.off_the_loop("sagemaker", respond, lambda *_: [])

    async def invoke_and_describe() -> None:
        waiting = [
            asyncio.create_task(handle("POST", "/endpoints/iris/invocations", {}, b"", {}))
            for _ in range(as_many_as_an_endpoint_may_have)
        ]
        try:
            for _ in waiting:
                assert await asyncio.to_thread(started.acquire, timeout=20)
            await asyncio.wait_for(handle("POST", "/", {}, b"", {}), 20)
        finally:
            let.set()
        await asyncio.gather(*waiting)

    asyncio.run(invoke_and_describe())
