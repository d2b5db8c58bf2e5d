"""Rows of numbers from CSV, streamed in batches.

Source of the format: SageMaker developer guide, "Common Data Formats for Built-in Algorithms":
no header, the label in the first column.
"""

import codecs
import io
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from embedded_aws.knn.errors import DataError, InfiniteValueError, MissingValueError

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]
Batch = tuple[Matrix, Vector]
"""``(n, d)`` features and ``(n,)`` labels."""

BLOCK_BYTES = 4 * 1024 * 1024
# Below this numpy's parser is done before pandas is imported.
SMALL_BYTES = 512 * 1024
MOST_LINE_BYTES = 64 * 1024 * 1024
LARGEST = float(np.finfo(np.float32).max)
MISSING = ("", "nan", "na", "null", "none")


def read_csv_batches(
    source: BinaryIO, name: str, label_size: int = 1, encoding: str = "utf-8"
) -> Iterator[Batch]:
    """Yield the rows of a labelled file, a block of the file at a time.

    Blocks are parsed on as many threads as there are processors. Memory is bounded by the
    blocks under way, not by the file. ``name`` is what messages call the source.

    Raises DataError: a cell isn't a finite number, a row's width differs from the first's, or
    ``label_size`` isn't 1, the only one that k-NN can learn from.
    """
    if label_size != 1:
        raise DataError(f"{name}: k-NN learns from one label a row, but label_size={label_size}")
    width: int | None = None
    for line, rows in parsed_blocks(as_utf8(source, encoding), name):
        if rows.size == 0:
            continue
        width = width or rows.shape[1]
        if width < 2:
            raise DataError(f"{name}: a row needs a label and at least one feature")
        if rows.shape[1] != width:
            raise DataError(
                f"{name}: {rows.shape[1]} columns from line {line} on, but {width} before"
            )
        yield rows[:, 1:], rows[:, 0]


def parsed_blocks(source: BinaryIO, name: str) -> Iterator[tuple[int, Matrix]]:
    """The blocks of a file in their order, each with the number of its first line."""
    threads = os.process_cpu_count() or 1
    under_way: deque[tuple[int, Future[Matrix]]] = deque()
    line = 1
    with ThreadPoolExecutor(threads, "csv") as pool:
        for text in whole_lines(source):
            if line == 1 and text.startswith(b"\x1f\x8b"):
                raise DataError(
                    f"{name} is compressed: File mode does not unpack; use Pipe mode with "
                    "CompressionType Gzip, or unpack the object"
                )
            under_way.append((line, pool.submit(parse_csv, text, name, line)))
            line += int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("\n")))
            if len(under_way) > threads:
                first, block = under_way.popleft()
                yield first, block.result()
        for first, block in under_way:
            yield first, block.result()


def whole_lines(source: BinaryIO) -> Iterator[bytes]:
    """Cut a stream into blocks of about ``BLOCK_BYTES`` that end with a line."""
    while block := source.read(BLOCK_BYTES):
        rest = source.readline(MOST_LINE_BYTES)
        if len(rest) == MOST_LINE_BYTES:
            raise DataError(f"a line is longer than {MOST_LINE_BYTES} bytes")
        yield block + rest


def as_utf8(source: BinaryIO, encoding: str) -> BinaryIO:
    """Recode a stream of text, unless it is UTF-8 already.

    Raises DataError: the encoding isn't known.
    """
    try:
        if codecs.lookup(encoding).name in ("utf-8", "ascii"):
            return source
        # There are codecs of other things than text: this refuses them.
        "".encode(encoding)
        return cast(BinaryIO, codecs.EncodedFile(source, "utf-8", encoding, "replace"))
    except (LookupError, ValueError) as error:
        raise DataError(f"the encoding {encoding[:40]!r} is not known") from error


def parse_csv(text: bytes, name: str = "body", first_line: int = 1) -> Matrix:
    """Parse lines of comma-separated numbers into ``(n, d) float32``; empty lines are skipped.

    So is the byte order mark that some programs write at the start of a file.

    Raises DataError: naming line and column of what isn't a finite number, or of a row whose width
    differs from the first's.
    """
    if first_line == 1:
        text = text.removeprefix(codecs.BOM_UTF8)
    if not text or text.isspace():
        return np.empty((0, 0), np.float32)
    rows = None
    # Alone, a carriage return ends a line for some parsers and not for others.
    if b"\r" not in text or text.count(b"\r") == text.count(b"\r\n"):
        rows = parse_small(text) if len(text) < SMALL_BYTES else parse_large(text)
    if rows is None or not np.isfinite(rows).all():
        return parse_line_by_line(text, name, first_line)
    return rows


def parse_small(text: bytes) -> Matrix | None:
    """Parse with numpy, or give None when the text is anything but regular."""
    try:
        with np.errstate(over="ignore"):
            return np.loadtxt(
                text.decode("ascii").split("\n"), np.float32, comments=None, delimiter=",", ndmin=2
            )
    except ValueError:
        return None


def parse_large(text: bytes) -> Matrix | None:
    """Parse with pandas, which leaves the interpreter's lock; None where it isn't regular."""
    import pandas as pd

    if text.startswith(codecs.BOM_UTF8):
        # pandas would pass over it, wherever in the file the text begins.
        return None
    try:
        frame = pd.read_csv(
            io.BytesIO(text), header=None, quoting=3, na_filter=False, low_memory=False
        )
        if any(kind.kind not in "iuf" for kind in frame.dtypes):
            return None
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(frame.to_numpy(np.float32))
    except (ValueError, OverflowError):
        return None


def parse_line_by_line(text: bytes, name: str, first_line: int) -> Matrix:
    """Parse slowly, to name line and column of the first thing that is wrong."""
    rows: list[list[float]] = []
    for number, raw in enumerate(text.split(b"\n"), start=first_line):
        line = raw.rstrip(b"\r").decode("utf-8", "replace")
        if not line.strip():
            continue
        row = [
            parse_cell(cell, f"{name}: line {number}, column {column}")
            for column, cell in enumerate(line.split(","), start=1)
        ]
        if rows and len(row) != len(rows[0]):
            raise DataError(
                f"{name}: line {number} has {len(row)} columns, but {len(rows[0])} before"
            )
        rows.append(row)
    return np.array(rows, np.float32) if rows else np.empty((0, 0), np.float32)


def parse_cell(cell: str, where: str) -> float:
    """A cell as a finite number that a 32-bit float can hold."""
    message = f"{where}: {cell.strip()[:40]!r} is not a finite number"
    if cell.strip().lower() in MISSING:
        raise MissingValueError(message)
    try:
        # Python would take 1_000 and the digits of other scripts.
        value = float(cell.strip()) if cell.isascii() and "_" not in cell else None
    except ValueError:
        value = None
    if value is None:
        raise DataError(message)
    if not abs(value) <= LARGEST:
        raise InfiniteValueError(message)
    return value
