"""Objects of a run's folder, streamed: memory does not grow with them."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from smart_open.s3 import MultipartWriter

_AHEAD = 8
"""Small objects that are asked for before they are needed; the client has ten connections."""

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

    def open_bytes(self, key: str, content_type: str = "text/csv") -> MultipartWriter:
        """Return a binary stream to ``key``; its ``terminate`` gives up on the object.

        The type must be set: S3's default is binary, which the built-in algorithms refuse.
        """
        from smart_open import s3 as smart_s3

        created = {"ContentType": content_type}
        raw = smart_s3.open(
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
        return self._stack.enter_context(cast("MultipartWriter", raw))

    def open(self, key: str) -> TextIO:
        """Return a stream to ``key``, in UTF-8 and of type ``text/csv``."""
        raw = self.open_bytes(key)
        text = io.TextIOWrapper(cast("BinaryIO", raw), encoding="utf-8", newline="")
        # Flush before the object is completed, but leave completing or aborting it to the stack.
        self._stack.callback(text.detach)
        return text


def read_text(s3: S3Client, bucket: str, key: str) -> TextIO:
    """Return a stream of a UTF-8 object."""
    from smart_open import s3 as smart_s3

    raw = smart_s3.open(bucket, key, "rb", client=s3, buffer_size=1024 * 1024)
    return io.TextIOWrapper(cast("BinaryIO", raw), encoding="utf-8", newline="")


def keys_under(s3: S3Client, bucket: str, prefix: str) -> list[str]:
    """Return the keys that begin with a prefix, in order."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [found["Key"] for page in pages for found in page.get("Contents", ())]


def read_json(s3: S3Client, bucket: str, key: str) -> Any:
    """Return what a JSON object holds."""
    return json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])


def read_json_if_there(s3: S3Client, bucket: str, key: str) -> Any:
    """Return what a JSON object holds, None if there is no such object."""
    try:
        return read_json(s3, bucket, key)
    except s3.exceptions.NoSuchKey:
        return None


def read_each(s3: S3Client, bucket: str, keys: Sequence[str]) -> Iterator[bytes]:
    """Yield what small objects hold, in the order of their keys."""

    def read(key: str) -> bytes:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="objects") as pool:
        pending = deque(pool.submit(read, key) for key in keys[:_AHEAD])
        try:
            for place in range(len(keys)):
                content = pending.popleft().result()
                if place + _AHEAD < len(keys):
                    pending.append(pool.submit(read, keys[place + _AHEAD]))
                yield content
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def write_json(s3: S3Client, bucket: str, key: str, content: Any) -> None:
    """Write a JSON object."""
    body = json.dumps(content, indent=2, ensure_ascii=False).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
