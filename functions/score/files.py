"""A batch's folder: rows in, predictions out, part by part."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pipeline import layout
from pipeline.algorithm import Neighbors, parse_answer, vote
from pipeline.byte_ranges import find_object, read_ranges
from pipeline.endpoint import ask, batches
from pipeline.errors import Refusal
from pipeline.objects import ObjectWriter, read_json, read_json_if_there
from pipeline.rejects import Reject, rejects_file
from pipeline.schema import Schema
from pipeline.settings import Settings
from pipeline.transform import Transform
from pipeline.uploaded import UploadedFile
from score.rows import Batch, too_many_rows
from tabular.blocks import read_blocks
from tabular.text import Text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

_HEADER = "header.json"
PREDICTION, CONFIDENCE = "Prediction", "Confidence"

_COUNTED = 100
"""Classes that are told, the most frequent ones."""


@dataclass(frozen=True)
class Model:
    """What a run has left that tells how its model is asked."""

    schema: Schema
    transform: Transform
    settings: Settings
    k: int
    weights: str

    @classmethod
    def read(cls, s3: S3Client, bucket: str, run: str) -> Self:
        """Read it from the run's folder."""
        folder = layout.RunFolder(run)
        choice = read_json_if_there(s3, bucket, folder / layout.CHOICE)
        if choice is None:
            raise Refusal(
                "ModelOfEarlierRelease",
                f"The live model, {run}, was made by a release that didn't score files.",
                "Upload the file that it was trained on again. Then upload this file again.",
            )
        return cls(
            Schema.from_dict(read_json(s3, bucket, folder / layout.SCHEMA)),
            Transform.from_dict(read_json(s3, bucket, folder / layout.TRANSFORM)),
            Settings.from_dict(read_json_if_there(s3, bucket, folder / layout.SETTINGS) or {}),
            choice["k"],
            choice["weights"],
        )


@dataclass(frozen=True)
class BatchFiles:
    """The files of a batch."""

    s3: S3Client
    bucket: str
    batch: str

    @property
    def folder(self) -> layout.BatchFolder:
        """Where they are."""
        return layout.BatchFolder(self.batch)

    def prepare(
        self, file: UploadedFile, run: str, model: Model, deadline: float
    ) -> dict[str, int]:
        """Write the rows that can be scored, what the model sees of them, and the others.

        Each part of what the model sees is as large as a request may be. Returns how many ``rows``
        can be scored, how many were ``set_aside``, and the number of ``parts``.
        """
        text = Text(file.chunks(), named_gzip=file.is_gzip, encoding=model.settings.encoding)
        batch = Batch(text, model.schema, model.transform, model.settings)
        header = {"names": batch.layout.names, "delimiter": batch.layout.delimiter}
        counts: Counter[str] = Counter(rows=0, set_aside=0, parts=0)
        first: list[Reject] = []
        with rejects_file(self.s3, self.bucket, self.folder / layout.BATCH_REJECTS) as write_reject:

            def set_aside(reject: Reject) -> None:
                counts["set_aside"] += 1
                first[:] = first or [reject]
                write_reject(reject)

            with ObjectWriter(self.s3, self.bucket) as writer:
                kept = writer.open(self.folder / layout.BATCH_ROWS)

                def lines() -> Iterator[str]:
                    for row, line in batch.rows(set_aside, deadline):
                        counts["rows"] += 1
                        kept.write(f"{row}\n")
                        yield line

                for part in batches(lines(), model.k):
                    key = self.folder.part(layout.BATCH_INPUT, run, counts["parts"])
                    self._put(key, "".join(part).encode(), "text/csv")
                    counts["parts"] += 1
        if not counts["rows"]:
            raise _no_rows(first)
        self._put(self.folder / _HEADER, json.dumps(header).encode(), "application/json")
        return dict(counts)

    def ask(
        self, runtime: SageMakerRuntimeClient, endpoint_name: str, run: str, parts: int
    ) -> Iterator[Neighbors]:
        """Yield the neighbours of each row, as an endpoint answers."""
        for part in range(parts):
            lines = self._get(self.folder.part(layout.BATCH_INPUT, run, part)).decode()
            yield from ask(runtime, endpoint_name, [lines])

    def transformed(self, run: str, parts: int) -> Iterator[Neighbors]:
        """Yield the neighbours of each row, as a batch transform job has answered.

        Source of the name: SageMaker developer guide, "Use Batch Transform".
        """
        for part in range(parts):
            key = self.folder.part(layout.BATCH_OUTPUT, run, part)
            yield from parse_answer(self._get(f"{key}.out"))

    def write_result(
        self, model: Model, answers: Iterable[Neighbors], deadline: float
    ) -> dict[str, int]:
        """Write the rows with what the model predicts; return how often it predicts each class."""
        header = read_json(self.s3, self.bucket, self.folder / _HEADER)
        names, delimiter = header["names"], header["delimiter"]
        classes = model.schema.classes
        quoted = [_record([name], delimiter) for name in classes]
        predicted: Counter[str] = Counter()
        with ObjectWriter(self.s3, self.bucket) as writer:
            result = writer.open(self.folder / layout.RESULT)
            columns = [PREDICTION, CONFIDENCE, *(f"P({name})" for name in classes)]
            result.write(_record([*names, *_renamed(columns, names)], delimiter) + "\n")
            rows = self._rows(delimiter, len(names))
            for row, neighbors in zip(rows, answers, strict=True):
                if time.monotonic() > deadline:
                    raise too_many_rows()
                code, shares = vote(*neighbors, model.weights)
                predicted[classes[code]] += 1
                numbers = [shares[code], *(shares.get(each, 0) for each in range(len(classes)))]
                fields = [row, quoted[code], *map("{:.4f}".format, numbers)]
                result.write(delimiter.join(fields) + "\n")
        return dict(predicted.most_common(_COUNTED))

    def _rows(self, delimiter: str, width: int) -> Iterator[str]:
        """Yield the rows that can be scored, as they were written."""
        version = find_object(self.s3, self.bucket, self.folder / layout.BATCH_ROWS)
        chunks = read_ranges(self.s3, version)
        for block in read_blocks(chunks, delimiter=delimiter, width=width, line=1):
            yield from map(block.text, range(len(block)))

    def _get(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def _put(self, key: str, content: bytes, content_type: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)


def _record(fields: list[str], delimiter: str) -> str:
    """Return a line of CSV without its end."""
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(fields)
    return line.getvalue()


def _renamed(columns: Iterable[str], names: Collection[str]) -> Iterator[str]:
    """Yield names of columns that are not among those of a file, which may be an earlier result."""
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column} {number}"
        yield name


def _no_rows(rejects: list[Reject]) -> Refusal:
    why = f" The row on line {rejects[0].line} {rejects[0].reason}." if rejects else ""
    return Refusal(
        "NoRowsToScore",
        f"There is no row that can be scored.{why}",
        "Upload a CSV with the model's columns and one line per row.",
    )
