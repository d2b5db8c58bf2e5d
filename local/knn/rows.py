"""Rows of numbers from CSV, streamed in batches.

Source of the format: SageMaker developer guide, "Common Data Formats for Built-in Algorithms":
no header, the label in the first column.
"""

import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from local.knn.errors import ClientError

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]

CHUNK_BYTES = 4 * 1024 * 1024
LARGEST = float(np.finfo(np.float32).max)


def read_labelled_batches(source: BinaryIO, name: str) -> Iterator[tuple[Matrix, Vector]]:
    """Yield ``(n, d) float32`` features and ``(n,) float32`` labels, a chunk of the file at a time.

    Memory is bounded by the chunk, not by the file. ``name`` is what messages call the source.

    Raises
    ------
        ClientError: a cell isn't a finite number, or a row's width differs from the first's.
    """
    width: int | None = None
    line = 1
    for text in whole_lines(source):
        rows = parse_csv(text, name, line)
        line += text.count(b"\n")
        if rows.size == 0:
            continue
        width = width or rows.shape[1]
        if width < 2:
            raise ClientError(f"{name}: a row needs a label and at least one feature")
        if rows.shape[1] != width:
            raise ClientError(
                f"{name}: {rows.shape[1]} columns near line {line}, but {width} before"
            )
        yield rows[:, 1:], rows[:, 0]


def whole_lines(source: BinaryIO) -> Iterator[bytes]:
    """Cut a stream into blocks that end with a newline, of about ``CHUNK_BYTES``."""
    rest = b""
    while block := source.read(CHUNK_BYTES):
        block = rest + block
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if end:
            yield block[:end]
    if rest:
        yield rest


def parse_csv(text: bytes, name: str = "body", first_line: int = 1) -> Matrix:
    """Parse lines of comma-separated numbers into ``(n, d) float32``; empty lines are skipped.

    Raises
    ------
        ClientError: naming line and column of what isn't a finite number, or of a row whose
            width differs from the first's.
    """
    rows = parse_regular(text)
    if rows is None:
        rows = parse_line_by_line(text, name, first_line)
    if not np.isfinite(rows).all():
        parse_line_by_line(text, name, first_line)
    return rows


def parse_regular(text: bytes) -> Matrix | None:
    """Parse in one sweep of C code, or give None when the text is anything but regular."""
    lines = text.replace(b"\r\n", b"\n").strip(b"\n")
    if not lines:
        return np.empty((0, 0), np.float32)
    data = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    commas = np.flatnonzero(data == ord(","))
    per_row = np.diff(np.searchsorted(commas, ends), prepend=0, append=len(commas))
    per_row[-1] = len(commas) - (np.searchsorted(commas, ends[-1]) if len(ends) else 0)
    if (per_row != per_row[0]).any():
        return None
    width = int(per_row[0]) + 1
    with warnings.catch_warnings():
        # Text that doesn't parse to its end is announced by this warning only.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            flat = np.fromstring(lines.replace(b"\n", b",").decode("ascii"), np.float32, sep=",")
        except (DeprecationWarning, ValueError):
            return None
    expected = (len(ends) + 1) * width
    return flat.reshape(-1, width) if flat.size == expected else None


def parse_line_by_line(text: bytes, name: str, first_line: int) -> Matrix:
    """Parse slowly, to name line and column of the first thing that is wrong."""
    rows: list[list[float]] = []
    for number, raw in enumerate(text.split(b"\n"), start=first_line):
        line = raw.rstrip(b"\r").decode("utf-8", "replace")
        if not line.strip():
            continue
        row: list[float] = []
        for column, cell in enumerate(line.split(","), start=1):
            try:
                value = float(cell)
            except ValueError:
                value = float("nan")
            if not abs(value) <= LARGEST:
                raise ClientError(
                    f"{name}: line {number}, column {column}: {cell.strip()[:40]!r} is not a "
                    f"finite number"
                )
            row.append(value)
        if rows and len(row) != len(rows[0]):
            raise ClientError(
                f"{name}: line {number} has {len(row)} columns, but {len(rows[0])} before"
            )
        rows.append(row)
    return np.array(rows, np.float32) if rows else np.empty((0, 0), np.float32)
