"""Which S3 objects a data source stands for.

Source: API reference, "S3DataSource" and "TransformS3DataSource".
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.aws.table import Document

# Source: MXNet, "Create a Dataset Using RecordIO".
RECORDIO_MAGIC = 0xCED7230A


@dataclass(frozen=True)
class InputObject:
    """An object of a data source; ``relative`` is its name below the source's prefix."""

    bucket: str
    key: str
    relative: str

    @property
    def uri(self) -> str:
        """Where the object is."""
        return f"s3://{self.bucket}/{self.key}"


def list_objects(scope: Scope, source: Document) -> list[InputObject]:
    """The objects of an S3 data source, in the order of their keys or of the manifest.

    Raises DataError: the location can't be read, has no objects, or the manifest isn't one.
    """
    uri = source["S3Uri"]
    if source["S3DataType"] == "ManifestFile":
        return read_manifest(scope, uri)
    bucket, prefix = platform.split_s3_uri(uri)
    folder = prefix.rfind("/") + 1
    found = [InputObject(bucket, key, key[folder:]) for key in platform.list_keys(scope, uri)]
    if not found:
        raise DataError(f"S3 key: {uri} matched no files on s3")
    return found


def read_manifest(scope: Scope, uri: str) -> list[InputObject]:
    """The objects that a manifest file lists."""
    bucket, key = platform.split_s3_uri(uri)
    body = platform.open_object(scope, bucket, key).read()
    try:
        manifest = json.loads(body)
    except ValueError as error:
        raise DataError(f'The manifest "{uri}" is not valid JSON: {error}') from error
    return parse_manifest(manifest, uri)


def parse_manifest(manifest: Any, uri: str) -> list[InputObject]:
    """Take a manifest apart: ``[{"prefix": "s3://bucket/folder/"}, "a.csv", "b.csv"]``.

    A name is appended to the prefix as it is, so the prefix normally ends with a slash.
    """
    if not isinstance(manifest, list):
        manifest = []
    first, *names = manifest or [None]
    prefix = first.get("prefix") if isinstance(first, dict) else None
    if not isinstance(prefix, str) or not prefix.startswith("s3://"):
        raise DataError(
            f'The manifest "{uri}" must be a JSON array that begins with '
            '{"prefix": "s3://bucket/prefix/"}'
        )
    if not names or not all(isinstance(name, str) and name for name in names):
        raise DataError(f'The manifest "{uri}" must list the names of objects after its prefix')
    bucket, key = platform.split_s3_uri(prefix)
    return [InputObject(bucket, key + name, name) for name in names]


def shuffled(objects: list[InputObject], config: Document | None) -> list[InputObject]:
    """The objects in the order that a channel's ShuffleConfig draws from its seed."""
    if not config:
        return objects
    return random.Random(config["Seed"]).sample(objects, len(objects))


def safe_relative_path(name: str) -> PurePosixPath:
    """A name below a prefix as a relative path that stays in its folder.

    Keys may hold anything, ``../../etc/passwd`` too.
    """
    parts = [part for part in name.split("/") if part]
    if not parts or any(part in (".", "..") for part in parts) or "\0" in name:
        raise DataError(f"The S3 key {name!r} can't be written as a file")
    return PurePosixPath(*parts)


def download(scope: Scope, item: InputObject, folder: Path, check: Callable[[], None]) -> None:
    """Write an object below a folder, where its key has it below the prefix.

    ``check`` is called again and again, and leaves off by raising.

    Raises DataError: the object can't be read, or not be written under its name.
    """
    path = folder / safe_relative_path(item.relative)
    source = platform.open_object(scope, item.bucket, item.key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in platform.chunks(source):
                file.write(chunk)
                check()
    except OSError as error:
        # A key may be a folder of others, or be too long for a file's name.
        raise DataError(f"{item.uri} can't be written as a file: {error.strerror}") from error
