"""From a file's text to clean rows: its beginning tells what the columns mean, the rest follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from blocks import read_blocks
from classes import Classes
from columns import SAMPLE_ROWS, Columns, infer_columns
from dataset_schema import DatasetSchema
from dialect import Dialect, detect_dialect
from pipeline.schema import Schema
from records import MAX_RECORD, Record, read_records, too_long
from row_profile import Profile
from rows import Reject, RowChecker
from survey import CleanRows, Survey
from text_stream import TextStream

_HEAD = 2 * MAX_RECORD
"""Bytes of text that the columns are told from: any header, and a row at least."""

_QUANTILE_BYTES = 4 * 1024 * 1024
"""Bytes of a file, about, whose rows the quantiles are taken from."""


@dataclass(frozen=True)
class Table:
    """A file whose header has been read. `chunks` begin with its first row, on `line`."""

    columns: Columns
    dialect: Dialect
    line: int
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class Beginning:
    """What the first bytes of a file have told of it, besides what is in its `table`.

    `header_bytes` go before the first row, `sample` are rows.
    """

    table: Table
    header_bytes: int
    sample: list[Record]


def open_table(stream: TextStream, schema: DatasetSchema) -> Beginning:
    """Read a file's beginning.

    Raises
    ------
    Refusal
        The columns' roles can't be told, or the file can't be read.
    """
    chunks = iter(stream)
    head = b""
    is_whole = True
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD:
            is_whole = False
            break
    dialect = detect_dialect(head, schema, is_whole=is_whole)
    begin, is_all = head[:_HEAD], is_whole and len(head) <= _HEAD
    header, used, line = read_records(begin, dialect.delimiter, 1, is_last=is_all, limit=1)
    if not header and not is_all:
        raise too_long(head, 1)
    sample, _, _ = read_records(
        begin[used:], dialect.delimiter, line, is_last=is_all, limit=SAMPLE_ROWS
    )
    columns = infer_columns(header[0] if header else None, sample, dialect, schema)
    table = Table(columns, dialect, line, chain([head[used:]], chunks))
    return Beginning(table, stream.bytes_of(head[:used]), sample)


def survey_table(
    table: Table,
    schema: DatasetSchema,
    classes: Classes,
    *,
    size: int,
    set_aside: Callable[[Reject], None],
    write: Callable[[CleanRows], None],
    prove: bool = True,
) -> Profile:
    """Return what the rows of a table are like; write those that are kept.

    Parameters
    ----------
    classes
        The dataset's classes; new ones are added.
    size
        Bytes of the file, of which more than a few megabytes are too much for exact quantiles.

    Raises
    ------
    Refusal
        The rows can't be read.
    """
    profile = Profile(table.columns.features, stride=size // _QUANTILE_BYTES + 1)
    checker = RowChecker(
        table.columns,
        table.dialect,
        classes=schema.classes,
        impute=schema.missing != "refuse",
    )
    survey = Survey(table.columns, table.dialect, checker, classes, profile, set_aside)
    blocks = read_blocks(
        table.chunks,
        delimiter=table.dialect.delimiter,
        width=len(table.columns.header),
        line=table.line,
        # Nothing can be found at once where the decimal mark is also what separates fields.
        prove=prove and table.dialect.decimal != table.dialect.delimiter,
    )
    for block in blocks:
        write(survey.add(block))
    profile.check_sums()
    return profile


def run_schema(columns: Columns, schema: DatasetSchema, classes: list[str]) -> Schema:
    """Return the schema of a run, as ``clean/schema.json`` holds it."""
    return Schema(
        label=columns.label,
        features=columns.features,
        classes=tuple(classes),
        ignored=columns.ignored,
        missing=schema.missing,
        standardisation=schema.standardisation,
        duplicates=schema.duplicates,
        group=schema.group,
        time=schema.time,
    )
