"""Teardown: before the stack is deleted, what its runs have deployed goes."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.utilities.data_classes import (
    CloudFormationCustomResourceEvent,
    event_source,
)

from pipeline.deployments import find_deployments
from pipeline.handling import deadline_of, logger, read_environment, tracer
from teardown.leftovers import (
    StillThereError,
    delete_deployments,
    let_logs_expire,
    stop_runs,
    stop_scaling,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True)
class Environment:
    """What Teardown is told. The state machines are in the order in which they start each other."""

    large_file_state_machine_arn: str
    state_machine_arn: str
    deploy_state_machine_arn: str
    canary_state_machine_arn: str
    scale_state_machine_arn: str
    retire_state_machine_arn: str
    score_state_machine_arn: str
    registry_table: str
    stack_name: str
    log_retention_in_days: float


environment = read_environment(Environment)
sfn = boto3.client("stepfunctions")
sagemaker = boto3.client("sagemaker")
autoscaling = boto3.client("application-autoscaling")
cloudwatch = boto3.client("cloudwatch")
logs = boto3.client("logs")
registry = boto3.resource("dynamodb").Table(environment.registry_table)


@logger.inject_lambda_context(correlation_id_path="RequestId", clear_state=True)
@tracer.capture_lambda_handler
@event_source(data_class=CloudFormationCustomResourceEvent)
def handler(event: CloudFormationCustomResourceEvent, context: LambdaContext) -> None:
    """Answer CloudFormation; only a deletion does anything."""
    deadline = deadline_of(context)
    try:
        if event.request_type == "Delete":
            tear_down(deadline)
    except StillThereError as error:
        respond(event, "FAILED", str(error))
    # Whatever it is, CloudFormation must hear of it, or it waits for an hour. Raised, it would only
    # let Lambda try again, and delete what CloudFormation has been told is left.
    except Exception:
        logger.exception("not torn down")
        respond(event, "FAILED", f"See the log stream {context.log_stream_name}.")
    else:
        respond(event, "SUCCESS", "")


def tear_down(deadline: float) -> None:
    """Stop what runs, then delete what has been deployed."""
    machines = (
        environment.large_file_state_machine_arn,
        environment.state_machine_arn,
        environment.deploy_state_machine_arn,
        environment.canary_state_machine_arn,
        environment.scale_state_machine_arn,
        environment.retire_state_machine_arn,
        environment.score_state_machine_arn,
    )
    stopped = stop_runs(sfn, machines)
    deployments = find_deployments(sagemaker, registry)
    let_logs_expire(logs, deployments.endpoints, int(environment.log_retention_in_days))
    stop_scaling(autoscaling, cloudwatch, deployments.endpoints, environment.stack_name)
    delete_deployments(sagemaker, deployments, deadline=deadline)
    logger.info("torn down", extra={"executions": stopped, "runs": deployments.runs})


def respond(event: CloudFormationCustomResourceEvent, status: str, reason: str) -> None:
    """Send the answer to the address that came with the request.

    Source: CloudFormation user guide, "Custom resource response objects".
    """
    answer: dict[str, Any] = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": event.get("PhysicalResourceId", "teardown"),
        "StackId": event.stack_id,
        "RequestId": event.request_id,
        "LogicalResourceId": event.logical_resource_id,
    }
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own presigned https address
        event.response_url,
        data=json.dumps(answer).encode(),
        method="PUT",
        headers={"Content-Type": ""},
    )
    urllib.request.urlopen(request, timeout=20).close()  # noqa: S310
