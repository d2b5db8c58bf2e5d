"""What went wrong, in words: from the error that a state machine caught."""

from __future__ import annotations

import json
from typing import Any

TRAINING_REMEDIES = {
    "CapacityError": "AWS has no such instance to spare now. Upload the file again later, or "
    "deploy with another TrainingInstanceType.",
    "InternalServerError": "SageMaker failed, not the file. Upload the file again.",
    "": "Look at the training job's log in the log group /aws/sagemaker/TrainingJobs.",
}
"""By how the reason of a job's failure begins. The state machine has tried the first two again."""
_AGAIN = "Upload the file again. If it fails again, look at the execution named after the run."


def explain(error: str, cause: str) -> dict[str, str]:
    """Return code, message and remedy for a task's ``Error`` and ``Cause``.

    The cause of a failed ``.sync`` task is the Describe answer as JSON; that of a failed function
    is ``{"errorType": …, "errorMessage": …}``; else it is plain text.
    Source: Step Functions developer guide, "Handling errors".
    """
    detail = _parse(cause)
    if reason := detail.get("FailureReason"):
        remedy = next(said for kind, said in TRAINING_REMEDIES.items() if reason.startswith(kind))
        return {"code": "TrainingFailed", "message": reason, "remedy": remedy}
    if message := detail.get("errorMessage"):
        kind = detail.get("errorType", error)
        return {"code": kind, "message": f"{kind}: {message}", "remedy": _AGAIN}
    if "ExecutionArn" in detail:
        return _of_execution(detail)
    if error == "States.Timeout":
        return {
            "code": "Timeout",
            "message": "A step took too long.",
            "remedy": "Find the step in the execution named after the run, then upload again.",
        }
    if "ResourceLimitExceeded" in error:
        return {
            "code": "ResourceLimitExceeded",
            "message": cause,
            "remedy": "Ask for a higher quota in Service Quotas, or choose another instance type "
            "or endpoint kind, and upload the file again.",
        }
    return {"code": error, "message": cause or error, "remedy": _AGAIN}


def _of_execution(described: dict[str, Any]) -> dict[str, str]:
    """Return why an execution that the run waited for came to no end of its own."""
    machine = described["StateMachineArn"].rpartition(":")[2]
    status = described["Status"]
    why = described.get("Cause") or described.get("Error")
    return {
        "code": "ExecutionTimedOut" if status == "TIMED_OUT" else "ExecutionFailed",
        "message": f"The execution {described['Name']} of {machine} ended as {status}"
        + (f": {why}" if why else "."),
        "remedy": "Look at that execution, unless somebody stopped it. Then upload the file again.",
    }


def _parse(cause: str) -> dict[str, Any]:
    try:
        detail = json.loads(cause)
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}
