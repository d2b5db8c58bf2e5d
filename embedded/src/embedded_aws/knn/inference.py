"""Requests for predictions and their answers, by content type.

Source: SageMaker developer guide, "k-NN Request and Response Formats" and "Common Data Formats
for Inference". k-NN's errors are documented nowhere; their form is that seen of the other built-in
algorithms (aws/sagemaker-spark issue 102, aws/sagemaker-python-sdk issue 2046).
"""

import io
import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from embedded_aws.knn.content_type import (
    CSV,
    JSON,
    JSON_LINES,
    RECORDIO,
    ContentType,
    parse_content_type,
)
from embedded_aws.knn.errors import DataError, RequestError
from embedded_aws.knn.model import Model, Neighbours
from embedded_aws.knn.rows import Matrix, as_utf8, parse_csv

REQUEST_TYPES = (CSV, JSON, JSON_LINES, RECORDIO)
RESPONSE_TYPES = (JSON, JSON_LINES, RECORDIO)


def execution_parameters() -> dict[str, int | str]:
    """How a batch transform job is to call ``answer``, unless the job says otherwise.

    Source: developer guide, "How Containers Serve Requests" (batch transform).
    """
    return {
        "MaxConcurrentTransforms": os.process_cpu_count() or 1,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


def answer(model: Model, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
    """Predict the rows of a request; return the answer's body and content type.

    Raises RequestError: 400 for a body that can't be read, 415 for a content type that isn't known.
    """
    response_type, verbose = parse_accept(accept)
    parsed_type = parse_content_type(content_type)
    if parsed_type.media_type not in REQUEST_TYPES:
        raise RequestError(
            f"Content-Type header value '{content_type}' is not supported, only "
            f"{', '.join(REQUEST_TYPES)}",
            status=415,
        )
    try:
        found = model.predict(decode_request(body, parsed_type, model.feature_dim))
    except (DataError, UnicodeError) as error:
        raise RequestError(f"unable to evaluate payload provided: {error}") from error
    return encode_response(found, response_type, verbose), response_type


def parse_accept(accept: str) -> tuple[str, bool]:
    """Split ``application/json; verbose=true``.

    What isn't known is answered with JSON, as the built-in algorithms do
    (aws/sagemaker-python-sdk issue 993).
    """
    for choice in accept.split(","):
        parsed = parse_content_type(choice)
        verbose = parsed.parameters.get("verbose") == "true"
        if parsed.media_type in RESPONSE_TYPES:
            return parsed.media_type, verbose
        if verbose:
            return JSON, True
    return JSON, False


def decode_request(body: bytes, content_type: ContentType, feature_dim: int) -> Matrix:
    """Read the rows of a request as ``(n, feature_dim) float32``.

    Raises DataError: the body can't be read, has no rows, or rows of another width.
    """
    match content_type.media_type:
        case "text/csv":
            text = as_utf8(io.BytesIO(body), content_type.encoding).read()
            features = parse_csv(text)[:, content_type.label_size(0) :]
        case "application/json":
            document = parse_json(body)
            instances = document.get("instances") if isinstance(document, dict) else None
            if not isinstance(instances, list):
                raise DataError('the body must be {"instances": [...]}')
            features = stack(instances, feature_dim)
        case "application/jsonlines":
            lines = (line for line in body.split(b"\n") if line.strip())
            features = stack(map(parse_json, lines), feature_dim)
        case _:
            from embedded_aws.knn.recordio import parse_unlabelled

            features = parse_unlabelled(body, feature_dim)
    if len(features) == 0:
        raise DataError("the request has no rows")
    if features.shape[1] != feature_dim:
        raise DataError(
            f"the request has rows of {features.shape[1]} features, but the model was trained "
            f"on {feature_dim}"
        )
    return features


def parse_json(text: bytes) -> Any:
    """Parse JSON; NaN and Infinity, which Python would let through, are none."""
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise DataError(f"the body is not valid JSON: {error}") from error


def stack(instances: Iterable[Any], feature_dim: int) -> Matrix:
    """Instances in any of their shapes as ``(n, d) float32``."""
    rows: list[list[Any]] = []
    for number, instance in enumerate(instances):
        values = instance_values(instance, feature_dim, f"instance {number}")
        # JSON's true and false are ints in Python, but of a type of their own.
        if not isinstance(values, list) or not set(map(type, values)) <= {int, float}:
            raise DataError(
                f'instance {number} must be {{"features": [numbers]}} or '
                f'{{"data": {{"features": {{"values": [numbers]}}}}}}'
            )
        if rows and len(values) != len(rows[0]):
            raise DataError(
                f"instance {number} has {len(values)} features, but {len(rows[0])} before"
            )
        rows.append(values)
    if not rows or not rows[0]:
        raise DataError("the request has no rows")
    try:
        with np.errstate(over="ignore"):
            features = np.array(rows, np.float32)
    except OverflowError as error:
        raise DataError("a feature does not fit into a 32-bit float") from error
    if not np.isfinite(features).all():
        number, column = np.argwhere(~np.isfinite(features))[0].tolist()
        raise DataError(f"instance {number}, feature {column}: not a finite 32-bit float")
    return features


def instance_values(instance: Any, feature_dim: int, where: str) -> Any:
    """The feature values of one instance, or None where no shape fits.

    A sparse one, ``{"keys": [...], "shape": [d], "values": [...]}``, is filled up with zeros.
    """
    if not isinstance(instance, dict):
        return None
    data = instance.get("data", instance)
    features = data.get("features") if isinstance(data, dict) else None
    if not isinstance(features, dict):
        return features
    values, keys = features.get("values"), features.get("keys")
    shape = features.get("shape")
    if not keys and (values or not shape):
        return values
    if shape != [feature_dim]:
        raise DataError(f"{where} has shape {str(shape)[:40]}, but the model takes [{feature_dim}]")
    if (
        not isinstance(keys, list)
        or not isinstance(values, list)
        or len(keys) != len(values)
        or any(type(key) is not int or not 0 <= key < feature_dim for key in keys)
    ):
        raise DataError(f"{where}: keys must be places below {feature_dim}, one for each value")
    row: list[Any] = [0.0] * feature_dim
    for key, value in zip(keys, values, strict=True):
        row[key] = value
    return row


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
    if response_type == JSON:
        return json.dumps({"predictions": predictions}).encode()
    if response_type == JSON_LINES:
        return "\n".join(map(json.dumps, predictions)).encode()
    from embedded_aws.knn.recordio import write_records

    return write_records(
        {name: value if isinstance(value, list) else [value] for name, value in item.items()}
        for item in predictions
    )
