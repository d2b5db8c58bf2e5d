"""Preprocess's own functions, from a file to a folder instead of from S3 to S3."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.byte_ranges import RANGE
from pipeline.rejects import Reject
from pipeline.schema import Schema
from pipeline.settings import Settings
from preprocess.finish import check_usable, leave_out_single_rows
from preprocess.labels import class_order, file_classes
from preprocess.opening import open_table
from preprocess.survey import Survey
from tabular.ranges import scan
from tabular.text import Text


def preprocess(source: str, folder: str, settings: str = "{}") -> None:
    """Write clean rows, sample, schema, settings and profile.

    Parameters
    ----------
    settings
        As a ``schema.json`` gives them.
    """
    into = Path(folder)
    given = Settings.from_dict(json.loads(settings))
    text = Text(chunks(source), named_gzip=False, encoding=None)
    opened = open_table(text, given, None, source)
    table = opened.table
    survey = Survey(table, opened.settings)
    with (into / "data.csv").open("wb") as data, (into / "rejects.csv").open("w") as rejects:

        def set_aside(reject: Reject) -> None:
            print(*reject[:3], file=rejects)

        survey.read(opened.chunks, opened.line, data, set_aside, math.inf)
    leave_out_single_rows(survey, ())
    classes = file_classes(survey.labels, ())
    check_usable(survey, classes)
    names = tuple(class_order(classes.counts))
    schema = Schema(
        table.label, table.features, names, classes.spellings, table.columns, table.delimiter
    )
    rows = survey.sample.rows()
    write(into / "schema.json", schema.as_dict())
    write(into / "settings.json", opened.settings.as_dict())
    write(into / "sample.json", [row._asdict() for row in rows])
    counts = {
        "classes": [classes.counts[name] for name in names],
        "missing": int(survey.profile.missing.sum()),
    }
    write(into / "counts.json", counts)


def scan_all(source: str) -> None:
    """Look through a file for its lines and quotes, as through a part of a large one."""
    data = b"".join(chunks(source))
    scan(data, (0, len(data)), 0, len(data), ",")


def chunks(source: str | Path) -> Iterator[bytes]:
    """Yield a file's bytes, as many at a time as come from S3."""
    with open(source, "rb") as file:
        while chunk := file.read(RANGE):
            yield chunk


def write(path: Path, content: Any) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content))
