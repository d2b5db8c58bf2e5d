"""The held-out rows through a run's endpoint, whatever its kind."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline import layout
from pipeline.algorithm import Neighbors
from pipeline.endpoint import ask, ask_async, async_answer, batches

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

POLL_SECONDS = 1.0
MAX_WAIT_SECONDS = 900
"""As long as this function may take: later nobody waits for the answer."""


class NoAnswerInTime(Exception):
    """An asynchronous endpoint has not answered within the time that is left; worth a retry."""


class HeldOut:
    """Sends batches of held-out rows to a run's endpoint.

    Parameters
    ----------
    deadline
        On the clock of `time.monotonic`, in seconds.
    """

    def __init__(
        self,
        s3: S3Client,
        runtime: SageMakerRuntimeClient,
        bucket: str,
        run: str,
        endpoint_kind: str,
        deadline: float,
    ) -> None:
        self._s3 = s3
        self._runtime = runtime
        self._bucket = bucket
        self._run = run
        self._is_async = endpoint_kind == "async"
        self._deadline = deadline

    def neighbors[Row: Sequence[float]](
        self, rows: Iterable[Row], k: int
    ) -> Iterator[tuple[Row, Neighbors]]:
        """Yield each row of features and a label, and its neighbours.

        Raises
        ------
        NoAnswerInTime
            An asynchronous endpoint was too slow.
        ValueError
            The endpoint answered another number of rows than it was asked.
        """
        waiting: deque[Row] = deque()

        def features() -> Iterator[str]:
            for row in rows:
                waiting.append(row)
                # Nine digits tell a 32-bit float from all others.
                yield ",".join(map("{:.9g}".format, row[:-1])) + "\n"

        for number, batch in enumerate(batches(features(), k)):
            answer = (
                self._ask_async(number, batch)
                if self._is_async
                else ask(self._runtime, self._run, batch)
            )
            if len(answer) != len(batch):
                raise ValueError(f"{len(batch)} rows asked, {len(answer)} answered")
            for neighbors in answer:
                yield waiting.popleft(), neighbors

    def _ask_async(self, number: int, batch: list[str]) -> list[Neighbors]:
        key = layout.RunFolder(self._run) / f"{layout.ASYNC_INPUT}/validation-{number:05}.csv"
        body = "".join(batch).encode()
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="text/csv")
        pending = ask_async(
            self._runtime,
            self._run,
            f"s3://{self._bucket}/{key}",
            max_wait_seconds=MAX_WAIT_SECONDS,
        )
        while (answer := async_answer(self._s3, pending)) is None:
            if time.monotonic() + POLL_SECONDS > self._deadline:
                raise NoAnswerInTime(f"no answer at {pending.output}")
            time.sleep(POLL_SECONDS)
        return answer
