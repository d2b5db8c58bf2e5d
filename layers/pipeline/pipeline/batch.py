"""Where a batch stands: a file of rows that a live model scores."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipeline.layout import STATUS, BatchFolder, dataset_of_run
from pipeline.objects import read_json_if_there, write_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class BatchStatus(StrEnum):
    """Where a batch stands."""

    WAITING = "Waiting"
    SCORING = "Scoring"
    SCORED = "Scored"
    REFUSED = "Refused"
    FAILED = "Failed"


def write_status(
    s3: S3Client, bucket: str, batch: str, status: BatchStatus, **fields: Any
) -> dict[str, Any]:
    """Write and return what a batch's ``status.json`` says of it."""
    told = {"batch": batch, "dataset": dataset_of_run(batch), "status": str(status), **fields}
    write_json(s3, bucket, BatchFolder(batch) / STATUS, told)
    return told


def read_status(s3: S3Client, bucket: str, batch: str) -> dict[str, Any] | None:
    """Return what a batch's ``status.json`` says of it, None if there is no such batch."""
    told: dict[str, Any] | None = read_json_if_there(s3, bucket, BatchFolder(batch) / STATUS)
    return told
