"""Requests for predictions and their answers, by content type.

Source: SageMaker developer guide, "k-NN Request and Response Formats".
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from local.knn.errors import ClientError, RequestError
from local.knn.model import Model, Neighbours
from local.knn.rows import Matrix, parse_csv

REQUEST_TYPES = ("text/csv", "application/json", "application/jsonlines")
RESPONSE_TYPES = ("application/json", "application/jsonlines")


def answer(model: Model, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
    """Predict the rows of a request; return the answer's body and content type.

    Raises
    ------
        RequestError: 400 for a body that can't be read, 415 for a content type and 406 for an
            ``Accept`` that isn't known.
    """
    response_type, verbose = parse_accept(accept)
    features = decode_request(body, content_type)
    if features.shape[1] != model.feature_dim:
        raise RequestError(
            f"the request has rows of {features.shape[1]} features, but the model was trained "
            f"on {model.feature_dim}"
        )
    return encode_response(model.predict(features), response_type, verbose), response_type


def parse_accept(accept: str) -> tuple[str, bool]:
    """Split ``application/json; verbose=true``; nothing, or ``*/*``, means JSON."""
    for choice in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in choice.split(";"))
        if media_type in ("", "*/*", "application/*"):
            media_type = "application/json"
        if media_type in RESPONSE_TYPES:
            return media_type, "verbose=true" in parameters
    raise RequestError(
        f"Accept {accept!r} is not supported, only {', '.join(RESPONSE_TYPES)}", status=406
    )


def decode_request(body: bytes, content_type: str) -> Matrix:
    """Read the rows of a request as ``(n, d) float32``."""
    media_type = content_type.split(";")[0].strip().lower()
    if media_type == "text/csv":
        try:
            features = parse_csv(body)
        except ClientError as error:
            raise RequestError(str(error)) from error
    elif media_type == "application/json":
        document = parse_json(body)
        instances = document.get("instances") if isinstance(document, dict) else None
        if not isinstance(instances, list):
            raise RequestError('the body must be {"instances": [...]}')
        features = stack(instances)
    elif media_type == "application/jsonlines":
        features = stack(parse_json(line) for line in body.splitlines() if line.strip())
    else:
        raise RequestError(
            f"Content type {content_type!r} is not supported, only {', '.join(REQUEST_TYPES)}",
            status=415,
        )
    if len(features) == 0:
        raise RequestError("the request has no rows")
    return features


def parse_json(text: bytes) -> Any:
    """Parse JSON, refusing the NaN and Infinity that Python would let through."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON: {error}") from error


def refuse_constant(name: str) -> float:
    """Called by the JSON parser for NaN and the infinities."""
    raise ValueError(f"{name} is not a finite number")


def stack(instances: Iterable[Any]) -> Matrix:
    """Instances in either of their two shapes as ``(n, d) float32``."""
    rows: list[list[float]] = []
    for number, instance in enumerate(instances):
        values = instance_values(instance)
        if not isinstance(values, list) or not all(map(is_number, values)):
            raise RequestError(
                f'instance {number} must be {{"features": [numbers]}} or '
                f'{{"data": {{"features": {{"values": [numbers]}}}}}}'
            )
        if rows and len(values) != len(rows[0]):
            raise RequestError(
                f"instance {number} has {len(values)} features, but {len(rows[0])} before"
            )
        rows.append(values)
    if not rows or not rows[0]:
        raise RequestError("the request has no rows")
    try:
        with np.errstate(over="ignore"):
            features = np.array(rows, np.float32)
    except OverflowError as error:
        raise RequestError("a feature does not fit into a 32-bit float") from error
    if not np.isfinite(features).all():
        number, column = np.argwhere(~np.isfinite(features))[0].tolist()
        raise RequestError(f"instance {number}, feature {column}: not a finite 32-bit float")
    return features


def instance_values(instance: Any) -> Any:
    """The feature values of one instance, or None where neither shape fits."""
    if not isinstance(instance, dict):
        return None
    data = instance.get("data", instance)
    features = data.get("features") if isinstance(data, dict) else None
    return features.get("values") if isinstance(features, dict) else features


def is_number(value: Any) -> bool:
    """JSON's true and false are ints in Python, but no numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def encode_response(found: Neighbours, response_type: str, verbose: bool) -> bytes:
    """Answers in order: the label, and in verbose mode the neighbours that it rests on."""
    predictions: list[dict[str, Any]] = [
        {"predicted_label": label} for label in found.predicted.tolist()
    ]
    if verbose:
        for prediction, distances, labels in zip(
            predictions, found.distances.tolist(), found.labels.tolist(), strict=True
        ):
            prediction.update(distances=distances, labels=labels)
    if response_type == "application/jsonlines":
        return "\n".join(json.dumps(prediction) for prediction in predictions).encode()
    return json.dumps({"predictions": predictions}).encode()
