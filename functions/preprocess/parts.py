"""Preprocess of a large file: one task of ``prepare_large_file`` at a time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from pipeline import layout
from pipeline.byte_ranges import ObjectVersion
from pipeline.executions import RUNS_BUCKET, registry, s3
from pipeline.handling import metrics, read_environment
from pipeline.large import LargeFile, handler_of
from pipeline.objects import ObjectWriter
from pipeline.registry import known_classes, live_schema
from pipeline.rejects import as_refusals, rejects_file
from pipeline.schema import Schema
from pipeline.settings import Settings
from pipeline.uploaded import UploadedFile, find_file
from preprocess.finish import finish, leave_out_single_rows
from preprocess.opening import open_file, settings_of
from preprocess.survey import Survey
from tabular.ranges import Range, Scan, align, bytes_to_scan, cut, scan
from tabular.text import decoded


@dataclass(frozen=True)
class Environment:
    """What the function is told besides."""

    part_megabytes: float
    settings: dict[str, Any]


environment = read_environment(Environment)


class PartsOfFile(LargeFile):
    """The steps: scan for the places where records begin, then survey the rows."""

    @as_refusals()
    def next(self, done: str, facts: dict[str, Any]) -> tuple[str, int]:
        """Return the step after one; after the last, Split begins."""
        if not done:
            return "scan", self._open(facts)
        file = self.read("file")
        parts = len(file["bounds"])
        if done == "survey":
            self._finish(file, facts)
            return "split", 0
        scans = [Scan(**json.loads(body)) for body in self.found(done, parts)]
        said = [each.encoding for each in scans if each.encoding]
        encoding = said[0] if file["encoding"] == "ascii" and said else file["encoding"]
        ranges = align(scans, file["line"], file["version"]["size"])
        self.write("ranges", {"encoding": encoding, "ranges": [asdict(each) for each in ranges]})
        return "survey", parts

    @as_refusals()
    def work(self, step: str, part: int) -> bytes:
        """Scan a part, or survey its rows and write those that are kept."""
        file = self.read("file")
        uploaded = UploadedFile(s3, ObjectVersion(**file["version"]))
        surveyed = _survey(file)
        if step == "scan":
            first, size = file["bounds"][0][0], uploaded.version.size
            start, end = file["bounds"][part]
            data = b"".join(uploaded.chunks(*bytes_to_scan((start, end), first, size)))
            found = scan(data, (start, end), first, size, surveyed.table.delimiter)
            return json.dumps(asdict(found)).encode()
        ranges = self.read("ranges")
        bounds = Range(**ranges["ranges"][part])
        text = uploaded.chunks(bounds.start, bounds.end)
        if ranges["encoding"] == "windows-1252":
            text = decoded(text, ranges["encoding"], bounds.line)
        with (
            rejects_file(s3, RUNS_BUCKET, self.folder.part(layout.REJECTS, part)) as set_aside,
            ObjectWriter(s3, RUNS_BUCKET) as writer,
        ):
            kept = writer.open_bytes(self.folder.part(layout.CLEAN_DATA, part))
            surveyed.read(text, bounds.line, kept, set_aside, self.deadline)
        return json.dumps(surveyed.state()).encode()

    def _open(self, facts: dict[str, Any]) -> int:
        """Write what is known of the file by its beginning; return how many parts it gets."""
        uploaded = find_file(s3, **facts["source"])
        settings, about = settings_of(s3, environment.settings, uploaded, facts["dataset"])
        live = live_schema(registry, s3, RUNS_BUCKET, facts["dataset"])
        text, opened = open_file(uploaded, settings, live)
        bounds = cut(
            opened.header_bytes, uploaded.version.size, int(environment.part_megabytes * 1e6)
        )
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
        return len(bounds)

    def _finish(self, file: dict[str, Any], facts: dict[str, Any]) -> None:
        known = known_classes(registry, facts["dataset"])
        surveyed = _survey(file)
        parts = []
        for part, body in enumerate(self.found("survey", len(file["bounds"]))):
            state = json.loads(body)
            surveyed.merge(state)
            parts.append((self.folder.part(layout.CLEAN_DATA, part), state["labels"]))
        if too_few := leave_out_single_rows(surveyed, known):
            key = self.folder.part(layout.REJECTS, len(parts))
            with rejects_file(s3, RUNS_BUCKET, key) as set_aside:
                for reject in too_few:
                    set_aside(reject)
        metrics.add_metric("RowsKept", MetricUnit.Count, surveyed.profile.kept)
        metrics.add_metric("RowsRejected", MetricUnit.Count, surveyed.profile.rejected)
        encoding, delimiter = self.read("ranges")["encoding"], surveyed.table.delimiter
        about = {"settings": file["about"], "file": {"encoding": encoding, "delimiter": delimiter}}
        finish(s3, registry, RUNS_BUCKET, self.run, about, surveyed, known, parts, layout.PARTS)


def _survey(file: dict[str, Any]) -> Survey:
    return Survey(Schema.from_dict(file["table"]), Settings.from_dict(file["settings"]))


handler = handler_of(PartsOfFile)
