"""Held-out rows through an endpoint, whatever its kind."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, ReadTimeoutError

from pipeline.algorithm import Neighbors
from pipeline.endpoint import ask, ask_async, async_answer, batches

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

POLL_SECONDS = 1.0
_NOT_NOW = frozenset({"ModelNotReadyException", "ServiceUnavailable", "ThrottlingException"})
"""What an endpoint answers that is starting, or has too much to do."""

MAX_WAIT_SECONDS = 900
"""As long as this function may take: later nobody waits for the answer."""


class NoAnswerInTime(Exception):
    """An endpoint has not answered within the time that is left; worth a retry."""


class HeldOut:
    """Sends batches of held-out rows to an endpoint.

    Parameters
    ----------
    inputs
        What the keys begin with of what an asynchronous endpoint is asked.
    deadline
        On the clock of `time.monotonic`, in seconds.
    """

    def __init__(
        self,
        s3: S3Client,
        runtime: SageMakerRuntimeClient,
        bucket: str,
        endpoint_name: str,
        endpoint_kind: str,
        inputs: str,
        deadline: float,
    ) -> None:
        self._s3 = s3
        self._runtime = runtime
        self._bucket = bucket
        self._endpoint_name = endpoint_name
        self._is_async = endpoint_kind == "async"
        self._inputs = inputs
        self._deadline = deadline

    def in_time[Each](self, what: Iterable[Each]) -> Iterator[Each]:
        """Yield each of what there is; raise a `NoAnswerInTime` after the deadline."""
        for each in what:
            self._check_time()
            yield each

    def neighbors[Row: Sequence[float]](
        self, rows: Iterable[Row], k: int
    ) -> Iterator[tuple[Row, Neighbors]]:
        """Yield each row of features and a label, and its neighbours.

        Raises
        ------
        NoAnswerInTime
            The endpoint was too slow.
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
            answer = self._ask_async(number, batch) if self._is_async else self._ask(batch)
            if len(answer) != len(batch):
                raise ValueError(f"{len(batch)} rows asked, {len(answer)} answered")
            for neighbors in answer:
                yield waiting.popleft(), neighbors

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise NoAnswerInTime(f"no answer of {self._endpoint_name}")

    def _ask(self, batch: list[str]) -> list[Neighbors]:
        while True:
            self._check_time()
            try:
                return ask(self._runtime, self._endpoint_name, batch)
            except ReadTimeoutError:
                pass
            except ClientError as error:
                if error.response["Error"]["Code"] not in _NOT_NOW:
                    raise
            time.sleep(POLL_SECONDS)

    def _ask_async(self, number: int, batch: list[str]) -> list[Neighbors]:
        key = f"{self._inputs}-{number:05}.csv"
        body = "".join(batch).encode()
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="text/csv")
        pending = ask_async(
            self._runtime,
            self._endpoint_name,
            f"s3://{self._bucket}/{key}",
            max_wait_seconds=MAX_WAIT_SECONDS,
        )
        while (answer := async_answer(self._s3, pending)) is None:
            self._check_time()
            time.sleep(POLL_SECONDS)
        return answer
