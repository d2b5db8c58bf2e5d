"""Asking a k-NN endpoint: CSV rows of features in, the integers of classes out.

Source: SageMaker developer guide, "k-NN inference formats".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient


class AsyncPredictionFailed(Exception):
    """An asynchronous endpoint wrote to its failure path; the message is what it wrote."""


@dataclass(frozen=True)
class PendingPrediction:
    """Where an asynchronous endpoint will write its answer, or its failure, as ``s3://`` URIs."""

    output: str
    failure: str


def predict(runtime: SageMakerRuntimeClient, endpoint_name: str, body: bytes) -> list[int]:
    """Return the predicted class of each row; a serverless or real-time endpoint answers."""
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint_name, ContentType="text/csv", Accept="application/json", Body=body
    )
    return parse_predictions(answer["Body"].read())


def predict_async(
    runtime: SageMakerRuntimeClient, endpoint_name: str, input_uri: str, *, max_wait_seconds: int
) -> PendingPrediction:
    """Queue the rows of an object; an asynchronous endpoint will answer in S3.

    A request that has waited for `max_wait_seconds` (60 to 21600) is dropped.
    """
    answer = runtime.invoke_endpoint_async(
        EndpointName=endpoint_name,
        ContentType="text/csv",
        Accept="application/json",
        InputLocation=input_uri,
        RequestTTLSeconds=max_wait_seconds,
    )
    return PendingPrediction(answer["OutputLocation"], answer["FailureLocation"])


def async_predictions(s3: S3Client, pending: PendingPrediction) -> list[int] | None:
    """Return the predicted classes, or None as long as there is no answer.

    Raises
    ------
    AsyncPredictionFailed
        The endpoint could not answer.
    """
    answer = _read(s3, pending.output)
    if answer is not None:
        return parse_predictions(answer)
    failure = _read(s3, pending.failure)
    if failure is not None:
        raise AsyncPredictionFailed(failure.decode(errors="replace")[:1000])
    return None


def parse_predictions(answer: bytes) -> list[int]:
    """Return the labels in ``{"predictions": [{"predicted_label": 0.0}]}`` as integers."""
    return [int(row["predicted_label"]) for row in json.loads(answer)["predictions"]]


def _read(s3: S3Client, uri: str) -> bytes | None:
    location = urlsplit(uri, allow_fragments=False)
    try:
        answer = s3.get_object(Bucket=location.netloc, Key=location.path.lstrip("/"))
    except s3.exceptions.NoSuchKey:
        return None
    return answer["Body"].read()
