"""The beginning of a file: it tells what the columns are, and where the rows begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from pipeline.errors import Refusal
from pipeline.schema import Schema
from pipeline.settings import Settings
from preprocess.roles import LABEL_NAMES, infer_columns
from preprocess.settings import resolve_settings
from preprocess.source import SCHEMA_NAME, UploadedFile, read_schema
from tabular.errors import TableError
from tabular.layout import read_layout
from tabular.records import MAX_RECORD, read_records, too_long
from tabular.text import Text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_HEAD = 2 * MAX_RECORD
"""Bytes of text that the columns are told from: any header, and a row at least."""

_CELLS = 400_000
"""Fields of rows that the columns are told from."""

_PIECES = 8
_PIECE_BYTES = 65_536
"""Pieces of a large file that are looked at besides, and their size."""


@dataclass(frozen=True)
class Opened:
    """A file whose beginning has been read. `chunks` begin with its first row, on `line`.

    `header_bytes` of the file go before it.
    """

    table: Schema
    settings: Settings
    line: int
    chunks: Iterator[bytes]
    header_bytes: int


@contextmanager
def as_refusals() -> Iterator[None]:
    """Turn what can't be read as a table into a refusal."""
    try:
        yield
    except TableError as error:
        raise Refusal(error.code, error.message, error.remedy) from error


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
    """Read a file's beginning, and some pieces of a large one."""
    text = file.text(settings.encoding)
    uri = f"s3://{file.version.bucket}/{file.version.key}"

    def pieces() -> Iterator[bytes]:
        if not text.is_gzip and text.encoding != "utf-16":
            for place in places_to_look(file.version.size):
                yield b"".join(file.chunks(*place))

    return text, open_table(text, settings, live, uri, pieces)


def open_table(
    text: Text,
    settings: Settings,
    live: Schema | None,
    uri: str,
    pieces: Callable[[], Iterable[bytes]] = tuple,
) -> Opened:
    """Tell a table's columns from its beginning.

    Parameters
    ----------
    pieces
        Returns bytes from all over a large file; its columns are told from these as well.

    Raises
    ------
    Refusal, TableError
        The file can't be read, or its columns leave it open what to learn.
    """
    chunks = iter(text)
    head = b""
    while len(head) <= _HEAD and (chunk := next(chunks, b"")):
        head += chunk
    begin, is_all = head[:_HEAD], len(head) <= _HEAD
    layout, used = read_layout(
        begin,
        is_whole=is_all,
        delimiter=settings.delimiter,
        decimal=settings.decimal,
        header_words={*LABEL_NAMES, (settings.label or "label").lower()},
    )
    limit = max(_CELLS // layout.width, 100)
    records, _, _ = read_records(
        begin[used:], layout.delimiter, layout.line, is_last=is_all, limit=limit
    )
    if not records and not is_all:
        raise too_long(begin[used:], layout.line)
    rows = [record.fields for record in records]
    if not is_all:
        rows += [row for piece in pieces() for row in _rows_of(piece, text, layout.delimiter)]
    rows = [fields for fields in rows if len(fields) == layout.width and any(fields)]
    table, settings = infer_columns(layout, rows, settings, live, uri)
    rest = chain([head[used:]], chunks)
    return Opened(table, settings, layout.line, rest, text.bytes_of(head[:used]))


def places_to_look(size: int) -> list[tuple[int, int]]:
    """Return which bytes of a large file tell of its columns besides the first ones."""
    step = max((size - _HEAD) // _PIECES, _PIECE_BYTES)
    return [(at, min(at + _PIECE_BYTES, size)) for at in range(_HEAD, size, step)]


def _rows_of(piece: bytes, text: Text, delimiter: str) -> list[list[str]]:
    """Return the rows of a piece of a file, but for what it cuts off; none if it can't be read."""
    lines = piece.partition(b"\n")[2]
    if text.encoding == "windows-1252":
        lines = lines.decode("windows-1252", "replace").encode()
    try:
        records, _, _ = read_records(lines, delimiter, 1, is_last=False)
    except TableError:
        return []
    return [record.fields for record in records]
