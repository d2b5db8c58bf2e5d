"""A file through Preprocess's own functions, without AWS."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from pipeline.errors import Refusal
from pipeline.rejects import Reject, as_refusals
from pipeline.schema import Column, Schema
from pipeline.settings import Settings
from preprocess.finish import check_usable, leave_out_single_rows
from preprocess.labels import FileClasses, class_order, file_classes
from preprocess.opening import Opened, open_table
from preprocess.survey import Survey
from tabular import blocks
from tabular.text import Text

URI = "s3://inbox/rows.csv"


@dataclass(frozen=True)
class Prepared:
    """What became of a file."""

    table: Schema
    settings: Settings
    survey: Survey
    classes: FileClasses
    rejects: list[Reject]
    clean: str
    encoding: str

    def column(self, name: str) -> Column:
        return self.table.column(name)

    @property
    def roles(self) -> dict[str, str]:
        return {column.name: str(column.role) for column in self.table.columns}

    @property
    def rejected(self) -> list[tuple[int, str]]:
        return [(reject.line, reject.reason) for reject in self.rejects]

    @property
    def schema(self) -> Schema:
        """What ``clean/schema.json`` holds: that of a live model, for the next file."""
        names = tuple(class_order(self.classes.counts))
        return replace(self.table, classes=names, spellings=self.classes.spellings)


def csv_of(columns: Mapping[str, Sequence[object]], delimiter: str = ",") -> str:
    """Return columns as a file."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def flowers(rows: int = 60, **more: Sequence[object]) -> dict[str, Sequence[object]]:
    """Return two measured columns, those that are asked for, and the label."""
    draw = random.Random(7)
    return {
        "length": [f"{draw.gauss(5, 1):.2f}" for _ in range(rows)],
        "width": [f"{draw.gauss(3, 1):.2f}" for _ in range(rows)],
        **more,
        "species": [("setosa", "versicolor", "virginica")[row % 3] for row in range(rows)],
    }


def opened(
    content: bytes | str,
    settings: Settings,
    live: Schema | None = None,
    *,
    gzip: bool = False,
    chunk: int = 8 << 20,
) -> tuple[Text, Opened]:
    """Read a file's beginning, `chunk` bytes at a time."""
    data = content.encode() if isinstance(content, str) else content
    raw = (data[start : start + chunk] for start in range(0, len(data), chunk))
    text = Text(raw, named_gzip=gzip, encoding=settings.encoding)
    return text, open_table(text, settings, live, URI)


@as_refusals()
def prepared(
    content: bytes | str,
    settings: Settings | None = None,
    *,
    live: Schema | None = None,
    known: Sequence[str] = (),
    gzip: bool = False,
    chunk: int = 8 << 20,
    block: int = blocks.BLOCK,
    prove: bool = True,
) -> Prepared:
    """Prepare a file as the function does.

    Parameters
    ----------
    chunk, block
        Bytes that are read at a time, and that are looked at together.
    prove
        Whether rows may be read many at a time.
    """
    text, begun = opened(content, settings or Settings(), live, gzip=gzip, chunk=chunk)
    table = begun.table
    survey, rejects, clean = Survey(table, begun.settings), list[Reject](), bytearray()
    with patch.object(blocks, "BLOCK", block):
        for each in blocks.read_blocks(
            begun.chunks,
            delimiter=table.delimiter,
            width=len(table.columns),
            line=begun.line,
            prove=prove,
        ):
            clean += survey.add(each, rejects.append)
    return _finished(begun, survey, known, rejects, clean, text.encoding)


@as_refusals()
def prepared_in_parts(
    content: str,
    cuts: Sequence[int],
    settings: Settings | None = None,
    *,
    known: Sequence[str] = (),
) -> Prepared:
    """Prepare a file in parts, which begin at some of its lines; no field has a line break."""
    text, begun = opened(content, settings or Settings())
    lines = b"".join(begun.chunks).splitlines(keepends=True)
    table, rejects, clean = begun.table, list[Reject](), bytearray()
    whole = Survey(table, begun.settings)
    bounds = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    for start, end in pairwise(bounds):
        part = Survey(table, begun.settings)
        for block in blocks.read_blocks(
            [b"".join(lines[start:end])],
            delimiter=table.delimiter,
            width=len(table.columns),
            line=begun.line + start,
        ):
            clean += part.add(block, rejects.append)
        whole.merge(json.loads(json.dumps(part.state())))
    return _finished(begun, whole, known, rejects, clean, text.encoding)


def _finished(
    begun: Opened,
    survey: Survey,
    known: Sequence[str],
    rejects: list[Reject],
    clean: bytearray,
    encoding: str,
) -> Prepared:
    rejects += leave_out_single_rows(survey, known)
    classes = file_classes(survey.labels, [*known, *begun.settings.classes])
    check_usable(survey, classes)
    return Prepared(begun.table, begun.settings, survey, classes, rejects, clean.decode(), encoding)


def refusal_of(content: bytes | str, settings: Settings | None = None, **options: Any) -> Refusal:
    """Return why a file is refused."""
    try:
        prepared(content, settings, **options)
    except Refusal as refusal:
        return refusal
    raise AssertionError("the file was not refused")
