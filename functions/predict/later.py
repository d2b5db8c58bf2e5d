"""Predictions that an asynchronous endpoint makes in its own time."""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline import run as layout
from pipeline.endpoint import PendingPrediction, async_predictions, predict_async
from pipeline.objects import read_json, write_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

_ID = re.compile(rf"(?P<run>{layout.RUN.pattern})\.(?P<number>[0-9a-f]{{32}})")


class UnknownPrediction(Exception):
    """No prediction of this id was asked of the dataset."""


class LaterPredictions:
    """Hands requests to an asynchronous endpoint, and tells what became of them.

    An id names the run and a random number; what the endpoint said of where it will write is kept
    in the run's folder under that number.
    """

    def __init__(self, s3: S3Client, runtime: SageMakerRuntimeClient, bucket: str) -> None:
        self._s3 = s3
        self._runtime = runtime
        self._bucket = bucket

    def ask(self, run: str, endpoint_name: str, body: bytes) -> str:
        """Queue CSV rows of features; return the id of the prediction."""
        number = uuid.uuid4().hex
        key = layout.RunFolder(run) / f"{layout.ASYNC_INPUT}/{number}.csv"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="text/csv")
        pending = predict_async(self._runtime, endpoint_name, f"s3://{self._bucket}/{key}")
        write_json(self._s3, self._bucket, _ticket(run, number), asdict(pending))
        return f"{run}.{number}"

    def answer(self, dataset: str, prediction_id: str) -> tuple[str, list[int] | None]:
        """Return the run and its predicted classes, or None for them while there are none.

        Raises
        ------
        UnknownPrediction
            There is no such prediction of the dataset.
        AsyncPredictionFailed
            The endpoint could not answer.
        """
        match = _ID.fullmatch(prediction_id)
        if match is None or layout.dataset_of_run(match["run"]) != dataset:
            raise UnknownPrediction(prediction_id)
        try:
            ticket = read_json(self._s3, self._bucket, _ticket(match["run"], match["number"]))
        except self._s3.exceptions.NoSuchKey:
            raise UnknownPrediction(prediction_id) from None
        return match["run"], async_predictions(self._s3, PendingPrediction(**ticket))


def _ticket(run: str, number: str) -> str:
    return layout.RunFolder(run) / f"{layout.ASYNC_TICKET}/{number}.json"
