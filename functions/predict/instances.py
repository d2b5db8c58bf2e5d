"""What a client sends, checked and turned into the rows that the endpoint takes."""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.transform import BadValue, Transform

MAX_INSTANCES = 10_000
"""Few enough that an answer comes in time, and fits."""

_SHOWN = 80


class BadRequest(Exception):
    """The request can't be answered; `status` is the HTTP status that says why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def request_to_csv(content_type: str, body: str, transform: Transform) -> list[str]:
    """Return the instances of a request as lines of CSV that hold what the model sees.

    Parameters
    ----------
    content_type
        ``application/json`` with ``{"instances": […]}``, each a list of values or an object by
        feature name; or ``text/csv`` rows of features, with or without their names first.

    Raises
    ------
    BadRequest
        With status 400 (naming the instance and the feature), 413 or 415.
    """
    features = [encoding.name for encoding in transform.encodings]
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json":
        rows = _json_rows(body, features)
    elif media_type == "text/csv":
        rows = _csv_rows(body, features)
    else:
        raise BadRequest(
            415,
            "UnsupportedMediaType",
            f'"{media_type}" is not understood: send application/json or text/csv.',
        )
    if not rows:
        raise BadRequest(400, "NoInstances", "There is no instance to predict.")
    if len(rows) > MAX_INSTANCES:
        raise BadRequest(
            413,
            "TooManyInstances",
            f"There are {len(rows):,} instances, more than the {MAX_INSTANCES:,} that are "
            "predicted at once: send them in several requests.",
        )
    try:
        seen = transform.apply(rows)
    except BadValue as error:
        value = rows[error.row][features.index(error.column)]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        raise _invalid(error.row, f': "{error.column}" {error.why}: {text[:_SHOWN]}.') from error
    return csv_rows(seen).decode().splitlines(keepends=True)


def csv_rows(rows: Sequence[array[float]]) -> bytes:
    """Return rows as an endpoint takes them; nine digits tell any 32-bit float from all others."""
    line = ",".join(["%.9g"] * len(rows[0])) + "\n"
    return "".join([line % tuple(row) for row in rows]).encode()


def _json_rows(body: str, features: Sequence[str]) -> list[list[Any]]:
    try:
        content = json.loads(body, parse_int=float)
    except RecursionError as error:
        raise BadRequest(400, "InvalidJson", "The body is nested too deeply.") from error
    except ValueError as error:
        raise BadRequest(400, "InvalidJson", f"The body is not JSON: {error}.") from error
    instances = content.get("instances") if isinstance(content, dict) else None
    if not isinstance(instances, list):
        raise BadRequest(400, "NoInstances", 'The body must be an object with a list "instances".')
    known = frozenset(features)
    return [_instance(number, each, features, known) for number, each in enumerate(instances)]


def _instance(
    number: int, instance: Any, features: Sequence[str], known: frozenset[str]
) -> list[Any]:
    if isinstance(instance, list):
        _check_width(number, len(instance), features)
        return instance
    if not isinstance(instance, Mapping):
        raise _invalid(number, " must be a list of values or an object by feature name.")
    if instance.keys() != known:
        missing = next((name for name in features if name not in instance), None)
        unknown = next((name for name in instance if name not in known), "")
        what = f'has an unknown "{unknown[:_SHOWN]}"' if missing is None else f'has no "{missing}"'
        raise _invalid(number, f" {what}; the features are {', '.join(features)}.")
    return [instance[name] for name in features]


def _csv_rows(body: str, features: Sequence[str]) -> list[list[Any]]:
    try:
        records = [
            [field.strip() for field in record]
            for record in csv.reader(io.StringIO(body.removeprefix("\ufeff")), strict=True)
            if record
        ]
    except csv.Error as error:
        raise BadRequest(400, "InvalidCsv", f"The body is not CSV: {error}.") from error
    order = list(range(len(features)))
    if records and sorted(records[0]) == sorted(features):
        header = records.pop(0)
        order = [header.index(name) for name in features]
    for number, record in enumerate(records):
        _check_width(number, len(record), features)
    return [[record[place] for place in order] for record in records]


def _check_width(number: int, width: int, features: Sequence[str]) -> None:
    if width != len(features):
        raise _invalid(
            number,
            f" has {width} value{'' if width == 1 else 's'} where the model has "
            f"{len(features)} features: {', '.join(features)}.",
        )


def _invalid(number: int, what: str) -> BadRequest:
    return BadRequest(400, "InvalidInstance", f"Instance {number}{what}")
