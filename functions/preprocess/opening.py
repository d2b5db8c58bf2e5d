"""The beginning of a file: it tells what the columns are, and where the rows begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from pipeline.schema import Schema
from pipeline.settings import Settings
from pipeline.uploaded import UploadedFile
from preprocess.roles import LABEL_NAMES, infer_columns
from preprocess.settings import resolve_settings
from preprocess.source import SCHEMA_NAME, read_schema
from tabular.errors import TableError
from tabular.layout import HEAD, read_head, read_layout
from tabular.records import read_records, too_long
from tabular.text import Text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CELLS = 100_000
"""Fields of the first rows that the columns are told from, and of all pieces together."""

_PIECES = 8
_PIECE_BYTES = 65_536
"""Pieces of what comes after that are looked at besides, and their size."""


@dataclass(frozen=True)
class Opened:
    """A file whose `chunks` begin with its first row, on `line`, after so many `header_bytes`."""

    table: Schema
    settings: Settings
    line: int
    chunks: Iterator[bytes]
    header_bytes: int


def settings_of(
    s3: S3Client, stack: Mapping[str, str], file: UploadedFile, dataset: str
) -> tuple[Settings, dict[str, Any]]:
    """Return the settings in force for a file, and which of them are not the stack's."""
    key = f"{dataset}/{SCHEMA_NAME}"
    schema = read_schema(s3, file.version.bucket, dataset)
    given = resolve_settings(stack, schema and schema[0], key, file.metadata)
    about: dict[str, Any] = {"upload": given.by_upload}
    if schema:
        about["schema"] = {"key": key, "since": str(schema[1]), "settings": given.by_schema}
    return given.settings, about


def open_file(file: UploadedFile, settings: Settings, live: Schema | None) -> tuple[Text, Opened]:
    """Tell a file's columns from its beginning, and some pieces of a large one."""
    text = Text(file.chunks(), named_gzip=file.is_gzip, encoding=settings.encoding)
    uri = f"s3://{file.version.bucket}/{file.version.key}"

    def pieces(start: int) -> Iterator[bytes]:
        if text.is_gzip or text.encoding == "utf-16":
            return
        for place in _places_to_look(start, file.version.size):
            piece = b"".join(file.chunks(*place))
            if text.encoding == "windows-1252":
                piece = piece.decode("windows-1252", "replace").encode()
            yield piece

    return text, open_table(text, settings, live, uri, pieces)


def open_table(
    text: Text,
    settings: Settings,
    live: Schema | None,
    uri: str,
    pieces: Callable[[int], Iterable[bytes]] = lambda start: (),
) -> Opened:
    """Tell a table's columns from its beginning, and from `pieces` of what follows a byte."""
    chunks = iter(text)
    head = read_head(chunks)
    begin, is_all = head[:HEAD], len(head) <= HEAD
    layout, used = read_layout(
        begin,
        is_whole=is_all,
        delimiter=settings.delimiter,
        decimal=settings.decimal,
        header_words={*LABEL_NAMES, (settings.label or "label").lower()},
    )
    delimiter, line, width = layout.delimiter, layout.line, layout.width
    limit = max(_CELLS // width, 100)
    found = read_records(begin[used:], delimiter, line, is_last=is_all, limit=limit)
    records, start = found[0], used + found[1]
    if not records and not is_all:
        raise too_long(begin[used:], line)
    more = [] if is_all else list(pieces(start))
    for piece in more or [begin[at:end] for at, end in _places_to_look(start, len(begin))]:
        # A piece begins within a row. One that can't be read tells nothing of the columns.
        lines = piece.partition(b"\n")[2]
        with suppress(TableError):
            found = read_records(lines, delimiter, 1, is_last=False, limit=limit // _PIECES)
            records += found[0]
    rows = [each.fields for each in records if len(each.fields) == width and any(each.fields)]
    table, settings = infer_columns(layout, rows, settings, live, uri)
    rest = chain([head[used:]], chunks)
    return Opened(table, settings, line, rest, text.bytes_of(head[:used]))


def _places_to_look(start: int, end: int) -> list[tuple[int, int]]:
    """Return which bytes of a text tell of its columns besides the first ones."""
    step = max((end - start) // _PIECES, _PIECE_BYTES)
    return [(at, min(at + _PIECE_BYTES, end)) for at in range(start, end, step)]
