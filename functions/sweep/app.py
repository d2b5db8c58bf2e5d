"""Sweep: every few minutes, what is not as the registry says is put in order."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.deployments import find_deployments
from pipeline.handling import deadline_of, logger, metrics, read_environment, tracer
from pipeline.layout import AsyncFolder, RunFolder, dataset_of_run
from pipeline.redeployment import FileGone, Redeployer
from pipeline.registry import end_canary, run_sort
from sweep.findings import Findings, find

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef


@dataclass(frozen=True)
class Environment:
    """What Sweep is told."""

    large_file_state_machine_arn: str
    state_machine_arn: str
    retire_state_machine_arn: str
    registry_table: str
    runs_bucket: str
    runs_to_keep: float


environment = read_environment(Environment)
s3 = boto3.client("s3")
sfn = boto3.client("stepfunctions")
sagemaker = boto3.client("sagemaker")
registry = boto3.resource("dynamodb").Table(environment.registry_table)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Put in order what is not as it should be; with ``dry_run`` only say what that is."""
    logger.set_correlation_id(context.aws_request_id)
    deadline = deadline_of(context)
    executions = set(running())
    deployments = find_deployments(sagemaker, registry)
    items = {(item["dataset"], item["sort"]): item for item in registered()}
    keep = int(environment.runs_to_keep)
    now = datetime.now(UTC)
    found = find(list(items.values()), deployments, executions, now, runs_to_keep=keep)
    logger.info("swept", extra={"found": asdict(found)})
    # A metric that nothing is put into costs nothing.
    if missing := found.missing + found.given_up:
        metrics.add_metric("MissingEndpoints", MetricUnit.Count, len(missing))
    if event.get("dry_run"):
        return asdict(found)
    return asdict(put_in_order(found, items, now, deadline))


def running() -> Iterator[str]:
    """Yield the names of executions that are running."""
    machines = (
        environment.large_file_state_machine_arn,
        environment.state_machine_arn,
        environment.retire_state_machine_arn,
    )
    executions = sfn.get_paginator("list_executions")
    for machine in machines:
        for page in executions.paginate(stateMachineArn=machine, statusFilter="RUNNING"):
            yield from (execution["name"] for execution in page["executions"])


def registered() -> Iterator[dict[str, Any]]:
    """Yield all items of the registry."""
    query: dict[str, Any] = {"ConsistentRead": True}
    while True:
        page = registry.scan(**query)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def put_in_order(
    found: Findings, items: dict[tuple[str, str], dict[str, Any]], now: datetime, deadline: float
) -> Findings:
    """Start what retires, reports and deploys again, and delete old files.

    Each by itself: what can't be done for one run doesn't keep others from it. Returns the
    findings, with models that could not be deployed again among those that are given up.
    """
    for run in found.tried:
        end_canary(registry, dataset_of_run(run), run)
    for run in found.orphans:
        start(environment.retire_state_machine_arn, run, now, {"run": run})
    for run in found.lost:
        start(environment.state_machine_arn, run, now, {"run": run, "interrupted": "LOST"})
    redeployer = Redeployer(
        s3, registry, sfn, environment.runs_bucket, environment.state_machine_arn
    )
    failed = []
    for run in found.missing:
        try:
            new = redeployer.redeploy(items[dataset_of_run(run), run_sort(run)], repairs=True)
            logger.warning("deployed again", extra={"run": run, "by": new})
        except (BotoCoreError, ClientError, FileGone):
            logger.exception("not deployed again", extra={"run": run})
            failed.append(run)
    for run in found.expired:
        expire(run, deadline)
    missing = [run for run in found.missing if run not in failed]
    return replace(found, missing=missing, given_up=found.given_up + failed)


def start(machine: str, run: str, now: datetime, what: dict[str, str]) -> None:
    """Start an execution about a run, once a day at the most."""
    try:
        sfn.start_execution(
            stateMachineArn=machine, name=execution_name(run, now), input=json.dumps(what)
        )
    except sfn.exceptions.ExecutionAlreadyExists:
        return
    except ClientError:
        logger.exception("not started", extra={"run": run})


def execution_name(run: str, now: datetime) -> str:
    """Return a name that is none of a run's: the rule for interrupted runs passes it over."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run} {now:%Y-%m-%d}"))


def expire(run: str, deadline: float) -> None:
    """Delete a run's files; what there is no time for is deleted the next time."""
    listing = s3.get_paginator("list_objects_v2")
    for page in (
        page
        for folder in (RunFolder(run), AsyncFolder(run))
        for page in listing.paginate(Bucket=environment.runs_bucket, Prefix=f"{folder.prefix}/")
    ):
        if time.monotonic() > deadline:
            return
        found: list[ObjectIdentifierTypeDef] = [
            {"Key": each["Key"]} for each in page.get("Contents", ())
        ]
        if found:
            answer = s3.delete_objects(
                Bucket=environment.runs_bucket, Delete={"Objects": found, "Quiet": True}
            )
            if errors := answer.get("Errors"):
                logger.error("not deleted", extra={"run": run, "code": errors[0].get("Code")})
                return
    registry.update_item(
        Key={"dataset": dataset_of_run(run), "sort": run_sort(run)},
        UpdateExpression="SET expired = :now",
        ConditionExpression="attribute_exists(dataset)",
        ExpressionAttributeValues={":now": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"},
    )
