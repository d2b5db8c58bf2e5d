"""Starting the state machine, once a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

from pipeline.errors import Refusal


def start_run(sfn: SFNClient, state_machine_arn: str, run: str, fields: dict[str, Any]) -> None:
    """Start the execution that is named after the run; if there was one already, do nothing.

    Names of standard executions are kept for 90 days. Source: Step Functions API reference,
    StartExecution.
    """
    try:
        sfn.start_execution(
            stateMachineArn=state_machine_arn, name=run, input=json.dumps({"run": run, **fields})
        )
    except sfn.exceptions.ExecutionAlreadyExists:
        return


def start_refused_run(
    sfn: SFNClient,
    state_machine_arn: str,
    run: str,
    fields: dict[str, Any],
    refusal: Refusal,
) -> None:
    """Start an execution that only reports: a file refused before training is mailed too."""
    start_run(sfn, state_machine_arn, run, {**fields, "refusal": refusal.as_dict()})
