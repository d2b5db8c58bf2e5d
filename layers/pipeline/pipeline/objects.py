"""Objects of a run's folder, streamed: memory does not grow with them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART_SIZE = 8 * 1024 * 1024
"""Bytes of a part of a multipart upload: held in memory once for each object being written."""


class CsvWriter:
    """Text objects that are written together: all appear, or none when an exception passes."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._stack = ExitStack()

    def __enter__(self) -> CsvWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def open(self, key: str) -> TextIO:
        """Return a stream to ``key``, in UTF-8 and of type ``text/csv``.

        The type must be set: S3's default is binary, which the built-in algorithms refuse.
        """
        from smart_open import s3 as smart_s3

        created = {"ContentType": "text/csv"}
        raw = self._stack.enter_context(
            smart_s3.open(
                self._bucket,
                key,
                "wb",
                client=self._s3,
                min_part_size=PART_SIZE,
                client_kwargs={
                    "S3.Client.create_multipart_upload": created,
                    "S3.Client.put_object": created,
                },
            )
        )
        text = io.TextIOWrapper(cast("BinaryIO", raw), encoding="utf-8", newline="")
        # Flush before the object is completed, but leave completing or aborting it to the stack.
        self._stack.callback(text.detach)
        return text


def read_text(s3: S3Client, bucket: str, key: str) -> TextIO:
    """Return a stream of a UTF-8 object."""
    from smart_open import s3 as smart_s3

    raw = smart_s3.open(bucket, key, "rb", client=s3, buffer_size=1024 * 1024)
    return io.TextIOWrapper(cast("BinaryIO", raw), encoding="utf-8", newline="")


def read_json(s3: S3Client, bucket: str, key: str) -> Any:
    """Return what a JSON object holds."""
    return json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])


def write_json(s3: S3Client, bucket: str, key: str, content: Any) -> None:
    """Write a JSON object."""
    body = json.dumps(content, indent=2, ensure_ascii=False).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def write_lines(s3: S3Client, bucket: str, key: str, lines: Iterable[str]) -> None:
    """Write a text object of type ``text/csv`` from its lines."""
    with CsvWriter(s3, bucket) as writer:
        writer.open(key).writelines(lines)
