"""The object that was uploaded: its name, its metadata, and its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pipeline.byte_ranges import ObjectVersion, read_ranges
from pipeline.errors import Refusal
from pipeline.layout import dataset_of, is_dataset, slug
from tabular.text import ENOUGH, encoding_by_first, is_gzip

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEMA_NAME = "schema.json"
_MAX_SCHEMA = 1024 * 1024


def check_name(key: str) -> None:
    """Raise a `Refusal` if a key can't name a dataset."""
    name = dataset_of(key)
    if not is_dataset(name):
        raise Refusal(
            "BadDatasetName",
            f'"{name}" can\'t be the name of a dataset. Use 1 to 32 of a-z and 0-9, with hyphens '
            "between them.",
            f'Upload the file as "{slug(name)}.csv", or into a folder "{slug(name)}/".',
        )


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

    def can_be_cut(self, encoding: str | None) -> bool:
        """Whether it can be read from any place on: neither compressed nor UTF-16."""
        if self.is_gzip or encoding == "utf-16":
            return False
        first = b"".join(self.chunks(0, min(ENOUGH, self.version.size)))
        return not is_gzip(first) and (encoding or encoding_by_first(first)) != "utf-16"

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield its bytes, all or a range of them."""
        try:
            yield from read_ranges(self.s3, self.version, start, end)
        except ClientError as error:
            raise _refusal(error, self.version) from error


def find_file(
    s3: S3Client, bucket: str, key: str, *, version_id: str | None, etag: str | None
) -> UploadedFile:
    """Return the version of an object that an event is about, as long as it is there."""
    version = ObjectVersion(bucket, key, 0, version_id, etag)
    try:
        head = s3.head_object(**version.pinned)
    except ClientError as error:
        raise _refusal(error, version) from error
    found = replace(version, size=head["ContentLength"])
    return UploadedFile(s3, found, head.get("Metadata", {}))


def read_schema(s3: S3Client, bucket: str, dataset: str) -> tuple[bytes, datetime] | None:
    """Return what the inbox holds as ``<dataset>/schema.json``, and since when; None if nothing."""
    key = f"{dataset}/{SCHEMA_NAME}"
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        return None
    except ClientError as error:
        raise _refusal(error, ObjectVersion(bucket, key, 0)) from error
    return answer["Body"].read(_MAX_SCHEMA), answer["LastModified"]


def _refusal(error: ClientError, version: ObjectVersion) -> Exception:
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
