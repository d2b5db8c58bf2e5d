"""The dropped object: what the event says of it, and its rows, read as often as needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, cast

from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent
from botocore.exceptions import ClientError

from lines import read_lines
from pipeline.errors import Refusal
from pipeline.run import Source, dataset_of, is_dataset, slug
from rows import Row, read_rows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def source_of(event: S3EventBridgeNotificationEvent) -> Source:
    """Return the object that an "Object Created" event is about.

    Its key is as it is, not URL-encoded as in S3's own notifications, which is what Powertools'
    `key` property decodes.
    Source: Amazon S3 user guide, "EventBridge event message structure".
    """
    dropped = event.detail.object
    return Source(
        bucket=event.detail.bucket.name,
        key=dropped["key"],
        version=dropped.get("version-id") or dropped.etag,
        sequencer=dropped.sequencer,
        time=datetime.fromisoformat(event.time),
    )


class DroppedFile:
    """The rows of a dropped object, of just the version that the event is about."""

    def __init__(self, s3: S3Client, source: Source, version_id: str | None) -> None:
        self._s3 = s3
        self._source = source
        self._version_id = version_id

    def check(self) -> None:
        """Raise a `Refusal` if the file's name can't name a dataset, or if it is gone."""
        name = dataset_of(self._source.key)
        if not is_dataset(name):
            raise Refusal(
                "BadDatasetName",
                f'"{name}" can\'t name a dataset: it takes 1 to 32 of a-z, 0-9 and hyphens '
                "between them.",
                f'Drop the file as "{slug(name)}.csv", or into a folder "{slug(name)}/".',
            )
        try:
            if self._version_id:
                self._s3.head_object(
                    Bucket=self._source.bucket, Key=self._source.key, VersionId=self._version_id
                )
            else:
                self._s3.head_object(Bucket=self._source.bucket, Key=self._source.key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            raise Refusal(
                "ObjectGone",
                f"s3://{self._source.bucket}/{self._source.key} was deleted before it was read.",
                "Drop the file again.",
            ) from error

    def rows(self) -> Iterator[Row]:
        """Yield the file's records from its beginning."""
        from smart_open import s3 as smart_s3

        raw = smart_s3.open(
            self._source.bucket,
            self._source.key,
            "rb",
            version_id=self._version_id,
            client=self._s3,
            buffer_size=1024 * 1024,
        )
        with closing(raw) as stream:
            gzipped = self._source.key.lower().endswith(".gz")
            yield from read_rows(read_lines(cast(BinaryIO, stream), gzipped=gzipped))
