"""Preprocess of a large file, in parts: one invocation a task of ``prepare_large_file``.

A refusal is no error of a task: what the file is like won't change by trying again. A task of the
whole file answers with it; a part's is kept for the task that puts the parts together, which
refuses for the first. What tasks tell each other stands under ``large/`` in the run's folder.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from classes import Classes, check_classes, class_order
from clean_files import CleanFiles, write_clean_files, write_clean_rows
from columns import Columns
from dataset_schema import DatasetSchema
from dialect import Dialect
from dropped_file import DroppedFile, find_version, read_dataset_schema
from pipeline import run as layout
from pipeline.byte_ranges import ObjectVersion
from pipeline.errors import Refusal
from pipeline.objects import read_each, read_json, write_json
from pipeline.registry import known_classes, register_classes
from prepare import Table, open_table, run_schema
from ranges import Range, Scan, align, bytes_to_scan, cut, scan
from records import Record
from row_profile import Profile
from rows import Example, RowChecker
from text_stream import decoded

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
PART_BYTES = int(float(os.environ["PART_MEGABYTES"]) * 1_000_000)
MAX_REJECTED_FRACTION = float(os.environ["MAX_REJECTED_FRACTION"])
SPARE_SECONDS = 30
IF_LATE = "Drop it again when the parameter LargeFilePartMegabytes is smaller: a part is then, too."

logger = Logger()
tracer = Tracer()
metrics = Metrics()
s3 = boto3.client("s3")
registry = boto3.resource("dynamodb").Table(os.environ["REGISTRY_TABLE"])


# A refusal may quote the file, which is nothing for a log or a trace: its code says enough there.
@logger.inject_lambda_context(correlation_id_path="run")
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do a task."""
    tracer.put_annotation("run", event["run"])
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    file = LargeFile(event["run"], deadline)
    task, part = event["task"], event.get("part")
    if part is not None:
        of_parts = {"scan": file.scan, "survey": file.survey, "rewrite": file.rewrite}
        of_parts[task](part)
        return {}
    of_file: dict[str, Callable[[], dict[str, Any]]] = {
        "open": lambda: file.open(event["dataset"], event["source"]),
        "align": file.align,
        "merge": file.merge,
    }
    try:
        return of_file[task]()
    except Refusal as refusal:
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        return {"refusal": refusal.as_dict()}


@dataclass(frozen=True)
class _Survey:
    """What a part's survey has found out, beside its profile."""

    classes: Counter[str]
    integers: dict[str, int]
    written: bool


class LargeFile:
    """A file that is read in parts, and what is known of it so far."""

    def __init__(self, run: str, deadline: float) -> None:
        self._folder = layout.RunFolder(run)
        self._deadline = deadline

    def open(self, dataset: str, source: dict[str, Any]) -> dict[str, Any]:
        """Read the file's beginning, cut the rest; return how many parts there are."""
        version = find_version(s3, **source)
        schema = read_dataset_schema(s3, source["bucket"], dataset)
        stream = DroppedFile(s3, version).text(schema)
        beginning = open_table(stream, schema)
        table = beginning.table
        bounds = cut(beginning.header_bytes, version.size, PART_BYTES)
        known = list(dict.fromkeys([*known_classes(registry, dataset), *schema.classes]))
        self._write(
            "file",
            {
                "dataset": dataset,
                "version": asdict(version),
                "schema": asdict(schema),
                "columns": table.columns.as_dict(),
                "dialect": asdict(table.dialect),
                "encoding": stream.encoding,
                "line": table.line,
                "bounds": bounds,
                "classes": [*known, *_classes_of(beginning.sample, table, schema, known)],
            },
        )
        return {"parts": len(bounds)}

    def scan(self, part: int) -> None:
        """Find the lines of a part."""
        file = self._read("file")
        version, bounds = ObjectVersion(**file["version"]), tuple(file["bounds"][part])
        first = file["bounds"][0][0]
        wanted = bytes_to_scan(bounds, first, version.size)
        data = b"".join(DroppedFile(s3, version).chunks(*wanted))
        with self._keeping_refusal("scan", part):
            found = scan(data, bounds, first, version.size, file["dialect"]["delimiter"])
            self._write("scan", found.as_dict(), part)

    def align(self) -> dict[str, Any]:
        """Tell from all scans where the records of each part begin."""
        file = self._read("file")
        scans = [Scan.from_dict(each) for each in self._read_parts("scan", len(file["bounds"]))]
        ranges = align(scans, file["line"], file["version"]["size"])
        said = [each.encoding for each in scans if each.encoding]
        encoding = said[0] if file["encoding"] == "ascii" and said else file["encoding"]
        content = {"encoding": encoding, "ranges": [asdict(each) for each in ranges]}
        self._write("ranges", content)
        return {}

    def survey(self, part: int) -> None:
        """Check the rows of a part and write those that are kept."""
        file = self._read("file")
        schema = _dataset_schema(file["schema"])
        classes = Classes(file["classes"], file["columns"]["label"])
        with self._keeping_refusal("survey", part):
            profile, written = write_clean_files(
                s3,
                RUNS_BUCKET,
                self._files(part),
                self._table(file, part),
                schema,
                classes,
                size=file["version"]["size"],
                deadline=self._deadline,
                if_late=IF_LATE,
            )
            integers = dict(zip(classes.names, classes.integers, strict=True))
            content = {"profile": profile.state(), "integers": integers, "written": written}
            self._write("survey", content, part)

    def merge(self) -> dict[str, Any]:
        """Put the profiles together; return the parts whose rows have yet to be written.

        Raises
        ------
        Refusal
            No classifier can be trained on the rows.
        """
        file = self._read("file")
        schema = _dataset_schema(file["schema"])
        columns = Columns.from_dict(file["columns"])
        profile, surveys = self._merged(columns, len(file["bounds"]))
        profile.check_sums()
        metrics.add_metric("RowsKept", MetricUnit.Count, profile.kept)
        metrics.add_metric("RowsRejected", MetricUnit.Count, profile.rejected)
        new = class_order(name for name in profile.classes if name not in schema.classes)
        facts_of_file = {
            "encoding": self._read("ranges")["encoding"],
            "delimiter": file["dialect"]["delimiter"],
        }
        content = profile.as_dict([*schema.classes, *new]) | {"file": facts_of_file}
        write_json(s3, RUNS_BUCKET, self._folder / layout.PROFILE, content)
        profile.check(columns.label, max_rejected_fraction=MAX_REJECTED_FRACTION)
        known = known_classes(registry, file["dataset"])
        check_classes(list(dict.fromkeys([*known, *schema.classes, *new])), columns.label)
        every = register_classes(registry, file["dataset"], [*schema.classes, *new])
        integer = {name: place for place, name in enumerate(every)}
        write_json(
            s3,
            RUNS_BUCKET,
            self._folder / layout.SCHEMA,
            run_schema(columns, schema, every).as_dict(),
        )
        has_keys = columns.group or columns.time
        parts = [
            {
                "data": self._files(part).data,
                "keys": self._files(part).keys if has_keys else None,
                "classes": [each.classes[name] for name in every],
            }
            for part, each in enumerate(surveys)
        ]
        write_json(s3, RUNS_BUCKET, self._folder / layout.PARTS, {"parts": parts})
        rewrite = [
            part
            for part, each in enumerate(surveys)
            if not each.written
            or any(
                integer.get(name) != given
                for name, given in each.integers.items()
                if each.classes[name]
            )
        ]
        logger.info("merged", extra={"kept": profile.kept, "rewrite": len(rewrite)})
        return {"rewrite": rewrite, "feature_dim": len(columns.features)}

    def _merged(self, columns: Columns, parts: int) -> tuple[Profile, list[_Survey]]:
        """Return the profile of all rows, and what must be known of each part."""
        profile: Profile | None = None
        surveys = []
        for content in self._read_parts("survey", parts):
            of_part = Profile.from_state(columns.features, content["profile"])
            surveys.append(_Survey(of_part.classes.copy(), content["integers"], content["written"]))
            if profile:
                profile.merge(of_part)
            else:
                profile = of_part
        if profile is None:
            raise AssertionError("a file has one part at least")
        return profile, surveys

    def rewrite(self, part: int) -> None:
        """Write the clean rows of a part, all classes being known."""
        file = self._read("file")
        every = read_json(s3, RUNS_BUCKET, self._folder / layout.SCHEMA)["classes"]
        write_clean_rows(
            s3,
            RUNS_BUCKET,
            self._files(part),
            self._table(file, part),
            _dataset_schema(file["schema"]),
            every,
            size=file["version"]["size"],
            deadline=self._deadline,
            if_late=IF_LATE,
        )

    @contextmanager
    def _keeping_refusal(self, name: str, part: int) -> Iterator[None]:
        try:
            yield
        except Refusal as refusal:
            logger.warning("refused", extra={"code": refusal.code, "part": part})
            self._write(name, {"refusal": refusal.as_dict()}, part)

    def _table(self, file: dict[str, Any], part: int) -> Table:
        ranges = self._read("ranges")
        bounds = Range(**ranges["ranges"][part])
        chunks = DroppedFile(s3, ObjectVersion(**file["version"])).chunks(bounds.start, bounds.end)
        if ranges["encoding"] == "windows-1252":
            chunks = decoded(chunks, ranges["encoding"], bounds.line)
        return Table(
            Columns.from_dict(file["columns"]), Dialect(**file["dialect"]), bounds.line, chunks
        )

    def _files(self, part: int) -> CleanFiles:
        return CleanFiles(
            self._folder.part(layout.CLEAN_DATA, part),
            self._folder.part(layout.CLEAN_KEYS, part),
            self._folder.part(layout.REJECTS, part),
        )

    def _key(self, name: str, part: int | None) -> str:
        name = f"{layout.LARGE}/{name}.json"
        return self._folder / name if part is None else self._folder.part(name, part)

    def _read(self, name: str) -> Any:
        return read_json(s3, RUNS_BUCKET, self._key(name, None))

    def _read_parts(self, name: str, parts: int) -> Iterator[Any]:
        keys = [self._key(name, part) for part in range(parts)]
        for body in read_each(s3, RUNS_BUCKET, keys):
            content = json.loads(body)
            if "refusal" in content:
                raise Refusal.from_dict(content["refusal"])
            yield content

    def _write(self, name: str, content: Any, part: int | None = None) -> None:
        write_json(s3, RUNS_BUCKET, self._key(name, part), content)


def _dataset_schema(fields: dict[str, Any]) -> DatasetSchema:
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return DatasetSchema(**(fields | lists))


def _classes_of(
    sample: Sequence[Record], table: Table, schema: DatasetSchema, known: Sequence[str]
) -> list[str]:
    """Return the classes of some rows, so that most parts give them the same integers."""
    checker = RowChecker(
        table.columns, table.dialect, classes=schema.classes, impute=schema.missing != "refuse"
    )
    checked = map(checker.check, sample)
    labels = {each.label for each in checked if isinstance(each, Example)}
    return class_order(labels - set(known))
