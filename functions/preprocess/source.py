"""What is special about an upload of labelled rows: its name, and the settings beside it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pipeline.byte_ranges import ObjectVersion
from pipeline.errors import Refusal
from pipeline.layout import SCORE, dataset_of, is_dataset, slug
from pipeline.uploaded import UploadedFile, unreadable
from tabular.text import ENOUGH, encoding_by_first, is_gzip

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEMA_NAME = "schema.json"
_MAX_SCHEMA = 1024 * 1024


def check_name(key: str) -> None:
    """Raise a `Refusal` if a key can't name a dataset."""
    name = dataset_of(key)
    if not is_dataset(name):
        why = "Use 1 to 32 of a-z and 0-9, with hyphens between them."
        if f"{name}/" == SCORE:
            why = f'"{SCORE}" is the folder for rows that a model is to score.'
        raise Refusal(
            "BadDatasetName",
            f'"{name}" can\'t be the name of a dataset. {why}',
            f'Upload the file as "{slug(name)}.csv", or into a folder "{slug(name)}/".',
        )


def can_be_cut(file: UploadedFile, encoding: str | None) -> bool:
    """Whether a file can be read from any place on: neither compressed nor UTF-16."""
    if file.is_gzip or encoding == "utf-16":
        return False
    first = b"".join(file.chunks(0, min(ENOUGH, file.version.size)))
    return not is_gzip(first) and (encoding or encoding_by_first(first)) != "utf-16"


def read_schema(s3: S3Client, bucket: str, dataset: str) -> tuple[bytes, datetime] | None:
    """Return what the inbox holds as ``<dataset>/schema.json``, and since when; None if nothing."""
    key = f"{dataset}/{SCHEMA_NAME}"
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        return None
    except ClientError as error:
        raise unreadable(error, ObjectVersion(bucket, key, 0)) from error
    return answer["Body"].read(_MAX_SCHEMA), answer["LastModified"]
