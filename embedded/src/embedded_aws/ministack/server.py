"""How SageMaker and Application Auto Scaling become two more of MiniStack's services.

MiniStack has no plug-in interface, so this uses tables and functions of the one version that
the project pins. ``tests/unit/local/test_wiring.py`` fails, naming the table, when an upgrade
moves one of them.
"""

import asyncio
import contextvars
import copy
import inspect
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack import app as ministack_app
from ministack.core import lambda_runtime, responses, router
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import apigateway_v1, cloudwatch, eventbridge, s3, ses, stepfunctions
from ministack.services.cloudformation import provisioners, stacks

from embedded_aws.autoscaling import operations as autoscaling
from embedded_aws.autoscaling import permissions as autoscaling_permissions
from embedded_aws.autoscaling import records, resources, scaling, targets
from embedded_aws.autoscaling.alarms import Point
from embedded_aws.aws import platform, protocol
from embedded_aws.aws.clock import scaled
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.http import Response
from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import (
    encryption,
    enforcement,
    executions,
    iam_resource_types,
    origins,
    parallel_states,
    resource_types,
    saving,
    tasks,
)
from embedded_aws.sagemaker import http, operations, permissions, persistence
from embedded_aws.sagemaker.hosting import async_inference, deployment, endpoints, instance_metrics
from embedded_aws.sagemaker.jobs import JobKind
from embedded_aws.sagemaker.requests import TARGET_PREFIX
from embedded_aws.sagemaker.synchronous_tasks import SYNCHRONOUS, task_result, with_execution_tags

MINISTACK_VERSION = "1.5.33"
SERVICE = "sagemaker"
SYNC_POLL_SECONDS = 0.5

# Step Functions' optimised integrations of SageMaker that this SageMaker can answer.
# Source: Step Functions developer guide, "Create and manage Amazon SageMaker AI jobs".
OPTIMISED = (
    *SYNCHRONOUS,
    "createModel",
    "createEndpointConfig",
    "createEndpoint",
    "updateEndpoint",
)

logger = logging.getLogger(SERVICE)
# Requests wait for S3; a pool of their own keeps them from starving the rest.
workers = ThreadPoolExecutor(max_workers=32, thread_name_prefix=SERVICE)
# Invocations wait for models, and for serverless environments to start: as many at a time as
# several endpoints may have (200 each: API reference, "ProductionVariantServerlessConfig"), so
# that it is MaxConcurrency that refuses more.
MAX_INVOCATIONS = 1000
invocations = ThreadPoolExecutor(max_workers=MAX_INVOCATIONS, thread_name_prefix="invocations")
running_execution: contextvars.ContextVar[Mapping[str, Any] | None] = contextvars.ContextVar(
    "running_execution", default=None
)
running_timeout: contextvars.ContextVar[float | None] = contextvars.ContextVar(
    "running_timeout", default=None
)


def install() -> None:
    """Make SageMaker a service of MiniStack, with persistence, events and Step Functions."""
    register_services()
    connect_autoscaling()
    register_sdk_integrations()
    register_optimised_integrations()
    complete_object_events()
    answer_ranges_of_versions()
    map_with_jsonata()
    import_openapi_as_documented()
    heed_disabled_api_keys()
    resource_types.install()
    iam_resource_types.install()
    update_apis_in_place()
    limit_payloads()
    let_invocations_end()
    keep_mails()
    end_interrupted_executions()
    platform.publish_event = publish_event
    platform.publish_metric = publish_metric
    enforcement.install(running_execution)
    encryption.install()
    executions.install()
    parallel_states.install()
    saving.install()


def current_scope() -> Scope:
    """Account and region of the request that is being answered."""
    return Scope(get_account_id(), get_region())


# --- the service ---------------------------------------------------------------------------


Respond = Callable[[Scope, str, str, Mapping[str, str], bytes], Response]
"""Answers a request: its scope, method, path, headers and body."""


Needs = Callable[[Scope, str, Mapping[str, str], bytes], list[Need]]
"""The permissions that a request needs: its scope, path, headers and body."""


def off_the_loop(name: str, respond: Respond, needs: Needs) -> Callable[..., Any]:
    """MiniStack's entry to a service that may wait, for S3 and for models.

    Requests are authorized before, in MiniStack's own context of the request.
    """

    async def handle_request(
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Mapping[str, list[str]],
    ) -> Response:
        scope, is_invocation = current_scope(), path.startswith("/endpoints/")
        if enforcement.is_on():
            wanted = needs(scope, path, headers, body)
            refused = enforcement.refusal(name, headers, query_params, wanted, is_invocation)
            if refused:
                return refused
        pool = invocations if is_invocation else workers
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, respond, scope, method, path, headers, body)

    return handle_request


def register_services() -> None:
    """Add both services to MiniStack's tables, with the names that their requests go by.

    Requests would find their way by their signature too, but only after MiniStack has loaded
    every service model of botocore to learn that there is such a service (2 s, all blocked).
    """
    register_service(
        SERVICE,
        off_the_loop(SERVICE, http.respond, permissions.needs_of_request),
        SimpleNamespace(
            get_state=persistence.get_state,
            load_persisted_state=persistence.restore,
            reset=persistence.reset,
        ),
        {
            "target_prefixes": [TARGET_PREFIX],
            "credential_scope": SERVICE,
            "host_patterns": [r"(api|runtime)\.sagemaker\."],
        },
    )
    register_service(
        autoscaling.SERVICE,
        off_the_loop(
            autoscaling.SERVICE, autoscaling.respond, autoscaling_permissions.needs_of_request
        ),
        SimpleNamespace(
            get_state=records.get_state,
            load_persisted_state=records.restore,
            reset=records.reset,
        ),
        {
            "target_prefixes": [autoscaling.TARGET_PREFIX],
            "credential_scope": autoscaling.SERVICE,
            "host_patterns": [r"application-autoscaling\."],
        },
    )


def register_service(
    name: str, handle_request: Callable[..., Any], module: Any, patterns: dict[str, Any]
) -> None:
    """Add a handler, the module that MiniStack asks for state, and how requests are told."""
    module.handle_request = handle_request
    ministack_app.SERVICE_REGISTRY[name] = {"module": name}
    ministack_app.SERVICE_HANDLERS[name] = handle_request
    ministack_app._loaded_modules[name] = module
    ministack_app._state_map[name] = name
    router.SERVICE_PATTERNS[name] = patterns


def publish_event(scope: Scope, detail_type: str, arn: str, detail: Any) -> None:
    """Publish an event of ``aws.sagemaker`` to the scope's default bus."""
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": [arn],
    }
    with request_scope(scope.account, scope.region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


METRIC_SECONDS = 10.0
metric_lock = threading.Lock()


def publish_metric(
    scope: Scope, namespace: str, name: str, value: float, unit: str, dimensions: dict[str, str]
) -> None:
    """Publish a metric of one of AWS's own namespaces, which no client may write to.

    Equal values are counted for a while instead of kept one by one, and durations are taken to
    two digits, so that memory doesn't grow with each request. CloudWatch does likewise.
    """
    if unit == "Microseconds":
        value = float(f"{value:.2g}")
    now = time.time()
    key = (namespace, name, cloudwatch._dims_key(dimensions))
    with request_scope(scope.account, scope.region), metric_lock:
        points = cloudwatch._metric_bucket(key)
        for point in reversed(points):
            if point["Timestamp"] < now - scaled(METRIC_SECONDS):
                break
            if point["Value"] == value:
                point["Count"] += 1
                return
        points.append(
            {
                "Timestamp": now,
                "Value": value,
                "Count": 1.0,
                "Unit": unit,
                "Dimensions": dict(dimensions),
            }
        )


# --- Application Auto Scaling ---------------------------------------------------------------


def connect_autoscaling() -> None:
    """Let Auto Scaling see CloudWatch's alarms and metrics, SageMaker see it, templates use it."""
    scaling.metric_alarms = metric_alarms
    scaling.metric_points = metric_points
    endpoints.scalable_variants = targets.scalable_variants
    deployment.listeners.append(scaling.forget_endpoint)
    leave_scaling_alarms_alone()
    runs_on_worker_thread = stacks._runs_on_worker_thread
    # They wait for CloudWatch, which answers on the loop that would be waiting.
    stacks._runs_on_worker_thread = lambda resource_type: (
        resource_type in (resources.TARGET, resources.POLICY)
        or runs_on_worker_thread(resource_type)
    )
    provisioners._RESOURCE_HANDLERS[resources.TARGET] = {
        "create": lambda _, properties, __: resources.put_target(current_scope(), properties),
        "update": lambda _, __, properties, ___: resources.put_target(current_scope(), properties),
        "delete": lambda name, _: resources.delete_target(current_scope(), name),
    }
    provisioners._RESOURCE_HANDLERS[resources.POLICY] = {
        "create": lambda _, properties, __: resources.put_policy(current_scope(), properties),
        "update": lambda _, __, properties, ___: resources.put_policy(current_scope(), properties),
        "delete": lambda _, properties: resources.delete_policy(current_scope(), properties),
    }


def metric_alarms(scope: Scope) -> list[dict[str, Any]]:
    """The metric alarms of a scope."""
    with request_scope(scope.account, scope.region):
        return [dict(alarm) for alarm in list(cloudwatch._alarms.values())]


def metric_points(scope: Scope, alarm: Mapping[str, Any], since: float) -> list[Point]:
    """What an alarm's metric has measured since a time."""
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    key = (alarm["Namespace"], alarm["MetricName"], dimensions)
    with request_scope(scope.account, scope.region):
        stored = list(cloudwatch._metrics.get(key) or [])
    return [
        Point(point["Timestamp"], *cloudwatch._point_stats(point))
        for point in stored
        if point["Timestamp"] >= since
    ]


def leave_scaling_alarms_alone() -> None:
    """Keep MiniStack from evaluating the alarms of scaling policies, which Auto Scaling does."""
    evaluate_alarm = cloudwatch._evaluate_alarm

    def evaluate_unless_scaling(alarm: dict[str, Any]) -> None:
        if not any(":scalingPolicy:" in action for action in alarm.get("AlarmActions") or []):
            evaluate_alarm(alarm)

    cloudwatch._evaluate_alarm = evaluate_unless_scaling


# --- S3's events ----------------------------------------------------------------------------

created_version: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "created_version", default=None
)


def complete_object_events() -> None:
    """Add ``version-id`` to S3's events on EventBridge, which MiniStack leaves out.

    Source: Amazon S3 user guide, "EventBridge event message structure".
    """
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_with_version(*args: Any, **kwargs: Any) -> None:
        token = created_version.set(kwargs.get("version_id"))
        try:
            fire(*args, **kwargs)
        finally:
            created_version.reset(token)

    def dispatch_with_version(event: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        version = created_version.get()
        if version and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"].setdefault("version-id", version)
            event = {**event, "Detail": json.dumps(detail)}
        return dispatch(event, *args, **kwargs)

    s3._fire_s3_event = fire_with_version
    eventbridge._dispatch_event = dispatch_with_version


# --- S3's ranges of versions ----------------------------------------------------------------


def answer_ranges_of_versions() -> None:
    """Honour ``Range`` for a version of an object, for which MiniStack gives the whole of it.

    Source: Amazon S3 API reference, GetObject: Range and versionId may be given together.
    """
    get_object: Callable[..., tuple[int, dict[str, str], bytes]] = s3._get_object

    def get_object_or_range(
        bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        asked = headers.get("range")
        if not asked or not s3._qp(query or {}, "versionId", ""):
            return get_object(bucket, key, headers, query)
        # The checksum of the whole says nothing of a part.
        without = {name: value for name, value in headers.items() if name != "x-amz-checksum-mode"}
        status, answered, body = get_object(bucket, key, without, query)
        if status != 200:
            return status, answered, body
        bounds = s3._parse_range(asked, len(body))
        if bounds is None:
            answered = {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"}
            return 416, answered, s3._xml_body(s3._range_error_xml(bucket, key))
        start, end = bounds
        answered = {
            **answered,
            "Content-Length": str(end + 1 - start),
            "Content-Range": f"bytes {start}-{end}/{len(body)}",
        }
        return 206, answered, body[start : end + 1]

    s3._get_object = get_object_or_range


# --- API Gateway's import of OpenAPI -------------------------------------------------------


def import_openapi_as_documented() -> None:
    """Read ``x-amazon-apigateway-gateway-responses``, and pass over ``security`` at the root.

    MiniStack's import does the opposite of both.
    Source: API Gateway developer guide, "x-amazon-apigateway-gateway-responses object", and "Known
    issues": security counts with an operation only.
    """
    import_security_schemes = apigateway_v1._import_security_schemes

    def import_schemes_and_responses(api_id: str, spec: dict[str, Any]) -> Any:
        responses = spec.get("x-amazon-apigateway-gateway-responses") or {}
        for response_type, response in responses.items():
            apigateway_v1._put_gateway_response(api_id, response_type, response)
        spec.pop("security", None)
        return import_security_schemes(api_id, spec)

    apigateway_v1._import_security_schemes = import_schemes_and_responses


def heed_disabled_api_keys() -> None:
    """Read whether an API key is enabled as the truth value that a patch's text stands for.

    Source: API Gateway API reference, "PatchOperation", value: a string, "false" for instance.
    """
    update_api_key = apigateway_v1._update_api_key

    def update_with_truth(key_id: str, data: dict[str, Any]) -> Any:
        operations = [
            {**operation, "value": str(operation.get("value")).lower() == "true"}
            if operation.get("path") == "/enabled"
            else operation
            for operation in data.get("patchOperations", [])
        ]
        return update_api_key(key_id, {**data, "patchOperations": operations})

    apigateway_v1._update_api_key = update_with_truth


def update_apis_in_place() -> None:
    """Let an API keep its id, which is in the URL that clients have, when its document changes.

    MiniStack makes a new API. Source: CloudFormation template reference,
    AWS::ApiGateway::RestApi: a changed Body needs no interruption.
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]
    update = handlers["update"]

    def update_keeping_id(
        api_id: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        body = new.get("Body")
        if isinstance(body, dict) and body != old.get("Body"):
            imported = apigateway_v1._import_rest_api(copy.deepcopy(body))
            for part in API_PARTS:
                store = getattr(apigateway_v1, part)
                store[api_id] = store.pop(imported, {})
            apigateway_v1._delete_rest_api(imported)
        return update(api_id, {**old, "Body": body}, new, stack_name, logical_id)

    handlers["update"] = update_keeping_id


API_PARTS = ("_resources", "_authorizers_v1", "_models", "_gateway_responses")
"""Where MiniStack keeps what it has read from an OpenAPI document."""


# --- what API Gateway and Lambda take ------------------------------------------------------

# The lesser limit of the two: API Gateway takes 10 MB.
# Source: Lambda developer guide, "Lambda quotas" (invocation payload, synchronous).
FUNCTION_PAYLOAD_BYTES = 6 * 1024 * 1024
TOO_LARGE_AN_ANSWER = b'{"message": "Internal server error"}'


def limit_payloads() -> None:
    """Refuse what is too large for API Gateway or for the function behind it, both ways."""
    invoke = apigateway_v1._invoke_lambda_proxy_v1

    async def invoke_within_limits(*args: Any, **kwargs: Any) -> Any:
        body = inspect.signature(invoke).bind(*args, **kwargs).arguments["body"] or b""
        if len(body) > FUNCTION_PAYLOAD_BYTES:
            return apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
        answer = await invoke(*args, **kwargs)
        if isinstance(answer, apigateway_v1._GatewayError):
            return answer
        _, _, body = answer
        if len(body) > FUNCTION_PAYLOAD_BYTES:
            return 502, {"content-type": "application/json"}, TOO_LARGE_AN_ANSWER
        return answer

    apigateway_v1._invoke_lambda_proxy_v1 = invoke_within_limits


# --- updates of functions -------------------------------------------------------------------


def let_invocations_end() -> None:
    """Let an invocation go on to its end when its function is updated; MiniStack kills it.

    Source: Lambda developer guide, "Lambda function states": while a function is updated, it runs
    with its previous code and configuration.
    """
    kill_workers = lambda_runtime.kill_workers

    def kill_idle_workers(workers: Iterable[Any]) -> None:
        idle = []
        for worker in workers:
            # Leased for longer than its lock is held, or used without being leased.
            if worker.in_use or worker._lock.locked():
                threading.Thread(target=kill_once_idle, args=(worker,), daemon=True).start()
            else:
                idle.append(worker)
        kill_workers(idle)

    def kill_once_idle(worker: Any) -> None:
        deadline = time.monotonic() + worker.config.get("Timeout", 3)
        while worker.in_use and time.monotonic() < deadline:
            time.sleep(0.05)
        with worker._lock:
            kill_workers([worker])

    lambda_runtime.kill_workers = kill_idle_workers


# --- restarts -------------------------------------------------------------------------------

interrupted_executions: list[dict[str, Any]] = []
"""Executions that ran when the server stopped, to be announced once it answers again."""


def keep_mails() -> None:
    """Let the mails that were sent survive a restart, as MiniStack's other state does."""
    get_state, load_persisted_state = ses.get_state, ses.load_persisted_state

    def get_state_with_mails() -> dict[str, Any]:
        return {**get_state(), "_sent_emails": copy.deepcopy(ses._sent_emails)}

    def load_state_with_mails(state: dict[str, Any]) -> None:
        load_persisted_state(state)
        ses._sent_emails.update(state.get("_sent_emails", {}))

    ses.get_state, ses.load_persisted_state = get_state_with_mails, load_state_with_mails


def end_interrupted_executions() -> None:
    """End executions that can't go on after a restart as aborted, rather than as failed.

    On AWS nothing interrupts them. Here the event of an aborted execution lets who watches for
    that, such as the application itself, report and clear up.
    """
    load_persisted_state = stepfunctions.load_persisted_state

    def load_state(state: dict[str, Any]) -> None:
        running = {
            execution["executionArn"]
            for execution in state.get("executions", {}).values()
            if execution.get("status") == "RUNNING"
        }
        load_persisted_state(state)
        for execution in stepfunctions._executions.all_values():
            if execution["executionArn"] in running:
                execution.update(status="ABORTED", error=None, cause=None)
                interrupted_executions.append(execution)

    stepfunctions.load_persisted_state = load_state


def announce_interrupted_executions() -> None:
    """Publish the status change of each execution that a restart has ended."""
    while interrupted_executions:
        execution = interrupted_executions.pop()
        _, _, _, region, account, *_ = execution["executionArn"].split(":")
        with request_scope(account, region):
            stepfunctions._emit_execution_status_event(execution)


# --- Step Functions ------------------------------------------------------------------------


def register_sdk_integrations() -> None:
    """Let ``aws-sdk:sagemaker:…`` through, with the error names of the AWS SDK for Java 2.

    The runtime has no entry: MiniStack reaches rest-json services by a table of its own, and
    nothing needs it yet.
    """
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {
        "target_prefix": "SageMaker",
        "protocol": "json",
        "service_key": SERVICE,
    }
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"
    stepfunctions._AWS_SDK_ERROR_CODE_OVERRIDES["sagemaker"] = {
        "ResourceInUse": "ResourceInUseException",
        "ResourceNotFound": "ResourceNotFoundException",
        "ResourceLimitExceeded": "ResourceLimitExceededException",
        # Errors that the service model doesn't declare have the SDK's general name.
        "ValidationException": "SageMakerException",
        "SerializationException": "SageMakerException",
        "UnknownOperationException": "SageMakerException",
    }


def register_optimised_integrations() -> None:
    """Answer ``states:::sagemaker:…``, and know the execution that a task belongs to."""
    for action in OPTIMISED:
        stepfunctions._SERVICE_DISPATCH[f"arn:aws:states:::sagemaker:{action}"] = run_task
    execute_task = stepfunctions._execute_task

    def execute_task_of(
        state_def: Mapping[str, Any], raw_input: Any, execution: Mapping[str, Any], ctx: Any
    ) -> Any:
        # Tasks are handed neither their execution nor their timeout, and .sync needs both to
        # stop a job that nobody waits for any more.
        timeout = state_def.get("TimeoutSeconds")
        tokens = (
            running_execution.set(execution),
            running_timeout.set(float(timeout) if isinstance(timeout, int | float) else None),
        )
        try:
            return execute_task(state_def, raw_input, execution, ctx)
        finally:
            running_execution.reset(tokens[0])
            running_timeout.reset(tokens[1])

    stepfunctions._execute_task = execute_task_of


def run_task(resource: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run one optimised task, ``arn:aws:states:::sagemaker:createTrainingJob.sync`` say."""
    scope = current_scope()
    action, _, pattern = resource.rpartition(":")[2].partition(".")
    operation = action[0].upper() + action[1:]
    if operation not in {name[0].upper() + name[1:] for name in OPTIMISED}:
        raise stepfunctions._ExecutionError(
            "States.Runtime", f"{resource} is not available in the embedded AWS"
        )
    if pattern not in ("", "sync") or (pattern and action not in SYNCHRONOUS):
        raise stepfunctions._ExecutionError(
            "States.Runtime", f"{resource}: SageMaker's {action} has no such pattern"
        )
    execution = running_execution.get()
    if pattern and execution is not None:
        request = with_execution_tags(request, execution["executionArn"])
    try:
        response = operations.call(scope, operation, request)
    except ServiceError as error:
        raise task_error(error) from error
    if not pattern:
        return response
    kind = SYNCHRONOUS[action]
    name = {kind.name: request[kind.name]}
    wanted = tasks.needs_to_follow(scope, operation, name)
    enforcement.authorize_task(execution, resource, wanted)
    return wait_for_job(kind, scope, name[kind.name], resource)


def task_error(error: ServiceError) -> Exception:
    """An error under the name that the optimised integrations give it.

    They name errors as the AWS SDK for Java 1 does: ``SageMaker.ResourceInUseException`` for
    what the service model declares, ``SageMaker.AmazonSageMakerException`` for the rest.
    """
    declared = error.code.startswith("Resource")
    name = f"{error.code}Exception" if declared else "AmazonSageMakerException"
    return stepfunctions._ExecutionError(  # type: ignore[no-any-return]
        f"SageMaker.{name}",
        f"{error.message} (Service: AmazonSageMaker; Status Code: {error.status}; "
        f"Error Code: {error.code}; Request ID: {platform.new_id()})",
    )


def wait_for_job(kind: JobKind, scope: Scope, name: str, resource: str) -> dict[str, Any]:
    """Wait for a job's end; what the task gives, or States.TaskFailed with that as the cause.

    When the execution is stopped or the task times out, the job is stopped too, if the state
    machine's role may do that.
    """
    execution, timeout = running_execution.get(), running_timeout.get()
    deadline = time.monotonic() + timeout if timeout is not None else None
    job = kind.table.get(scope, name)
    if job is None:
        raise stepfunctions._ExecutionError("States.TaskFailed", f"{name} was deleted")
    while not kind.wait_until_ended(job, SYNC_POLL_SECONDS):
        aborted = execution is not None and execution.get("status") not in (None, "RUNNING")
        if aborted or (deadline is not None and time.monotonic() > deadline):
            try:
                wanted = tasks.needs_to_stop(scope, f"Create{kind.kind}", {kind.name: name})
                enforcement.authorize_task(execution, resource, wanted)
                operations.call(scope, f"Stop{kind.kind}", {kind.name: name})
            except (ServiceError, stepfunctions._ExecutionError) as error:
                # It ended in this very moment, or may not be stopped.
                logger.info("%s was not stopped: %s", name, error)
            raise stepfunctions._ExecutionError("States.Timeout", f"{name} was stopped")
    result = task_result(kind, scope, job)
    if job[kind.status] != "Completed":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(result))
    return result


def map_with_jsonata() -> None:
    """Let a Distributed Map have its items, input and output from JSONata, if its role allows it.

    MiniStack evaluates them as JSONPath, whatever the state machine's language, and asks no role
    whether executions may be started. Source: Step Functions developer guide, "Map state in
    Distributed mode", JSONata fields, and "IAM policies for using Distributed Map states".
    """
    run_map = stepfunctions._run_distributed_map

    def run_map_of(
        state: dict[str, Any], raw: Any, effective: Any, processor: Any, execution: Any, ctx: Any
    ) -> Any:
        start = "arn:aws:states:::states:startExecution"
        machine = {"StateMachineArn": execution["stateMachineArn"].partition("/")[0]}
        wanted = tasks.needs_of_task(current_scope(), start, machine)
        enforcement.authorize_task(execution, start, wanted)
        if stepfunctions._state_query_language(state, ctx) != "JSONata" or "ItemReader" in state:
            return run_map(state, raw, effective, processor, execution, ctx)

        def evaluate(name: str, item: tuple[int, Any] | None = None) -> Any:
            of_item = {"Map": {"Item": {"Index": item[0], "Value": item[1]}}} if item else {}
            return stepfunctions._apply_jsonata_template(state[name], raw, {**ctx, **of_item})

        items = stepfunctions._jsonata_state_field(state, "Items", "array", raw, ctx)
        if "ItemSelector" in state:
            items = [evaluate("ItemSelector", item) for item in enumerate(items)]
        # Input, output and items are plain from here on: what is left of the state has no paths.
        plain = {key: evaluate(key) for key in _MAP_LIMITS & state.keys()}
        plain |= {key: state[key] for key in ("Label", "Next", "End") if key in state}
        results, following = run_map(plain, items, items, processor, execution, ctx)
        output = stepfunctions._apply_jsonata_output(
            state, raw, ctx, result=results, default=results
        )
        stepfunctions._apply_state_assign(state, raw, ctx, result=results)
        return output, following

    stepfunctions._run_distributed_map = run_map_of


_MAP_LIMITS = {"MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage"}


# --- the server ----------------------------------------------------------------------------


def warm_up() -> None:
    """Make ahead what the first request would otherwise wait for: clients and models of APIs."""
    scope = Scope("000000000000", "us-east-1")
    platform.s3(scope)
    platform.logs(scope)
    protocol.service_model()
    # Step Functions keeps a copy of its own.
    responses._service_model(SERVICE)


async def serve(host: str, port: int) -> None:
    """Serve MiniStack with SageMaker until SIGTERM or SIGINT; state is saved while stopping."""
    install()
    threading.Thread(target=warm_up, daemon=True).start()
    announcement = asyncio.create_task(announce_once_it_answers(port))
    stopped = threading.Event()
    loops = (
        async_inference.run_forever,
        instance_metrics.run_forever,
        scaling.run_forever,
        saving.run_forever,
    )
    for loop in loops:
        threading.Thread(target=loop, args=(stopped,), daemon=True).start()
    config = Config()
    config.bind = [f"{host}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    try:
        application = enforcement.heeding_protocol(ministack_app.app)
        await hypercorn_serve(origins.guarded(application), config)
    finally:
        stopped.set()
        announcement.cancel()


async def announce_once_it_answers(port: int) -> None:
    """Announce what the last stop has interrupted; whoever reacts needs the server."""
    await ministack_app._wait_for_port(port)
    await asyncio.to_thread(announce_interrupted_executions)
    await asyncio.to_thread(persistence.end_interrupted)
