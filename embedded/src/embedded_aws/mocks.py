"""What tasks of a state machine answer when they are mocked.

In the format of Step Functions' mock configuration; by the embedded AWS it is set over HTTP.
Source: Step Functions developer guide, "Configuration file for mocked service integrations".
"""

import json
import urllib.request
from typing import Any


def gives(result: Any) -> dict[str, Any]:
    """A task's result."""
    return {"Return": result}


def fails(error: str, cause: str = "as a test") -> dict[str, Any]:
    """A task's error."""
    return {"Throw": {"Error": error, "Cause": cause}}


Answers = dict[str, list[dict[str, Any]]]
"""What each task answers, attempt by attempt; the last answer again and again."""


def mock_configuration(machines: dict[str, dict[str, Answers]]) -> dict[str, Any]:
    """The configuration for state machines by name, each with its test cases by name."""
    responses: dict[str, Any] = {}
    configured: dict[str, Any] = {}
    for machine, cases in machines.items():
        configured[machine] = {"TestCases": {}}
        for case, answers in cases.items():
            named = configured[machine]["TestCases"][case] = {}
            for state, given in answers.items():
                named[state] = f"{machine}/{case}/{state}"
                attempts = {str(number): answer for number, answer in enumerate(given)}
                attempts[f"{len(given)}-9999"] = given[-1]
                responses[named[state]] = {
                    key: answer for key, answer in attempts.items() if answer
                }
    return {"StateMachines": configured, "MockedResponses": responses}


def configure(endpoint_url: str, **settings: Any) -> None:
    """Set ``_sfn_mock_config`` or ``_SFN_WAIT_SCALE`` of the embedded Step Functions."""
    body = json.dumps({f"stepfunctions.{name}": value for name, value in settings.items()})
    request = urllib.request.Request(
        f"{endpoint_url}/_ministack/config", data=body.encode(), method="POST"
    )
    urllib.request.urlopen(request, timeout=10).close()
