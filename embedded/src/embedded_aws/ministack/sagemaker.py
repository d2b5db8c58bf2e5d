"""SageMaker as one of MiniStack's services, and in the tasks of Step Functions."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions

from embedded_aws.aws import platform, protocol
from embedded_aws.aws.errors import ServiceError
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import authorization, services, tasks
from embedded_aws.ministack.patch import Function, add, patch
from embedded_aws.ministack.stepfunctions import authorize_task, running_task
from embedded_aws.sagemaker import http, operations, permissions, persistence
from embedded_aws.sagemaker.hosting import async_inference, runtime
from embedded_aws.sagemaker.jobs import JobKind
from embedded_aws.sagemaker.requests import RUNTIME, SERVICE, TARGET_PREFIX
from embedded_aws.sagemaker.synchronous_tasks import SYNCHRONOUS, task_result, with_execution_tags

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
NO_SAGEMAKER = "MiniStack has no sagemaker"

logger = logging.getLogger(__name__)

services.register(
    SERVICE,
    http.respond,
    permissions.needs_of_request,
    persistence,
    TARGET_PREFIX,
    r"(api|runtime)\.sagemaker\.",
)


def run_task(resource: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run one optimised task, ``arn:aws:states:::sagemaker:createTrainingJob.sync`` say."""
    scope = authorization.current_scope()
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
    task = running_task.get()
    execution = task.execution if task else None
    if pattern and execution is not None:
        request = with_execution_tags(request, execution["executionArn"])
    try:
        response = operations.API.call(scope, operation, request)
    except ServiceError as error:
        raise task_error(error) from error
    if not pattern:
        return response
    kind = SYNCHRONOUS[action]
    name = {kind.name: request[kind.name]}
    wanted = tasks.needs_to_follow(scope, operation, name)
    authorize_task(execution, resource, wanted)
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
    task = running_task.get()
    execution = task.execution if task else None
    timeout = task.timeout if task else None
    deadline = time.monotonic() + timeout if timeout is not None else None
    job = kind.table.get(scope, name)
    if job is None:
        raise stepfunctions._ExecutionError("States.TaskFailed", f"{name} was deleted")
    while not kind.wait_until_ended(job, SYNC_POLL_SECONDS):
        aborted = execution is not None and execution.get("status") not in (None, "RUNNING")
        if aborted or (deadline is not None and time.monotonic() > deadline):
            try:
                wanted = tasks.needs_to_stop(scope, f"Create{kind.kind}", {kind.name: name})
                authorize_task(execution, resource, wanted)
                operations.API.call(scope, f"Stop{kind.kind}", {kind.name: name})
            except (ServiceError, stepfunctions._ExecutionError) as error:
                # It ended in this very moment, or may not be stopped.
                logger.info("%s was not stopped: %s", name, error)
            raise stepfunctions._ExecutionError("States.Timeout", f"{name} was stopped")
    result = task_result(kind, scope, job)
    if job[kind.status] != "Completed":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(result))
    return result


RUNTIME_PREFIX = "SageMakerRuntime"
INVOKED: dict[str, Callable[..., tuple[dict[str, str], Any]]] = {
    "invokeEndpoint": runtime.invoke_endpoint,
    "invokeEndpointAsync": async_inference.invoke_endpoint_async,
}


@patch(stepfunctions, "_invoke_aws_sdk_integration", serves=NO_SAGEMAKER)
def run_sdk_task(original: Function, resource: str, input_data: Any) -> Any:
    """Run a task of the runtime, ``aws-sdk:sagemakerruntime:invokeEndpoint`` say, or any other.

    MiniStack's way to rest-json services knows neither their headers nor bodies that aren't JSON.
    """
    service, _, action = resource.removeprefix("arn:aws:states:::aws-sdk:").partition(":")
    if service != "sagemakerruntime" or action not in INVOKED:
        return original(resource, input_data)
    try:
        return invoke_endpoint(action, dict(input_data))
    except ServiceError as error:
        # As the AWS SDK for Java 2 names what the service model declares, and the rest.
        declared = {"ModelError", "ValidationError", "ModelNotReadyException"}
        name = error.code if error.code in declared else f"{RUNTIME_PREFIX}Exception"
        raise stepfunctions._ExecutionError(
            f"{RUNTIME_PREFIX}.{name.removesuffix('Exception')}Exception",
            f"{error.message} (Service: {RUNTIME_PREFIX}, Status Code: {error.status}, "
            f"Request ID: {platform.new_id()})",
        ) from error


def invoke_endpoint(action: str, request: dict[str, Any]) -> dict[str, Any]:
    """Invoke an endpoint with a request of members, and give the answer's members.

    A body is text, or else sent as JSON; so state machines write either: Step Functions developer
    guide, "AWS SDK service integrations", and definitions in public repositories.
    """
    operation = action[0].upper() + action[1:]
    given = request.pop("Body", "")
    body = given if isinstance(given, str) else json.dumps(given)
    try:
        protocol.check_request(RUNTIME, operation, {**request, "Body": body})
    except ServiceError as error:
        raise ServiceError("ValidationError", error.message) from error
    headers, answered = INVOKED[action](authorization.current_scope(), request, body.encode())
    shape = protocol.operation_model(RUNTIME, operation).output_shape
    locations = {
        name: str(member.serialization.get("name", "")).lower()
        for name, member in (shape.members.items() if shape else ())
    }
    members: dict[str, Any] = {
        name: headers[header] for name, header in locations.items() if header in headers
    }
    members.update({"Body": answered.decode()} if isinstance(answered, bytes) else answered)
    return members


for action in OPTIMISED:
    integration = f"arn:aws:states:::sagemaker:{action}"
    add(stepfunctions._SERVICE_DISPATCH, integration, run_task, serves=NO_SAGEMAKER)
# What ``aws-sdk:sagemaker:…`` takes, with the error names of the AWS SDK for Java 2.
for table, entry in (
    (
        stepfunctions._AWS_SDK_SERVICE_MAP,
        {"target_prefix": "SageMaker", "protocol": "json", "service_key": SERVICE},
    ),
    (stepfunctions._AWS_SDK_ERROR_PREFIX, "SageMaker"),
    (
        stepfunctions._AWS_SDK_ERROR_CODE_OVERRIDES,
        {
            "ResourceInUse": "ResourceInUseException",
            "ResourceNotFound": "ResourceNotFoundException",
            "ResourceLimitExceeded": "ResourceLimitExceededException",
            # Errors that the service model doesn't declare have the SDK's general name.
            "ValidationException": "SageMakerException",
            "SerializationException": "SageMakerException",
            "UnknownOperationException": "SageMakerException",
        },
    ),
):
    add(table, SERVICE, entry, serves=NO_SAGEMAKER)
add(stepfunctions._AWS_SDK_ERROR_PREFIX, "sagemakerruntime", RUNTIME_PREFIX, serves=NO_SAGEMAKER)
