"""The held-out rows through the live endpoint, whatever its kind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from batches import Batch, batches
from pipeline import run as layout
from pipeline.endpoint import async_predictions, predict, predict_async
from pipeline.transform import Transform

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

POLL_SECONDS = 1.0
MAX_WAIT_SECONDS = 900
"""As long as this function may take: later nobody waits for the answer."""


class NoAnswerInTime(Exception):
    """An asynchronous endpoint has not answered within the time that is left; worth a retry."""


class HeldOut:
    """Sends batches of held-out rows to a run's endpoint."""

    def __init__(
        self, s3: S3Client, runtime: SageMakerRuntimeClient, bucket: str, run: str
    ) -> None:
        self._s3 = s3
        self._runtime = runtime
        self._bucket = bucket
        self._run = run

    def predict(
        self,
        lines: Iterable[str],
        transform: Transform | None,
        *,
        endpoint_kind: str,
        deadline: float,
    ) -> Iterator[tuple[Batch, list[int]]]:
        """Yield each batch of label-first lines with the predicted class of each of its rows.

        Parameters
        ----------
        transform
            What is done to the features before the model sees them.
        deadline
            On the clock of `time.monotonic`, in seconds.

        Raises
        ------
        NoAnswerInTime
            An asynchronous endpoint was too slow.
        ValueError
            The endpoint answered another number of rows than it was asked.
        """
        for number, batch in enumerate(batches(lines, transform)):
            if endpoint_kind == "async":
                predicted = self._ask_async(number, batch, deadline)
            else:
                predicted = predict(self._runtime, self._run, batch.body)
            if len(predicted) != len(batch.labels):
                raise ValueError(f"{len(batch.labels)} rows asked, {len(predicted)} answered")
            yield batch, predicted

    def _ask_async(self, number: int, batch: Batch, deadline: float) -> list[int]:
        key = layout.RunFolder(self._run) / f"{layout.ASYNC_INPUT}/validation-{number:05}.csv"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=batch.body, ContentType="text/csv")
        pending = predict_async(
            self._runtime,
            self._run,
            f"s3://{self._bucket}/{key}",
            max_wait_seconds=MAX_WAIT_SECONDS,
        )
        while (predicted := async_predictions(self._s3, pending)) is None:
            if time.monotonic() + POLL_SECONDS > deadline:
                raise NoAnswerInTime(f"no answer at {pending.output}")
            time.sleep(POLL_SECONDS)
        return predicted
