"""What a client sends, checked and turned into the CSV that the endpoint takes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.numbers import fits_float32, plain_number
from pipeline.schema import is_missing
from pipeline.transform import Transform

MAX_REQUEST_BYTES = 4 * 1000 * 1000
"""What a serverless endpoint takes at once, the least of the endpoint kinds.
Source: SageMaker developer guide, "Deploy models with Amazon SageMaker Serverless Inference"."""

MAX_INSTANCES = 10_000
"""Narrow instances grow in the answer, of which a function can give 6 MB.
Source: Lambda developer guide, "Lambda quotas"."""


class BadRequest(Exception):
    """The request can't be answered; `status` is the HTTP status that says why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def request_to_csv(
    content_type: str,
    body: str,
    features: Sequence[str],
    transform: Transform | None = None,
    *,
    imputes: bool = False,
) -> bytes:
    """Return the instances of a request as CSV rows of features, in the model's order.

    Parameters
    ----------
    content_type
        ``application/json`` with ``{"instances": […]}``, each a list of numbers or an object by
        feature name; or ``text/csv`` rows of features, with or without their names first.
    transform
        What is done to features before the model sees them.
    imputes
        Whether values may be missing: null, or as in the files.

    Raises
    ------
    BadRequest
        With status 400 (naming the instance and the feature), 413 or 415.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json":
        rows = _json_rows(body, features, imputes)
    elif media_type == "text/csv":
        rows = _csv_rows(body, features, imputes)
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
    if transform:
        rows = [transform.apply(row) for row in rows]
    csv_rows = "".join(f"{','.join(row)}\n" for row in rows).encode()
    if len(csv_rows) > MAX_REQUEST_BYTES:
        raise BadRequest(
            413,
            "TooManyInstances",
            f"The instances take {len(csv_rows):,} bytes as CSV, more than the "
            f"{MAX_REQUEST_BYTES:,} that an endpoint takes at once: send them in several requests.",
        )
    return csv_rows


def _json_rows(body: str, features: Sequence[str], imputes: bool) -> list[list[str]]:
    try:
        content = json.loads(body)
    except RecursionError as error:
        raise BadRequest(400, "InvalidJson", "The body is nested too deeply.") from error
    except ValueError as error:
        raise BadRequest(400, "InvalidJson", f"The body is not JSON: {error}.") from error
    instances = content.get("instances") if isinstance(content, dict) else None
    if not isinstance(instances, list):
        raise BadRequest(400, "NoInstances", 'The body must be an object with a list "instances".')
    return [
        _instance(number, instance, features, imputes) for number, instance in enumerate(instances)
    ]


def _instance(number: int, instance: Any, features: Sequence[str], imputes: bool) -> list[str]:
    if isinstance(instance, Mapping):
        missing = [name for name in features if name not in instance]
        unknown = [name for name in instance if name not in features]
        if missing or unknown:
            what = f'has no "{missing[0]}"' if missing else f'has an unknown "{unknown[0]}"'
            raise BadRequest(
                400,
                "InvalidInstance",
                f"Instance {number} {what}; the features are {', '.join(features)}.",
            )
        values: list[Any] = [instance[name] for name in features]
    elif isinstance(instance, list):
        _check_width(number, len(instance), features)
        values = instance
    else:
        raise BadRequest(
            400,
            "InvalidInstance",
            f"Instance {number} must be a list of numbers or an object by feature name.",
        )
    return [
        _number(number, name, value, imputes) for name, value in zip(features, values, strict=True)
    ]


def _csv_rows(body: str, features: Sequence[str], imputes: bool) -> list[list[str]]:
    try:
        records = [
            [field.strip() for field in record]
            for record in csv.reader(io.StringIO(body.removeprefix("\ufeff")), strict=True)
            if record
        ]
    except csv.Error as error:
        raise BadRequest(400, "InvalidCsv", f"The body is not CSV: {error}.") from error
    order: Iterable[int] = range(len(features))
    if records and sorted(records[0]) == sorted(features):
        header = records.pop(0)
        order = [header.index(name) for name in features]
    rows = []
    for number, record in enumerate(records):
        _check_width(number, len(record), features)
        rows.append(
            [
                _number(number, name, record[place], imputes)
                for name, place in zip(features, order, strict=True)
            ]
        )
    return rows


def _check_width(number: int, width: int, features: Sequence[str]) -> None:
    if width != len(features):
        raise BadRequest(
            400,
            "InvalidInstance",
            f"Instance {number} has {width} value{'' if width == 1 else 's'} where the model has "
            f"{len(features)} features: {', '.join(features)}.",
        )


def _number(number: int, name: str, value: Any, imputes: bool) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if imputes and (value is None or is_missing(text)):
        return ""
    is_number = isinstance(value, str | int | float) and not isinstance(value, bool)
    plain = plain_number(text) if is_number else None
    if plain is None:
        raise BadRequest(
            400, "InvalidInstance", f'Instance {number}: "{name}" is not a number: {text[:80]}.'
        )
    if not fits_float32(plain):
        raise BadRequest(
            400,
            "InvalidInstance",
            f'Instance {number}: "{name}" is too large for a 32-bit float: {text[:80]}.',
        )
    return plain
