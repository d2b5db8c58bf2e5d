"""The object that was uploaded: its metadata, and its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pipeline.byte_ranges import ObjectVersion, read_ranges
from pipeline.errors import Refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class UploadedFile:
    """An uploaded object, of just the version that the event is about."""

    s3: S3Client
    version: ObjectVersion
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_gzip(self) -> bool:
        """Whether its name says that it is compressed."""
        return self.version.key.lower().endswith(".gz")

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield its bytes, all or a range of them."""
        try:
            yield from read_ranges(self.s3, self.version, start, end)
        except ClientError as error:
            raise unreadable(error, self.version) from error


def find_file(
    s3: S3Client, bucket: str, key: str, *, version_id: str | None, etag: str | None
) -> UploadedFile:
    """Return the version of an object that an event is about, as long as it is there."""
    version = ObjectVersion(bucket, key, 0, version_id, etag)
    try:
        head = s3.head_object(**version.pinned)
    except ClientError as error:
        raise unreadable(error, version) from error
    found = replace(version, size=head["ContentLength"])
    return UploadedFile(s3, found, head.get("Metadata", {}))


def unreadable(error: ClientError, version: ObjectVersion) -> Exception:
    """Return why an object can't be read, or the error itself where trying again may help.

    Source: Amazon S3 API reference, "Error responses"; a version that is a delete marker is 405.
    """
    where = f"s3://{version.bucket}/{version.key}"
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if status in (404, 405):
        what = f"{where} was deleted before it was read to its end."
        return Refusal("ObjectGone", what, "Upload the file again.")
    if status == 412:
        what = f"{where} was replaced before it was read to its end."
        return Refusal(
            "ObjectReplaced", what, "Do nothing: the file that replaced it has its own run."
        )
    if status == 403:
        return Refusal(
            "AccessDenied",
            f"We may not read {where}: {error.response['Error'].get('Message', 'forbidden')}.",
            "Check who owns the object, which key encrypts it, and the bucket's policy; then "
            "upload the file again.",
        )
    return error
