"""Predictions that an asynchronous endpoint makes in its own time."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline import layout
from pipeline.algorithm import Neighbors
from pipeline.endpoint import PendingPrediction, ask_async, async_answer
from pipeline.objects import read_json_if_there, write_json
from predict.errors import ApiError, Code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

MAX_WAIT_SECONDS = 1800
"""How long a request may wait for an asynchronous endpoint, which may have to start from zero. A
replaced endpoint is deleted after more than that, so none is lost: see "Retire" in the state
machine."""

MAX_ANSWER_SECONDS = 120
"""More than an answer takes once it is begun."""

_ID = re.compile(rf"(?P<run>{layout.RUN.pattern})\.(?P<number>[0-9a-f]{{32}})")


class AsyncPredictions:
    """Hands requests to an asynchronous endpoint, and tells what became of them.

    An id names the run and a random number; what the endpoint said of where it will write is kept
    beside the request under that number.
    """

    def __init__(self, s3: S3Client, runtime: SageMakerRuntimeClient, bucket: str) -> None:
        self._s3 = s3
        self._runtime = runtime
        self._bucket = bucket

    def ask(self, run: str, endpoint_name: str, body: bytes) -> str:
        """Queue CSV rows of features; return the id of the prediction."""
        number = uuid.uuid4().hex
        key = layout.AsyncFolder(run) / f"input/{number}.csv"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="text/csv")
        pending = ask_async(
            self._runtime,
            endpoint_name,
            f"s3://{self._bucket}/{key}",
            max_wait_seconds=MAX_WAIT_SECONDS,
        )
        ticket = {"asked": int(time.time()), **asdict(pending)}
        write_json(self._s3, self._bucket, layout.AsyncFolder(run) / _ticket(number), ticket)
        return f"{run}.{number}"

    def answer(self, dataset: str, prediction_id: str) -> tuple[str, list[Neighbors] | None]:
        """Return the run and the neighbours of each row, or None for them while there are none.

        Raises
        ------
        ApiError
            There is no such prediction of the dataset, or no answer, and there will be none.
        AsyncPredictionFailed
            The endpoint could not answer.
        """
        match = _ID.fullmatch(prediction_id)
        if match is None or layout.dataset_of_run(match["run"]) != dataset:
            raise _unknown(prediction_id)
        run, name = match["run"], _ticket(match["number"])
        ticket = read_json_if_there(self._s3, self._bucket, layout.AsyncFolder(run) / name)
        if ticket is None:
            # A release before 0.2 kept it in the run's own folder.
            key = layout.RunFolder(run) / f"async/{name}"
            ticket = read_json_if_there(self._s3, self._bucket, key)
        if ticket is None:
            raise _unknown(prediction_id)
        pending = PendingPrediction(ticket["output"], ticket["failure"])
        found = async_answer(self._s3, pending)
        # Tickets once had no time; what they stand for waits for as long as it takes.
        asked = ticket.get("asked", time.time())
        if found is None and time.time() > asked + MAX_WAIT_SECONDS + MAX_ANSWER_SECONDS:
            message = f'The prediction "{prediction_id}" was not made in time: ask again.'
            raise ApiError(410, Code.PREDICTION_EXPIRED, message)
        return run, found


def _ticket(number: str) -> str:
    return f"ticket/{number}.json"


def _unknown(prediction_id: str) -> ApiError:
    return ApiError(404, Code.UNKNOWN_PREDICTION, f'There is no prediction "{prediction_id}".')
