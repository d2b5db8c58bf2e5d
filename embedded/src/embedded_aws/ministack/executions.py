"""Executions of state machines, where AWS has them otherwise than MiniStack.

Like the server this takes hold of MiniStack's internals, and the same test watches over it.
"""

import contextvars
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import error_response_json, now_iso
from ministack.services import stepfunctions

UNCATCHABLE = ("States.DataLimitExceeded", "States.Runtime")
"""What ``States.ALL`` leaves alone. Source: Step Functions developer guide, "Handling errors in
Step Functions workflows", error names."""


MAX_INPUT = 262_144
"""Bytes of an execution's input. Source: Step Functions API reference, StartExecution."""


def install() -> None:
    """Run executions as AWS does."""
    let_runtime_errors_through()
    limit_input()
    assign_all_at_once()
    succeed_with_output()
    name_errors_of_nested_executions()
    end_on_time()
    mock_each_attempt()


def let_runtime_errors_through() -> None:
    """Let a Catch or Retry of ``States.ALL`` leave alone what it can't catch on AWS."""
    error_matches = stepfunctions._error_matches

    def catchable_error_matches(error_equals: list[str], error: str) -> bool:
        if error in UNCATCHABLE:
            return error in error_equals
        return bool(error_matches(error_equals, error))

    stepfunctions._error_matches = catchable_error_matches


def limit_input() -> None:
    """Refuse to start an execution with a larger input than `MAX_INPUT`, as UTF-8.

    Source: Step Functions API reference, StartExecution, "Length Constraints", and
    ``ValidationException``, "The input does not satisfy the constraints specified by an AWS
    service".
    """
    start_execution = stepfunctions._start_execution

    def start_small(data: dict[str, Any]) -> Any:
        if len(data.get("input", "{}").encode()) > MAX_INPUT:
            return error_response_json(
                "ValidationException",
                "1 validation error detected: Value at 'input' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_INPUT}",
                400,
            )
        return start_execution(data)

    stepfunctions._start_execution = start_small


def assign_all_at_once() -> None:
    """Evaluate all of an ``Assign`` with the variables as they were on entry to the state.

    Source: Step Functions developer guide, "Passing data between states with variables",
    evaluation order in an assign field.
    """

    def assign(
        state_def: Any, raw_input: Any, ctx: Any, result: Any = None, error_output: Any = None
    ) -> None:
        fields = state_def.get("Assign")
        if ctx is None or not isinstance(fields, dict):
            return
        if stepfunctions._state_query_language(state_def, ctx) != "JSONata":
            return
        values = stepfunctions._apply_jsonata_template(fields, raw_input, ctx, result, error_output)
        ctx.setdefault("variables", {}).update(values)

    stepfunctions._apply_state_assign = assign


def succeed_with_output() -> None:
    """Give the ``Output`` of a Succeed state in JSONata, which MiniStack leaves out.

    Source: Step Functions developer guide, "Succeed workflow state".
    """
    apply_output_path = stepfunctions._apply_output_path

    def apply_output(state_def: Any, output: Any, ctx: Any = None) -> Any:
        jsonata = stepfunctions._state_query_language(state_def, ctx) == "JSONata"
        if jsonata and state_def.get("Type") == "Succeed":
            return stepfunctions._apply_jsonata_output(state_def, output, ctx, default=output)
        return apply_output_path(state_def, output, ctx)

    stepfunctions._apply_output_path = apply_output


def name_errors_of_nested_executions() -> None:
    """Name what starting an execution fails with as the optimised integrations name it.

    Source: floci-io/floci pull request 3059, ``StepFunctions.ExecutionAlreadyExistsException``.
    """
    start = stepfunctions._invoke_nested_start_execution

    def start_nested(resource: str, input_data: Any) -> Any:
        try:
            return start(resource, input_data)
        except stepfunctions._ExecutionError as error:
            if error.error.startswith("States."):
                raise
            name = error.error.removesuffix("Exception")
            renamed = f"StepFunctions.{name}Exception"
            raise stepfunctions._ExecutionError(renamed, error.cause) from error

    stepfunctions._invoke_nested_start_execution = start_nested


def end_on_time() -> None:
    """End an execution as timed out after the ``TimeoutSeconds`` of its state machine.

    Source: Step Functions developer guide, "State machine structure in Amazon States Language".
    """
    run_execution, fail_execution = stepfunctions._run_execution, stepfunctions._fail_execution

    def fail_if_running(execution: dict[str, Any], error: str, cause: str) -> None:
        # One that was stopped or timed out has ended, whatever becomes of its last task.
        if execution["status"] == "RUNNING":
            fail_execution(execution, error, cause)

    def run_until_timeout(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn) or {}
        machine = stepfunctions._state_machines.get(execution.get("stateMachineArn", "")) or {}
        try:
            seconds = json.loads(machine.get("definition") or "{}").get("TimeoutSeconds")
        except ValueError:
            seconds = None
        if not isinstance(seconds, int | float):
            run_execution(execution_arn)
            return
        end = contextvars.copy_context().run
        timer = threading.Timer(seconds, end, (time_out, execution))
        timer.daemon = True
        timer.start()
        try:
            run_execution(execution_arn)
        finally:
            timer.cancel()

    stepfunctions._fail_execution = fail_if_running
    stepfunctions._run_execution = run_until_timeout


def time_out(execution: dict[str, Any]) -> None:
    """End an execution that still runs, and announce it."""
    if execution["status"] == "RUNNING":
        execution.update(status="TIMED_OUT", error="States.Timeout", cause=None)
        execution["stopDate"] = now_iso()
        stepfunctions._add_event(execution, "ExecutionTimedOut", {})
        stepfunctions._emit_execution_status_event(execution)


@dataclass(frozen=True)
class TaskState:
    """A Task state that is being run: the execution, the state machine's name and the state's."""

    execution: dict[str, Any]
    machine: str
    name: str


running_state: contextvars.ContextVar[TaskState | None] = contextvars.ContextVar(
    "running_state", default=None
)


def mock_each_attempt() -> None:
    """Give each attempt at a task the response that the mock configuration has for it.

    MiniStack looks once a visit, so an error that is mocked for the first attempt is never
    overcome by a retry. Source: Step Functions developer guide, "Configuration file for mocked
    service integrations in Step Functions".
    """
    response_to = stepfunctions._get_mock_response
    execute_task = stepfunctions._execute_task
    stepfunctions._get_mock_response = lambda *_: None

    def execute_task_of(state_def: Any, raw_input: Any, execution: Any, ctx: Any) -> Any:
        machine = ctx.get("StateMachine", {}).get("Name", "")
        token = running_state.set(TaskState(execution, machine, ctx["State"]["Name"]))
        try:
            return execute_task(state_def, raw_input, execution, ctx)
        finally:
            running_state.reset(token)

    def mocked(invoke: Callable[..., Any]) -> Callable[..., Any]:
        def invoke_or_mock(*arguments: Any) -> Any:
            state = running_state.get()
            case = state and state.execution.get("testCase")
            if not state or not case:
                return invoke(*arguments)
            attempts = state.execution.setdefault("mockAttempts", {})
            attempt = attempts[state.name] = attempts.get(state.name, -1) + 1
            response = response_to(state.machine, case, state.name, attempt)
            if response is None:
                return invoke(*arguments)
            if "Throw" in response:
                error = response["Throw"]
                raise stepfunctions._ExecutionError(error["Error"], error.get("Cause", ""))
            return response.get("Return")

        return invoke_or_mock

    stepfunctions._execute_task = execute_task_of
    stepfunctions._invoke_resource = mocked(stepfunctions._invoke_resource)
    stepfunctions._invoke_with_callback = mocked(stepfunctions._invoke_with_callback)
