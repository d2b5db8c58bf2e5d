"""Preprocess's own functions, from a file to a file instead of from S3 to S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from classes import Classes
from dataset_schema import DatasetSchema
from pipeline.byte_ranges import RANGE
from prepare import open_table, run_schema, survey_table
from ranges import scan
from survey import CleanRows
from text_stream import TextStream


def preprocess(source: str, folder: str) -> None:
    """Write clean data, schema and profile."""
    into, schema, classes = Path(folder), DatasetSchema(), Classes()
    stream = TextStream(chunks(source), named_gzip=False, encoding=None)
    table = open_table(stream, schema).table
    with (into / "data.csv").open("wb") as data, (into / "rejects.csv").open("w") as rejects:

        def write(rows: CleanRows) -> None:
            for piece in rows.text:
                data.write(piece)

        profile = survey_table(
            table,
            schema,
            classes,
            size=Path(source).stat().st_size,
            set_aside=lambda reject: print(reject.line, reject.reason, file=rejects),
            write=write,
        )
    every = classes.in_order()
    profile.check(table.columns.label, max_rejected_fraction=0.1)
    if not classes.are_in_order():
        raise AssertionError("the first block has all classes")
    (into / "schema.json").write_text(
        json.dumps(run_schema(table.columns, schema, every).as_dict())
    )
    (into / "profile.json").write_text(json.dumps(profile.as_dict(every)))


def scan_all(source: str) -> None:
    """Look through a file for its lines and quotes, as through a part of a large one."""
    data = b"".join(chunks(source))
    scan(data, (0, len(data)), 0, len(data), ",")


def chunks(source: str) -> Iterator[bytes]:
    """Yield a file's bytes, as many at a time as come from S3."""
    with open(source, "rb") as file:
        while chunk := file.read(RANGE):
            yield chunk
