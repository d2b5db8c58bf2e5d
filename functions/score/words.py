"""What the email about a batch says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import layout
from pipeline.wording import percent

_LISTED = 20
"""Classes in an email."""


def subject(told: Mapping[str, Any]) -> str:
    """Return the email's subject for what ``status.json`` tells of a batch."""
    file = " ".join(told["file"].split())[:100]
    if "error" in told:
        return f"{file} was not scored"
    return f"{file}: {_rows(told['scored'])} scored by {told['dataset']}"


def body(told: Mapping[str, Any], folder: str, api_url: str) -> str:
    """Return the email's text; `folder` is the address of the batch's files.

    With an empty `api_url` there is no page to link to.
    """
    return "\n".join(_lines(told, folder, api_url)) + "\n"


def _lines(told: Mapping[str, Any], folder: str, api_url: str) -> Iterator[str]:
    if error := told.get("error"):
        yield f"We could not score {told['file']}."
        yield ""
        yield f"Why: {error['message']}"
        yield f"What to do: {error['remedy']}"
        return
    rows = _rows(told["scored"])
    yield f"The live model of {told['dataset']} scored {rows} of {told['file']}."
    if told["set_aside"]:
        yield f"We set {_rows(told['set_aside'])} aside; {layout.BATCH_REJECTS} says why."
    yield ""
    yield "What it predicts:"
    for name, count in list(told["predicted"].items())[:_LISTED]:
        yield f"  {name}: {_rows(count)} ({percent(count / told['scored'])})"
    if (more := len(told["predicted"]) - _LISTED) > 0:
        yield f"  and {more:,} more classes"
    yield ""
    if api_url:
        yield f"Result: {api_url}/#/{told['dataset']}/batches/{told['batch']}"
    yield f"Download it: aws s3 cp {folder}/{layout.RESULT} ."
    if told["set_aside"]:
        yield f"Rows set aside: aws s3 cp {folder}/{layout.BATCH_REJECTS} ."
    yield f"Model: {told['run']}"


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"
