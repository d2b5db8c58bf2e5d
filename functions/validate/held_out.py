"""The held-out rows through a run's endpoint, whatever its kind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline import run as layout
from pipeline.endpoint import Neighbors, ask, ask_async, async_answer, rows_at_once

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

MAX_BYTES = 1024 * 1024
"""Well under the 4 MB that a serverless endpoint takes, the least of the three kinds.
Source: SageMaker developer guide, "Serverless endpoints: feature limits" and "InvokeEndpoint"."""

POLL_SECONDS = 1.0
MAX_WAIT_SECONDS = 900
"""As long as this function may take: later nobody waits for the answer."""


class NoAnswerInTime(Exception):
    """An asynchronous endpoint has not answered within the time that is left; worth a retry."""


@dataclass
class Batch:
    """Held-out rows: their true classes, and the lines that the endpoint is asked."""

    labels: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    size: int = 0


def batches(lines: Iterable[str], max_rows: int, max_bytes: int = MAX_BYTES) -> Iterator[Batch]:
    """Yield label-first lines as batches of at most so many rows and bytes, one row at least."""
    batch = Batch()
    for line in lines:
        label, _, features = line.partition(",")
        if batch.lines and (batch.size + len(features) > max_bytes or len(batch.lines) == max_rows):
            yield batch
            batch = Batch()
        batch.labels.append(int(label))
        batch.lines.append(features)
        batch.size += len(features)
    if batch.lines:
        yield batch


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

    def neighbors(self, lines: Iterable[str], k: int) -> Iterator[tuple[int, Neighbors]]:
        """Yield the true class of each label-first line, and its neighbours.

        Raises
        ------
        NoAnswerInTime
            An asynchronous endpoint was too slow.
        ValueError
            The endpoint answered another number of rows than it was asked.
        """
        for number, batch in enumerate(batches(lines, rows_at_once(k))):
            body = "".join(batch.lines).encode()
            if self._is_async:
                answer = self._ask_async(number, body)
            else:
                answer = ask(self._runtime, self._run, body)
            if len(answer) != len(batch.labels):
                raise ValueError(f"{len(batch.labels)} rows asked, {len(answer)} answered")
            yield from zip(batch.labels, answer, strict=True)

    def _ask_async(self, number: int, body: bytes) -> list[Neighbors]:
        key = layout.RunFolder(self._run) / f"{layout.ASYNC_INPUT}/validation-{number:05}.csv"
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
