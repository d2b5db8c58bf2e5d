"""AWS Step Functions: executions as AWS has them, tasks as the state machine's role allows."""

import contextlib
import contextvars
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import ListShape, Shape, StructureShape
from ministack.core.responses import error_response_json, json_response, now_iso, request_scope
from ministack.services import stepfunctions
from ministack.services.cloudformation import provisioners

from embedded_aws.aws.permissions import Need
from embedded_aws.aws.protocol import operation_model
from embedded_aws.ministack import authorization, journal, tasks
from embedded_aws.ministack.patch import Function, patch
from embedded_aws.sagemaker.permissions import invocation_need
from embedded_aws.sagemaker.requests import RUNTIME_OPERATIONS

UNCATCHABLE = ("States.DataLimitExceeded", "States.Runtime")
MAX_INPUT = 262_144
"""Bytes of an execution's input."""
MAP_LIMITS = {"MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage"}


# --- executions ------------------------------------------------------------------------------


@patch(
    stepfunctions,
    "_start_execution",
    fixes=(
        "StartExecution takes inputs of more than 262,144 bytes",
        "StartExecution refuses the name and input of an execution that runs",
    ),
    source='Step Functions API reference, StartExecution, "Length Constraints" and the note on '
    "idempotency",
)
def start_execution(original: Function, data: dict[str, Any]) -> Any:
    """Refuse a larger input than `MAX_INPUT`, as UTF-8, and keep what has been started.

    What runs already, under this name and with this input, is what has been started.
    """
    if len(data.get("input", "{}").encode()) > MAX_INPUT:
        return error_response_json(
            "ValidationException",
            "1 validation error detected: Value at 'input' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_INPUT}",
            400,
        )
    answer = original(data)
    refused = ALREADY_EXISTS.search(answer[2].decode())
    taken = stepfunctions._executions.get(refused[1]) if refused else None
    if taken and (taken["status"], taken["input"]) == ("RUNNING", data.get("input", "{}")):
        return json_response({name: taken[name] for name in ("executionArn", "startDate")})
    if answer[0] == 200:
        arn = json.loads(answer[2])["executionArn"]
        execution = stepfunctions._executions.get(arn)
        if execution:
            shown = ("executionArn", "stateMachineArn", "name", "startDate", "input")
            journal.note(KIND, arn, {name: execution[name] for name in shown})
            # The next saving has it.
            journal.done(arn)
    return answer


ALREADY_EXISTS = re.compile("Execution already exists: '(.+?)'")
KIND = "execution"
NO_TIMEOUT = "an execution outlives the TimeoutSeconds of its state machine"
LANGUAGE = (
    'Step Functions developer guide, "State machine structure in Amazon States Language", '
    "TimeoutSeconds"
)


@patch(stepfunctions, "_fail_execution", fixes=NO_TIMEOUT, source=LANGUAGE)
def fail_execution(original: Function, execution: dict[str, Any], error: str, cause: str) -> None:
    """Don't fail an execution that was stopped or timed out, even if its last task fails."""
    if execution["status"] == "RUNNING":
        original(execution, error, cause)


@patch(stepfunctions, "_run_execution", fixes=NO_TIMEOUT, source=LANGUAGE)
def run_execution(original: Function, exec_arn: str) -> None:
    """Run an execution until its state machine's timeout."""
    execution = stepfunctions._executions.get(exec_arn) or {}
    machine = stepfunctions._state_machines.get(execution.get("stateMachineArn", "")) or {}
    try:
        seconds = json.loads(machine.get("definition") or "{}").get("TimeoutSeconds")
    except ValueError:
        seconds = None
    if not isinstance(seconds, int | float):
        original(exec_arn)
        return
    end = contextvars.copy_context().run
    timer = threading.Timer(seconds, end, (time_out, execution))
    timer.daemon = True
    timer.start()
    try:
        original(exec_arn)
    finally:
        timer.cancel()


def time_out(execution: dict[str, Any]) -> None:
    """End an execution that still runs, and announce it."""
    if execution["status"] == "RUNNING":
        execution.update(status="TIMED_OUT", error="States.Timeout", cause=None)
        execution["stopDate"] = now_iso()
        stepfunctions._add_event(execution, "ExecutionTimedOut", {})
        stepfunctions._emit_execution_status_event(execution)


interrupted: list[dict[str, Any]] = []
"""Executions that ran when the server stopped, to be announced once it answers again."""


@patch(
    stepfunctions,
    "load_persisted_state",
    serves="executions that a restart interrupts, as nothing does on AWS, end as aborted with an "
    "event, so that who watches for that can report and clear up",
)
def load_persisted_state(original: Function, data: dict[str, Any]) -> None:
    """End executions that can't go on."""
    running = {
        execution["executionArn"]
        for execution in data.get("executions", {}).values()
        if execution.get("status") == "RUNNING"
    }
    original(data)
    for execution in stepfunctions._executions.all_values():
        if execution["executionArn"] in running:
            execution.update(status="ABORTED", error=None, cause=None)
            interrupted.append(execution)
    # Before anybody can ask for them.
    end_unsaved()


def end_unsaved() -> None:
    """End executions that were started when the server had no time to save them any more."""
    for arn, started in journal.accepted_before(KIND):
        _, _, _, region, account, *_ = arn.split(":")
        with request_scope(account, region):
            if arn not in stepfunctions._executions:
                details = {"inputDetails": {"included": True}, "outputDetails": {"included": True}}
                execution = {**started, **details, "output": None, "events": []}
                execution |= {"status": "ABORTED", "stopDate": now_iso(), "error": None}
                stepfunctions._executions[arn] = {**execution, "cause": None}
                interrupted.append(stepfunctions._executions[arn])
        journal.done(arn)


def announce_interrupted() -> None:
    """Publish the status change of each execution that a restart has ended."""
    while interrupted:
        execution = interrupted.pop()
        _, _, _, region, account, *_ = execution["executionArn"].split(":")
        with request_scope(account, region):
            stepfunctions._emit_execution_status_event(execution)


# --- states ----------------------------------------------------------------------------------


@patch(
    stepfunctions,
    "_error_matches",
    fixes="States.ALL matches States.Runtime and States.DataLimitExceeded",
    source='Step Functions developer guide, "Handling errors in Step Functions workflows", error '
    "names",
)
def error_matches(original: Function, error_equals: list[str], error: str) -> bool:
    """Let a Catch or Retry of ``States.ALL`` leave alone what it can't catch on AWS."""
    if error in UNCATCHABLE:
        return error in error_equals
    return bool(original(error_equals, error))


@patch(
    stepfunctions,
    "_apply_state_assign",
    fixes="Assign evaluates later variables with the new values of earlier ones",
    source='Step Functions developer guide, "Passing data between states with variables", '
    "evaluation order in an assign field",
)
def apply_state_assign(
    original: Function,
    state_def: Any,
    raw_input: Any,
    ctx: Any,
    result: Any = None,
    error_output: Any = None,
) -> None:
    """Evaluate all of an ``Assign`` with the variables as they were on entry to the state."""
    fields = state_def.get("Assign")
    if ctx is None or not isinstance(fields, dict):
        return
    if stepfunctions._state_query_language(state_def, ctx) != "JSONata":
        return
    values = stepfunctions._apply_jsonata_template(fields, raw_input, ctx, result, error_output)
    ctx.setdefault("variables", {}).update(values)


@patch(
    stepfunctions,
    "_apply_output_path",
    fixes="a Succeed state in JSONata ignores its Output",
    source='Step Functions developer guide, "Succeed workflow state"',
)
def apply_output_path(original: Function, state_def: Any, data: Any, ctx: Any = None) -> Any:
    """Give the ``Output`` of a Succeed state in JSONata."""
    jsonata = stepfunctions._state_query_language(state_def, ctx) == "JSONata"
    if jsonata and state_def.get("Type") == "Succeed":
        return stepfunctions._apply_jsonata_output(state_def, data, ctx, default=data)
    return original(state_def, data, ctx)


@patch(
    stepfunctions,
    "_run_distributed_map",
    fixes=(
        "a Distributed Map evaluates JSONata fields as JSONPath",
        "a Distributed Map starts executions without asking the state machine's role",
    ),
    source='Step Functions developer guide, "Map state in Distributed mode", JSONata fields, and '
    '"IAM policies for using Distributed Map states"',
)
def run_distributed_map(
    original: Function,
    state_def: dict[str, Any],
    raw_input: Any,
    effective: Any,
    iterator: Any,
    execution: Any,
    ctx: Any,
) -> Any:
    """Let a Distributed Map have its items, input and output from JSONata, if its role allows."""
    start = "arn:aws:states:::states:startExecution"
    machine = {"StateMachineArn": execution["stateMachineArn"].partition("/")[0]}
    scope = authorization.current_scope()
    authorize_task(execution, start, tasks.needs_of_task(scope, start, machine))
    if (
        stepfunctions._state_query_language(state_def, ctx) != "JSONata"
        or "ItemReader" in state_def
    ):
        return original(state_def, raw_input, effective, iterator, execution, ctx)

    def evaluate(name: str, item: tuple[int, Any] | None = None) -> Any:
        of_item = {"Map": {"Item": {"Index": item[0], "Value": item[1]}}} if item else {}
        template = state_def[name]
        return stepfunctions._apply_jsonata_template(template, raw_input, {**ctx, **of_item})

    items = stepfunctions._jsonata_state_field(state_def, "Items", "array", raw_input, ctx)
    if "ItemSelector" in state_def:
        items = [evaluate("ItemSelector", item) for item in enumerate(items)]
    # Input, output and items are plain from here on: what is left of the state has no paths.
    plain = {key: evaluate(key) for key in MAP_LIMITS & state_def.keys()}
    plain |= {key: state_def[key] for key in ("Label", "Next", "End") if key in state_def}
    results, following = original(plain, items, items, iterator, execution, ctx)
    output = stepfunctions._apply_jsonata_output(
        state_def, raw_input, ctx, result=results, default=results
    )
    stepfunctions._apply_state_assign(state_def, raw_input, ctx, result=results)
    return output, following


# --- tasks -----------------------------------------------------------------------------------


@patch(
    stepfunctions,
    "_api_name_to_sfn_key",
    fixes="SDK tasks lower all capitals of a member's name, not only those that it begins with",
    source="aws/aws-sdk-java-v2, Utils.unCapitalize: only capitals that a name begins with are "
    "lowered, so that members are policyARN and dbClusterArn",
)
def sdk_member_name(original: Function, name: str) -> str:
    """Name a member of an SDK task's arguments or result as Step Functions does."""
    capitals = re.match(r"[A-Z]*", name)
    count = capitals.end() if capitals else 0
    if count < 2:
        return f"{name[:1].upper()}{name[1:]}"
    # The last of several begins the next word, unless that is all there is.
    lowered = count if count == len(name) or not name[count].islower() else count - 1
    return f"{name[0]}{name[1:lowered].lower()}{name[lowered:]}"


@patch(
    stepfunctions,
    "_dispatch_aws_sdk_query",
    fixes="SDK tasks give the numbers of services that answer in XML as texts",
    source='Step Functions developer guide, "Learning to use AWS service SDK integrations in Step '
    'Functions": a result is what the SDK gives; CloudWatch API reference, MetricDataResult',
)
def dispatch_query(
    original: Function, service_info: Any, service_name: str, action: str, input_data: Any
) -> Any:
    """Give numbers, booleans and lists as the service's model has them."""
    result = original(service_info, service_name, action, input_data)
    shape = operation_model(service_name, f"{action[0].upper()}{action[1:]}").output_shape
    return as_modelled(result, shape) if shape else result


def as_modelled(value: Any, shape: Shape) -> Any:
    """What was read from XML, in which all is text and an empty list is an empty text."""
    if isinstance(shape, StructureShape):
        members = {sdk_member_name(str, name): of for name, of in shape.members.items()}
        found = value if isinstance(value, dict) else {}
        return {
            name: as_modelled(item, members[name]) if name in members else item
            for name, item in found.items()
        }
    if isinstance(shape, ListShape):
        items = value if isinstance(value, list) else [] if value in ("", None) else [value]
        return [as_modelled(item, shape.member) for item in items]
    if isinstance(value, str) and shape.type_name in ("integer", "long", "float", "double"):
        return float(value) if shape.type_name in ("float", "double") else int(value)
    if isinstance(value, str) and shape.type_name == "boolean":
        return value == "true"
    return value


@dataclass(frozen=True)
class RunningTask:
    """A Task state that is being run.

    MiniStack hands tasks none of it, and ``.sync`` needs the execution and the timeout to stop a
    job that nobody waits for any more.
    """

    execution: dict[str, Any]
    machine: str
    state: str
    timeout: float | None


running_task: contextvars.ContextVar[RunningTask | None] = contextvars.ContextVar(
    "running_task", default=None
)
MOCKED_ONCE = "an error that is mocked for a task's first attempt is never overcome by a retry"
MOCKS = (
    'Step Functions developer guide, "Configuration file for mocked service integrations in Step '
    'Functions"'
)
ANY_ROLE = "tasks run without asking the state machine's role"
ROLES = 'Step Functions developer guide, "Integrating services", IAM policies of each service'


@patch(stepfunctions, "_execute_task", fixes=MOCKED_ONCE, source=MOCKS)
def execute_task(
    original: Function, state_def: Mapping[str, Any], raw_input: Any, execution: Any, ctx: Any
) -> Any:
    """Know the task that is being run."""
    timeout = state_def.get("TimeoutSeconds")
    task = RunningTask(
        execution,
        ctx.get("StateMachine", {}).get("Name", ""),
        ctx["State"]["Name"],
        float(timeout) if isinstance(timeout, int | float) else None,
    )
    token = running_task.set(task)
    try:
        return original(state_def, raw_input, execution, ctx)
    finally:
        running_task.reset(token)


@patch(stepfunctions, "_get_mock_response", fixes=MOCKED_ONCE, source=MOCKS)
def get_no_mock_response(
    original: Function, sm_name: str, test_case: str, state_name: str, attempt: int
) -> None:
    """Find no response once a visit; `mocked` asks for one each attempt."""


# Taken hold of before it is replaced.
response_to: Function = stepfunctions._get_mock_response


def mocked(invoke: Callable[[], Any]) -> Any:
    """What an attempt at the running task gives: its mocked response, or else a real one."""
    task = running_task.get()
    case = task and task.execution.get("testCase")
    if not task or not case:
        return invoke()
    attempts = task.execution.setdefault("mockAttempts", {})
    attempt = attempts[task.state] = attempts.get(task.state, -1) + 1
    response = response_to(task.machine, case, task.state, attempt)
    if response is None:
        return invoke()
    if "Throw" in response:
        error = response["Throw"]
        raise stepfunctions._ExecutionError(error["Error"], error.get("Cause", ""))
    return response.get("Return")


@patch(stepfunctions, "_invoke_resource", fixes=(MOCKED_ONCE, ANY_ROLE), source=f"{MOCKS}; {ROLES}")
def invoke_resource(original: Function, resource: str, input_data: Any) -> Any:
    """Run a task, if it isn't mocked and the role allows it."""

    def invoke() -> Any:
        require(resource, input_data)
        return original(resource, input_data)

    return mocked(invoke)


@patch(
    stepfunctions,
    "_invoke_with_callback",
    fixes=(MOCKED_ONCE, ANY_ROLE),
    source=f"{MOCKS}; {ROLES}",
)
def invoke_with_callback(
    original: Function, resource: str, input_data: Any, token: str, state_def: Any
) -> Any:
    """Run a task that waits for its token, if it isn't mocked and the role allows it."""

    def invoke() -> Any:
        require(resource.replace(".waitForTaskToken", ""), input_data)
        return original(resource, input_data, token, state_def)

    return mocked(invoke)


RUNTIME_KINDS = {
    operation[0].lower() + operation[1:]: kind for kind, operation in RUNTIME_OPERATIONS.items()
}
"""The operations of SageMaker's runtime as tasks name them, and the kinds of its paths."""


def require(resource: str, arguments: Any) -> None:
    """Check the running task against the role of the state machine that it belongs to."""
    task = running_task.get()
    scope = authorization.current_scope()
    service, _, action = resource.rpartition(":")
    kind = RUNTIME_KINDS.get(action)
    if kind and service.endswith("aws-sdk:sagemakerruntime"):
        endpoint = str(arguments.get("EndpointName"))
        wanted: Iterable[Need] = [invocation_need(scope, endpoint, kind, {})]
    else:
        wanted = tasks.needs_of_task(scope, resource, arguments)
    authorize_task(task.execution if task else None, resource, wanted)


def authorize_task(
    execution: Mapping[str, Any] | None, resource: str, wanted: Iterable[Need]
) -> None:
    """Fail a task whose state machine's role lacks one of the permissions."""
    if execution is None or not authorization.is_on():
        return
    # The ARN may be that of a version, an alias, or a Distributed Map of the state machine.
    arn = str(execution.get("stateMachineArn", ""))
    base = ":".join(arn.split(":")[:7]).partition("/")[0]
    role = str((stepfunctions._state_machines.get(base) or {}).get("roleArn", ""))
    for need in wanted:
        reason = authorization.role_denial(role, execution.get("name", "execution"), need)
        if reason:
            error = tasks.denied_error(resource)
            raise stepfunctions._ExecutionError(error, tasks.denied_cause(resource, reason))


@patch(
    stepfunctions,
    "_invoke_nested_start_execution",
    fixes="the errors of states:startExecution lack the prefix StepFunctions",
    source="floci-io/floci pull request 3059, StepFunctions.ExecutionAlreadyExistsException",
)
def start_nested_execution(original: Function, resource: str, input_data: Any) -> Any:
    """Name what starting an execution fails with as the optimised integrations name it."""
    try:
        return original(resource, input_data)
    except stepfunctions._ExecutionError as error:
        if error.error.startswith("States."):
            raise
        name = error.error.removesuffix("Exception")
        renamed = f"StepFunctions.{name}Exception"
        raise stepfunctions._ExecutionError(renamed, error.cause) from error


ENDS = {f"Execution{how}" for how in ("Succeeded", "Failed", "TimedOut", "Aborted")}
changed = threading.Condition()
"""Is notified of each execution that has ended."""


@patch(
    stepfunctions,
    "_add_event",
    serves="a task that waits for an execution is told of its end",
)
def add_event(
    original: Function, execution: dict[str, Any], event_type: str, details: Any = None
) -> Any:
    """Wake those that wait for an execution when it ends."""
    event = original(execution, event_type, details)
    if event_type in ENDS:
        with changed:
            changed.notify_all()
    return event


@patch(
    stepfunctions,
    "_invoke_nested_start_execution_sync",
    fixes=(
        "an execution that a task waits for goes on when that task's execution is stopped",
        "a task whose execution fails has its error, not States.TaskFailed",
    ),
    source='Step Functions developer guide, "Discover service integration patterns in Step '
    'Functions", Run a Job (.sync), and "Handling errors in Step Functions workflows"',
)
def run_nested_execution(original: Function, resource: str, input_data: Any) -> dict[str, Any]:
    """Start an execution and wait for its end, or stop it if the task ends before it."""
    arn = stepfunctions._invoke_nested_start_execution(resource, input_data)["ExecutionArn"]
    nested, task = stepfunctions._executions[arn], running_task.get()
    execution = task.execution if task else None
    authorize_task(execution, resource, [Need("states:DescribeExecution", arn)])

    def has_ended() -> bool:
        # This event comes when the output is there, or the error; the status comes before.
        return any(event["type"] in ENDS for event in nested["events"])

    def is_over() -> bool:
        aborted = execution is not None and execution.get("status") not in (None, "RUNNING")
        return aborted or has_ended()

    with changed:
        changed.wait_for(is_over, task.timeout if task else None)
    if not has_ended():
        with contextlib.suppress(stepfunctions._ExecutionError):
            authorize_task(execution, resource, [Need("states:StopExecution", arn)])
            stepfunctions._stop_execution({"executionArn": arn})
        raise stepfunctions._ExecutionError("States.Timeout", f"{arn} was not waited for")
    # Without the events, and what MiniStack notes beside them.
    described = json.loads(stepfunctions._describe_execution({"executionArn": arn})[2])
    result = {f"{name[0].upper()}{name[1:]}": value for name, value in described.items()}
    if nested["status"] != "SUCCEEDED":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(result))
    if resource.endswith(".sync:2"):
        result["Output"] = json.loads(result["Output"])
    return result


# --- the roles of state machines -------------------------------------------------------------

# Source: Step Functions developer guide, "Logging using CloudWatch Logs", IAM policies.
LOG_DELIVERY_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
# Source: Step Functions developer guide, "IAM policies for SageMaker".
MANAGED_RULE_ACTIONS = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
UNCHECKED_ROLE = "a state machine can be created whose role lacks what .sync and logging take"
GUIDE = (
    'Step Functions developer guide, "Logging using CloudWatch Logs" and "IAM policies for '
    'SageMaker"'
)


@patch(stepfunctions, "_create_state_machine", fixes=UNCHECKED_ROLE, source=GUIDE, auth=True)
@patch(stepfunctions, "_update_state_machine", fixes=UNCHECKED_ROLE, source=GUIDE, auth=True)
def keep_state_machine(original: Function, data: dict[str, Any]) -> Any:
    """Refuse a state machine whose role lacks what creating it takes, in AWS's words."""
    present = stepfunctions._state_machines.get(data.get("stateMachineArn", "")) or {}
    refused = state_machine_problem({**present, **data})
    if not refused:
        return original(data)
    body = json.dumps({"__type": "AccessDeniedException", "message": refused})
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, body.encode()


@patch(
    provisioners._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"],
    "create",
    fixes=UNCHECKED_ROLE,
    source=GUIDE,
    auth=True,
)
def create_resource(original: Function, logical_id: str, props: Any, stack_name: str) -> Any:
    """Refuse it in a template, too."""
    arn, attributes = original(logical_id, props, stack_name)
    refused = state_machine_problem(stepfunctions._state_machines.get(arn) or {})
    if refused:
        stepfunctions._state_machines.pop(arn, None)
        raise ValueError(
            f'Resource handler returned message: "{refused} (Service: AWSStepFunctions; '
            'Status Code: 400; Error Code: AccessDeniedException)"'
        )
    return arn, attributes


def state_machine_problem(machine: Mapping[str, Any]) -> str | None:
    """What a state machine's role lacks for it to be created, or None.

    Source: both messages as clients quote them, the first in aws/aws-cdk and terraform issues.
    """
    role = str(machine.get("roleArn", ""))
    definition = machine.get("definition") or "{}"
    text = definition if isinstance(definition, str) else json.dumps(definition)

    def lacks(actions: Iterable[str], resource: str) -> bool:
        wanted = (Need(action, resource) for action in actions)
        return any(authorization.role_denial(role, "StepFunctions", need) for need in wanted)

    for rule in tasks.managed_rules(text):
        if lacks(MANAGED_RULE_ACTIONS, authorization.current_scope().arn("events", f"rule/{rule}")):
            return f"'{role}' is not authorized to create managed-rule."
    logging = machine.get("loggingConfiguration") or {}
    level = logging.get("level", logging.get("Level", "OFF"))
    if level != "OFF" and lacks(LOG_DELIVERY_ACTIONS, "*"):
        return "The state machine IAM Role is not authorized to access the Log Destination"
    return None
