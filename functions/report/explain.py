"""What went wrong, in words: from the error that a state machine caught."""

from __future__ import annotations

import json
from typing import Any

REMEDIES = {
    "Train": "Look at the training job's log in the log group /aws/sagemaker/TrainingJobs.",
    "Endpoint": "Look at the endpoint's log in the log group /aws/sagemaker/Endpoints/<run>.",
}
_AGAIN = "Upload the file again. If it fails again, look at the execution named after the run."


def explain(error: str, cause: str) -> dict[str, str]:
    """Return code, message and remedy for a task's ``Error`` and ``Cause``.

    The cause of a failed ``.sync`` task is the Describe answer as JSON; that of a failed function
    is ``{"errorType": …, "errorMessage": …}``; else it is plain text.
    Source: Step Functions developer guide, "Handling errors".
    """
    detail = _parse(cause)
    if reason := detail.get("FailureReason"):
        return {"code": "TrainingFailed", "message": reason, "remedy": REMEDIES["Train"]}
    if message := detail.get("errorMessage"):
        kind = detail.get("errorType", error)
        return {"code": kind, "message": f"{kind}: {message}", "remedy": _AGAIN}
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


def _parse(cause: str) -> dict[str, Any]:
    try:
        detail = json.loads(cause)
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}
