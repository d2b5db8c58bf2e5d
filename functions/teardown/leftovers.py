"""What runs have made outside the stack, and what deleting the stack would leave running."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pipeline.registry import run_sort
from pipeline.run import RUN, dataset_of_run

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


def deployed_runs(sagemaker: SageMakerClient, table: Table) -> list[str]:
    """Return the runs in the registry of which an endpoint, configuration or model is there.

    What SageMaker has is the truth: a run may have stopped half-way. Others' endpoints, another
    stack's among them, are not in this stack's registry.
    """
    names = sorted({name for name in _deployed_names(sagemaker) if RUN.fullmatch(name)})
    return [
        name
        for name in names
        if "Item" in table.get_item(Key={"dataset": dataset_of_run(name), "sort": run_sort(name)})
    ]


def _deployed_names(sagemaker: SageMakerClient) -> Iterator[str]:
    for endpoints in sagemaker.get_paginator("list_endpoints").paginate():
        yield from (endpoint["EndpointName"] for endpoint in endpoints["Endpoints"])
    for configs in sagemaker.get_paginator("list_endpoint_configs").paginate():
        yield from (config["EndpointConfigName"] for config in configs["EndpointConfigs"])
    for models in sagemaker.get_paginator("list_models").paginate():
        yield from (model["ModelName"] for model in models["Models"])


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
