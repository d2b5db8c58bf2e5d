"""Objects read in ranges, several at a time and always of one version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from pipeline.objects import read_ahead

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RANGE = 8 * 1024 * 1024
"""Bytes of a request. Source: Amazon S3 user guide, "Performance guidelines": 8 to 16 MB."""

_AHEAD = 4
"""Ranges that are asked for before they are needed; with the one in hand they are in memory."""


@dataclass(frozen=True)
class ObjectVersion:
    """An object of S3 as it was at one time: by version id, or in a bucket without, by ETag."""

    bucket: str
    key: str
    size: int
    version_id: str | None = None
    etag: str | None = None

    @property
    def pinned(self) -> dict[str, Any]:
        """What a request says in order to get this version or an error."""
        pin = {"VersionId": self.version_id} if self.version_id else {"IfMatch": self.etag}
        return {"Bucket": self.bucket, "Key": self.key, **pin}


def find_object(s3: S3Client, bucket: str, key: str) -> ObjectVersion:
    """Return an object as it is now."""
    head = s3.head_object(Bucket=bucket, Key=key)
    return ObjectVersion(bucket, key, head["ContentLength"], etag=head["ETag"])


def read_ranges(
    s3: S3Client, version: ObjectVersion, start: int = 0, end: int | None = None
) -> Iterator[bytes]:
    """Return the bytes of an object from `start` to `end`, in order.

    Errors of S3 pass: 404 if the version is gone, 412 if the object was replaced. A connection
    that breaks is tried again.
    """
    end = version.size if end is None else end

    def read(at: int, attempts: int = 4) -> bytes:
        try:
            last = min(at + RANGE, end) - 1
            answer = s3.get_object(**version.pinned, Range=f"bytes={at}-{last}")
            return answer["Body"].read()
        # The client retries requests by itself, but not a body that comes to an early end.
        except (ReadTimeoutError, ResponseStreamingError, IncompleteReadError):
            if attempts == 1:
                raise
            return read(at, attempts - 1)

    return read_ahead(read, range(start, end, RANGE), _AHEAD)
