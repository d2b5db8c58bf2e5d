"""Asking an endpoint: CSV rows of features in, what the algorithm answers of each out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.algorithm import ACCEPT, NEIGHBOR_BYTES, Neighbors, parse_answer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

_REQUEST_BYTES = 1_000_000
_ANSWER_BYTES = 3_000_000
"""At once, at most: a serverless endpoint takes and gives 4 MB, the least of the three kinds.
Source: SageMaker developer guide, "Deploy models with Amazon SageMaker Serverless Inference"."""


class AsyncPredictionFailed(Exception):
    """An asynchronous endpoint wrote to its failure path; the message is what it wrote."""


@dataclass(frozen=True)
class PendingPrediction:
    """Where an asynchronous endpoint will write its answer, or its failure, as ``s3://`` URIs."""

    output: str
    failure: str


def csv_lines(rows: Sequence[tuple[float, ...]]) -> list[str]:
    """Return rows as an endpoint takes them; nine digits tell any 32-bit float from all others."""
    line = ",".join(["%.9g"] * len(rows[0])) + "\n"
    return [line % row for row in rows]


def batches(lines: Iterable[str], k: int) -> Iterator[list[str]]:
    """Yield lines as batches that an endpoint takes and answers at once, one line at least."""
    most = max(_ANSWER_BYTES // (NEIGHBOR_BYTES * (k + 2)), 1)
    batch: list[str] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == most or size + len(line) > _REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch


def ask(
    runtime: SageMakerRuntimeClient, endpoint_name: str, lines: Sequence[str]
) -> list[Neighbors]:
    """Return the neighbours of each row of CSV; a serverless or real-time endpoint answers."""
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint_name,
        ContentType="text/csv",
        Accept=ACCEPT,
        Body="".join(lines).encode(),
    )
    return parse_answer(answer["Body"].read())


def ask_async(
    runtime: SageMakerRuntimeClient, endpoint_name: str, input_uri: str, *, max_wait_seconds: int
) -> PendingPrediction:
    """Queue the rows of an object; an asynchronous endpoint will answer in S3.

    A request that has waited for `max_wait_seconds` (60 to 21600) is dropped.
    """
    answer = runtime.invoke_endpoint_async(
        EndpointName=endpoint_name,
        ContentType="text/csv",
        Accept=ACCEPT,
        InputLocation=input_uri,
        RequestTTLSeconds=max_wait_seconds,
    )
    return PendingPrediction(answer["OutputLocation"], answer["FailureLocation"])


def async_answer(s3: S3Client, pending: PendingPrediction) -> list[Neighbors] | None:
    """Return the neighbours of each row, None before there are any, or raise that it failed."""
    answer = _read(s3, pending.output)
    if answer is not None:
        return parse_answer(answer)
    failure = _read(s3, pending.failure)
    if failure is not None:
        raise AsyncPredictionFailed(failure.decode(errors="replace")[:1000])
    return None


def _read(s3: S3Client, uri: str) -> bytes | None:
    location = urlsplit(uri, allow_fragments=False)
    try:
        answer = s3.get_object(Bucket=location.netloc, Key=location.path.lstrip("/"))
    except s3.exceptions.NoSuchKey:
        return None
    return answer["Body"].read()
