"""Objects of a run's folder, streamed: memory does not grow with them."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, TypedDict, cast

from pipeline.layout import is_intermediate
from pipeline.recordio import CONTENT_TYPE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from smart_open.s3 import MultipartWriter

PART_SIZE = 8 * 1024 * 1024
"""Bytes of a part of a multipart upload: held in memory once for each object being written."""


INTERMEDIATE = "Kind=intermediate"
"""The tag of intermediate files. A rule of the runs bucket lets them expire (template.yaml)."""

_CONTENT_TYPES = {"csv": "text/csv", "pbr": CONTENT_TYPE, "u64": "application/octet-stream"}


class ObjectWriter(ExitStack):
    """Objects that are written together: all appear, or none when an exception passes."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        super().__init__()
        self._s3 = s3
        self._bucket = bucket

    def open_bytes(self, key: str) -> MultipartWriter:
        """Return a binary stream to ``key``, of a type that its ending tells."""
        from smart_open import s3 as smart_s3

        created = {"ContentType": _CONTENT_TYPES[key.rpartition(".")[2]], **tagging(key)}
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
        return self.enter_context(cast("MultipartWriter", raw))

    def open(self, key: str) -> TextIO:
        """Return a stream of text to ``key``, in UTF-8."""
        raw = self.open_bytes(key)
        text = io.TextIOWrapper(cast("BinaryIO", raw), encoding="utf-8", newline="")
        # Flush before the object is completed, but leave completing or aborting it to the stack.
        self.callback(text.detach)
        return text


class Tagging(TypedDict, total=False):
    """What an object is written with besides its body."""

    Tagging: str


def tagging(key: str) -> Tagging:
    """Return the tag to write a file with, if it is an intermediate one."""
    return {"Tagging": INTERMEDIATE} if is_intermediate(key) else {}


def read_json(s3: S3Client, bucket: str, key: str) -> Any:
    """Return what a JSON object holds."""
    return json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])


def read_json_if_there(s3: S3Client, bucket: str, key: str) -> Any:
    """Return what a JSON object holds, None if there is no such object."""
    try:
        return read_json(s3, bucket, key)
    except s3.exceptions.NoSuchKey:
        return None


def read_ahead[T](read: Callable[[T], bytes], what: Iterable[T], most: int) -> Iterator[bytes]:
    """Yield what is read, in order; up to so many are read before they are needed."""
    waiting = iter(what)
    with ThreadPoolExecutor(most, thread_name_prefix="read_ahead") as pool:
        pending = deque(pool.submit(read, each) for each in islice(waiting, most))
        try:
            while pending:
                content = pending.popleft().result()
                pending.extend(pool.submit(read, each) for each in islice(waiting, 1))
                yield content
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def write_json(s3: S3Client, bucket: str, key: str, content: Any, indent: int | None = 2) -> None:
    """Write a JSON object; what JSON doesn't have, such as DynamoDB's decimals, as text."""
    body = json.dumps(content, indent=indent, ensure_ascii=False, default=str).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", **tagging(key))
