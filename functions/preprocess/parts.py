"""Preprocess of a large file: one task of ``prepare_large_file`` at a time."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from pipeline import run as layout
from pipeline.byte_ranges import ObjectVersion
from pipeline.errors import Refusal
from pipeline.executions import start_refused_run
from pipeline.large import LargeFile
from pipeline.objects import CsvWriter, write_json
from pipeline.registry import known_classes
from pipeline.schema import Column, Role
from pipeline.settings import Settings
from preprocess.app import (
    PART_BYTES,
    RUNS_BUCKET,
    SPARE_SECONDS,
    STATE_MACHINE_ARN,
    logger,
    metrics,
    open_file,
    refusal_of,
    registry,
    s3,
    settings_of,
    sfn,
    tracer,
)
from preprocess.finish import finish, leave_out_single_rows
from preprocess.roles import Table
from preprocess.source import UploadedFile, find_file
from preprocess.survey import Keys, Surveyed, survey_rows
from tabular.errors import TableError
from tabular.ranges import Range, Scan, align, bytes_to_scan, cut, scan
from tabular.text import decoded

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

IF_LATE = "Upload it again with a smaller LargeFilePartMegabytes: each part is smaller then, too."


# A refusal may quote the file: customer data, which no log or trace should hold.
@logger.inject_lambda_context(correlation_id_path="run")
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do a task; a file that is refused starts the execution that reports it."""
    tracer.put_annotation("run", event["run"])
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    try:
        return PartsOfFile(s3, RUNS_BUCKET, event["run"], deadline).do(event)
    except (Refusal, TableError) as error:
        refusal = refusal_of(error)
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        start_refused_run(sfn, STATE_MACHINE_ARN, event["run"], event["facts"], refusal)
        return {"step": "done"}


class PartsOfFile(LargeFile):
    """The steps: scan for the places where records begin, then survey the rows."""

    def next(self, done: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the step after one; after the last, Split begins."""
        if not done:
            return self._open(facts)
        file = self.read("file")
        parts = len(file["bounds"])
        if done == "scan":
            scans = [Scan.from_dict(json.loads(body)) for body in self.found(done, parts)]
            ranges = align(scans, file["line"], file["version"]["size"])
            said = [each.encoding for each in scans if each.encoding]
            encoding = said[0] if file["encoding"] == "ascii" and said else file["encoding"]
            self.write("ranges", {"encoding": encoding, "ranges": [asdict(r) for r in ranges]})
            return {"step": "survey", "parts": list(range(parts))}
        self._finish(file, facts)
        return {"step": "split"}

    def work(self, step: str, part: int) -> bytes:
        """Scan a part, or survey its rows and write those that are kept."""
        file = self.read("file")
        uploaded = UploadedFile(self.s3, ObjectVersion(**file["version"]))
        table = _table(file["table"])
        try:
            if step == "scan":
                first, size = file["bounds"][0][0], uploaded.version.size
                bounds = (file["bounds"][part][0], file["bounds"][part][1])
                data = b"".join(uploaded.chunks(*bytes_to_scan(bounds, first, size)))
                found = scan(data, bounds, first, size, table.delimiter)
                return json.dumps(found.as_dict()).encode()
            ranges = self.read("ranges")
            bounds_of_rows = Range(**ranges["ranges"][part])
            surveyed = survey_rows(
                self.s3,
                self.bucket,
                self._keys(part),
                table,
                Settings.from_dict(file["settings"]),
                _text(uploaded, bounds_of_rows, ranges["encoding"]),
                bounds_of_rows.line,
                deadline=self.deadline,
                if_late=IF_LATE,
            )
        except TableError as error:
            raise refusal_of(error) from error
        return json.dumps(surveyed.state()).encode()

    def _open(self, facts: dict[str, Any]) -> dict[str, Any]:
        uploaded = find_file(self.s3, **facts["source"])
        given, about = settings_of(uploaded, facts["dataset"])
        text = uploaded.text(given.settings.encoding)
        opened = open_file(uploaded, text, given, facts["dataset"])
        bounds = cut(opened.header_bytes, uploaded.version.size, PART_BYTES)
        content = {
            "version": asdict(uploaded.version),
            "table": asdict(opened.table),
            "settings": opened.settings.as_dict(),
            "about": about,
            "encoding": text.encoding,
            "line": opened.line,
            "bounds": bounds,
        }
        self.write("file", content)
        return {"step": "scan", "parts": list(range(len(bounds)))}

    def _finish(self, file: dict[str, Any], facts: dict[str, Any]) -> None:
        table, settings = _table(file["table"]), Settings.from_dict(file["settings"])
        known = known_classes(registry, facts["dataset"])
        surveyed = Surveyed.nothing(table, settings)
        parts = []
        for part, body in enumerate(self.found("survey", len(file["bounds"]))):
            state = json.loads(body)
            surveyed.merge(state)
            parts.append((self._keys(part).data, state["labels"]["counts"]))
        if too_few := leave_out_single_rows(surveyed, known, settings):
            with CsvWriter(self.s3, self.bucket) as writer:
                rejects = csv.writer(
                    writer.open(self._keys(len(parts)).rejects), lineterminator="\n"
                )
                rejects.writerow(["line", "reason", "row"])
                rejects.writerows([each.line, each.reason, each.text] for each in too_few)
        metrics.add_metric("RowsKept", MetricUnit.Count, surveyed.profile.kept)
        metrics.add_metric("RowsRejected", MetricUnit.Count, surveyed.profile.rejected)
        about = {
            "settings": file["about"],
            "file": {"encoding": self.read("ranges")["encoding"], "delimiter": table.delimiter},
        }
        manifest = finish(
            self.s3, registry, self.bucket, self.run, about, table, settings, surveyed, known, parts
        )
        write_json(self.s3, self.bucket, self.folder / layout.PARTS, manifest)

    def _keys(self, part: int) -> Keys:
        return Keys(
            self.folder.part(layout.CLEAN_DATA, part), self.folder.part(layout.REJECTS, part)
        )


def _text(uploaded: UploadedFile, bounds: Range, encoding: str) -> Iterator[bytes]:
    chunks = uploaded.chunks(bounds.start, bounds.end)
    return decoded(chunks, encoding, bounds.line) if encoding == "windows-1252" else chunks


def _table(fields: dict[str, Any]) -> Table:
    columns = tuple(Column(**each | {"role": Role(each["role"])}) for each in fields["columns"])
    return Table(columns, fields["label"], tuple(fields["features"]), fields["delimiter"])
