"""A run's folder, as Validate reads it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from smart_open import s3 as smart_s3

from pipeline import layout
from pipeline.errors import BegunBeforeUpdate
from pipeline.objects import read_json, read_json_if_there
from pipeline.recordio import read_records
from pipeline.schema import Schema

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

csv.field_size_limit(1 << 30)  # the whole process has one limit; Preprocess checked the rows

_READ_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class RunFiles:
    """The files of a run; those of rows may each be in parts, which are read in their order."""

    s3: S3Client
    bucket: str
    run: str

    def read(self, name: str) -> Any:
        """Return what a JSON file holds."""
        return read_json(self.s3, self.bucket, layout.RunFolder(self.run) / name)

    def read_if_there(self, name: str) -> Any:
        """Return what a JSON file holds, None if there is no such file."""
        return read_json_if_there(self.s3, self.bucket, layout.RunFolder(self.run) / name)

    def held_out(self, schema: Schema) -> Iterator[list[str]]:
        """Yield the held-out rows as they were written."""
        lines = (
            line
            for file in self._files(layout.HELD_OUT.removesuffix(".csv"))
            for line in TextIOWrapper(file, encoding="utf-8", newline="")
        )
        return csv.reader(lines, delimiter=schema.delimiter, skipinitialspace=True)

    def records(self, width: int) -> Iterator[tuple[float, ...]]:
        """Yield what the model sees of the held-out rows, so many features, and last the label."""
        for file in self._files("test/"):
            yield from read_records(file, width)

    def fingerprints(self, name: str) -> Iterator[NDArray[np.uint64]]:
        """Yield the fingerprints of rows, many at a time; none if the run has none."""
        for file in self._files(name.removesuffix(".u64")):
            while content := file.read(_READ_AT_ONCE):
                yield np.frombuffer(content, "<u8")

    def _files(self, prefix: str) -> Iterator[BinaryIO]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=layout.RunFolder(self.run) / prefix
        )
        for key in (found["Key"] for page in pages for found in page.get("Contents", ())):
            # Earlier releases tested on CSV.
            if "/test/" in key and key.endswith(".csv"):
                raise BegunBeforeUpdate
            with smart_s3.open(
                self.bucket, key, "rb", client=self.s3, buffer_size=_READ_AT_ONCE
            ) as file:
                yield cast("BinaryIO", file)
