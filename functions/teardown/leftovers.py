"""What runs have made outside the stack, and what deleting the stack would leave running."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.registry import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient

POLL_SECONDS = 5.0


class StillThereError(Exception):
    """An endpoint could not be deleted in time: the message names it."""


def stop_executions(sfn: SFNClient, state_machine_arn: str) -> int:
    """Stop the running executions of a state machine, their training jobs with them."""
    stopped = 0
    pages = sfn.get_paginator("list_executions").paginate(
        stateMachineArn=state_machine_arn, statusFilter="RUNNING"
    )
    for page in pages:
        for execution in page["executions"]:
            sfn.stop_execution(executionArn=execution["executionArn"], cause="The stack is deleted")
            stopped += 1
    return stopped


def deployed_runs(table: Table) -> Iterator[str]:
    """Yield the runs whose endpoint may still be there."""
    query: dict[str, Any] = {
        "FilterExpression": "begins_with(#sort, :run) AND #status <> :retired",
        "ExpressionAttributeNames": {"#sort": "sort", "#status": "status"},
        "ExpressionAttributeValues": {":run": "run#", ":retired": str(Status.RETIRED)},
    }
    while True:
        page = table.scan(**query)
        for item in page["Items"]:
            yield str(item["run"])
        if "LastEvaluatedKey" not in page:
            return
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def delete_run(sagemaker: SageMakerClient, run: str, *, deadline: float) -> None:
    """Delete a run's endpoint, configuration and model; what isn't there is passed over.

    An endpoint that is being created can't be deleted yet, and is waited for until `deadline`, on
    the clock of `time.monotonic`.

    Raises
    ------
    StillThereError
        It took too long.
    """
    while not _delete(partial(sagemaker.delete_endpoint, EndpointName=run)):
        if time.monotonic() + POLL_SECONDS > deadline:
            raise StillThereError(f"The endpoint {run} is still being created: delete it by hand.")
        time.sleep(POLL_SECONDS)
    _delete(partial(sagemaker.delete_endpoint_config, EndpointConfigName=run))
    _delete(partial(sagemaker.delete_model, ModelName=run))


def _delete(delete: Callable[[], object]) -> bool:
    """Return whether the thing is gone; False while SageMaker is still busy with it."""
    try:
        delete()
    except ClientError as error:
        # SageMaker has one code for all of these; only the message tells them apart.
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return "in-progress" not in error.response["Error"]["Message"]
    return True
