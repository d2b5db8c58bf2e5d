"""Rows as the built-in algorithms read them, written many at a time.

The label as an integer comes first, then the features, without a header. Source: SageMaker
developer guide, "Common data formats for training".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_COMMA, _NEWLINE, _POINT = (np.uint8(ord(c)) for c in ",\n.")

_KEEP = np.array([int.from_bytes(b"\1" * count, "little") for count in range(9)], np.uint64)
"""Eight truth values in a word, the first ones true, by how many are."""

_CELLS = 8192
"""Words that are fetched together: of many rows one each, of few rows many."""


def write_rows(
    block: NDArray[np.uint8],
    integers: NDArray[np.intp],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    *,
    runs: Sequence[tuple[int, int]],
    delimiter: str,
    decimal: str,
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Return clean rows, and the length of each in bytes.

    Parameters
    ----------
    block
        The padded block that the features are in.
    integers
        The class of each row.
    starts, ends
        The bounds of the features, (features, rows).
    runs
        The first and the last of features that stand side by side in all rows.
    """
    bounds = [(starts[first], ends[last] + 1 - starts[first]) for first, last in runs]
    words = [(int(lengths.max(initial=1)) + 7) // 8 for _, lengths in bounds]
    # A word of eight bytes for the label, at the end of which it stands, then words for each run.
    table = np.empty((len(integers), 1 + sum(words)), "<u8")
    label = [f"{integer},".rjust(8).encode() for integer in range(integers.max(initial=0) + 1)]
    label_lengths = np.array([len(text.lstrip()) for text in label])[integers]
    table[:, 0] = np.frombuffer(b"".join(label), "<u8")[integers]
    bytes_ = table.view(np.uint8)
    row_starts = np.arange(len(integers)) * bytes_.shape[1]
    eight = np.ndarray((len(block) - 7,), "<u8", block, 0, (1,))
    step = max(_CELLS // max(len(integers), 1), 1)
    first = 1
    for (begins, lengths), count in zip(bounds, words, strict=True):
        for place in range(0, count, step):
            several = np.arange(place, min(place + step, count))
            at = begins[:, None] + 8 * several
            columns = slice(first + place, first + place + len(several))
            table[:, columns] = eight[np.minimum(at, len(eight) - 1, out=at)]
        part = bytes_[:, 8 * first : 8 * (first + count)]
        if decimal != ".":
            part[part == np.uint8(ord(decimal))] = _POINT
        if delimiter != ",":
            part[part == np.uint8(ord(delimiter))] = _COMMA
        # What follows the run in the file, a quote it may be, gives way to what ends it here.
        last = row_starts + (8 * first - 1) + lengths
        bytes_.reshape(-1)[last] = _COMMA
        first += count
    bytes_.reshape(-1)[last] = _NEWLINE
    parts = [label_lengths, *(lengths for _, lengths in bounds)]
    row_lengths = sum(parts[1:], parts[0])
    if len(parts) == 2 and all(len(part) and part.min() == part.max() for part in parts):
        # The bytes of each row are side by side, and in the same columns.
        columns = slice(8 - int(parts[0][0]), 8 + int(parts[1][0]))
        return bytes_[:, columns].ravel(), row_lengths
    keep = np.empty(table.shape, "<u8")
    keep[:, 0] = ~_KEEP[8 - label_lengths] & _KEEP[8]
    first = 1
    for (_, lengths), count in zip(bounds, words, strict=True):
        for place in range(0, count, step):
            several = np.arange(place, min(place + step, count))
            columns = slice(first + place, first + place + len(several))
            keep[:, columns] = _KEEP[np.clip(lengths[:, None] - 8 * several, 0, 8)]
        first += count
    return bytes_[keep.view(np.bool_)], row_lengths


def runs_of(beside: Sequence[bool]) -> list[tuple[int, int]]:
    """Return the first and the last of things in a row.

    `beside` tells of each but the first whether it stands beside the one before.
    """
    breaks = [place for place, together in enumerate(beside, start=1) if not together]
    return list(zip([0, *breaks], [*(b - 1 for b in breaks), len(beside)], strict=True))


def insert_rows(
    rows: NDArray[np.uint8],
    row_lengths: NDArray[np.intp],
    places: Sequence[int],
    lines: Sequence[bytes],
) -> list[bytes]:
    """Return clean rows with further ones put in, each before the row at its place."""
    row_ends = np.cumsum(row_lengths)
    pieces: list[bytes] = []
    done = 0
    for place, line in zip(places, lines, strict=True):
        until = int(row_ends[place - 1]) if place else 0
        pieces += (rows[done:until].tobytes(), line)
        done = until
    pieces.append(rows[done:].tobytes())
    return pieces
