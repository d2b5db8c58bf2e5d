"""What deleting the stack would leave running."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pipeline.deployments import Deployments, list_configs, list_endpoints, list_models

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient

POLL_SECONDS = 5.0


class StillThereError(Exception):
    """An endpoint could not be deleted in time: the message names it."""


def stop_runs(sfn: SFNClient, state_machine_arns: Iterable[str]) -> int:
    """Stop the running executions of state machines, and with them their training jobs.

    State machines come in the order in which they start each other. Returns how many runs it were.
    """
    stopped = set()
    executions = sfn.get_paginator("list_executions")
    for state_machine in state_machine_arns:
        for page in executions.paginate(stateMachineArn=state_machine, statusFilter="RUNNING"):
            for execution in page["executions"]:
                arn = execution["executionArn"]
                sfn.stop_execution(executionArn=arn, cause="The stack is deleted")
                stopped.add(execution["name"])
    return len(stopped)


def let_logs_expire(logs: CloudWatchLogsClient, endpoints: Iterable[str], days: int) -> None:
    """Let the logs of endpoints go some day, also of those that were never validated.

    One that has not started yet has no log.
    """
    for name in endpoints:
        with suppress(logs.exceptions.ResourceNotFoundException):
            logs.put_retention_policy(
                logGroupName=f"/aws/sagemaker/Endpoints/{name}", retentionInDays=days
            )


def stop_scaling(
    autoscaling: ApplicationAutoScalingClient,
    cloudwatch: CloudWatchClient,
    endpoints: Iterable[str],
    stack: str,
) -> None:
    """Let endpoints keep the instances that they have, and delete the alarms that wake them.

    Most endpoints don't scale, and have no alarm.
    """
    for name in endpoints:
        with suppress(autoscaling.exceptions.ObjectNotFoundException):
            autoscaling.deregister_scalable_target(
                ServiceNamespace="sagemaker",
                ResourceId=f"endpoint/{name}/variant/AllTraffic",
                ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            )
        with suppress(cloudwatch.exceptions.ResourceNotFound):
            cloudwatch.delete_alarms(AlarmNames=[f"{stack}/wake/{name}"])


def delete_deployments(
    sagemaker: SageMakerClient, deployments: Deployments, *, deadline: float
) -> None:
    """Delete endpoints, then configurations and models; only what is there.

    An endpoint that is being created can't be deleted yet, and is waited for until `deadline`, on
    the clock of `time.monotonic`.

    Raises
    ------
    StillThereError
        It took too long.
    """
    endpoints = partial(list_endpoints, sagemaker)
    for name in deployments.endpoints:
        while not _delete(sagemaker.delete_endpoint, endpoints, EndpointName=name):
            if time.monotonic() + POLL_SECONDS > deadline:
                raise StillThereError(
                    f"The endpoint {name} is still being created: delete it by hand."
                )
            time.sleep(POLL_SECONDS)
    configs, models = partial(list_configs, sagemaker), partial(list_models, sagemaker)
    for name in deployments.configs:
        _delete(sagemaker.delete_endpoint_config, configs, EndpointConfigName=name)
    for name in deployments.models:
        _delete(sagemaker.delete_model, models, ModelName=name)


def _delete(
    delete: Callable[..., object], list_names: Callable[[], list[str]], **named: str
) -> bool:
    """Return whether the thing is gone; False while SageMaker is still busy with it.

    Permission depends on a tag, so that to delete what has gone meanwhile is denied rather than
    not found: only a new list tells that from a right that is missing.
    """
    try:
        delete(**named)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "AccessDeniedException" and not set(named.values()) & set(list_names()):
            return True
        # SageMaker has one code for all of these; only the message tells them apart.
        if code != "ValidationException":
            raise
        return "in-progress" not in error.response["Error"]["Message"]
    return True
