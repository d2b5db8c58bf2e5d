"""What can't be used of a table: rows that are set aside, or the whole file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import Refusal
from pipeline.objects import ObjectWriter
from tabular.errors import TableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Reject(NamedTuple):
    """A row set aside. `kind` names the reason for counting, `reason` says it of this row."""

    line: int
    kind: str
    reason: str
    text: str


@contextmanager
def as_refusals() -> Iterator[None]:
    """Turn what can't be read as a table into a refusal."""
    try:
        yield
    except TableError as error:
        raise Refusal(error.code, error.message, error.remedy) from error


@contextmanager
def rejects_file(s3: S3Client, bucket: str, key: str) -> Iterator[Callable[[Reject], object]]:
    """Write the rows that are set aside, with line and reason; also if the file is then refused."""
    failure: Refusal | TableError | None = None
    with ObjectWriter(s3, bucket) as writer:
        rejects = csv.writer(writer.open(key), lineterminator="\n")
        rejects.writerow(["line", "reason", "row"])
        try:
            yield lambda each: rejects.writerow([each.line, each.reason, each.text])
        except (Refusal, TableError) as error:
            failure = error
    if failure:
        raise failure
