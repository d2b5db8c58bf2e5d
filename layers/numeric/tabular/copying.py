"""Columns copied from one text to another, many rows at a time, without reading what is in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tabular.blocks import Rows
from tabular.numbers import FIRST_BYTES, Bytes, Places, words_in

_COMMA, _NEWLINE = (np.uint8(ord(c)) for c in ",\n")

_CELLS = 8192  # words that are fetched together: of many rows one each, of few rows many


def copy_columns(
    rows: Rows, which: Places, first_column: Places, runs: Sequence[tuple[int, int]], delimiter: str
) -> bytes:
    """Return lines of CSV, each a whole number and then the fields of some columns.

    The rows are bare, so no byte is zero; `which` has the places of those that are copied, and
    `first_column` a number for each of them. `runs` are the first and the last of columns that
    stand side by side. Commas take the place of `delimiter`.
    """
    bounds = [(rows.starts[a][which], rows.ends[b][which] + 1) for a, b in runs]
    lengths = [ends - starts for starts, ends in bounds]
    words = [(int(each.max(initial=1)) + 7) // 8 for each in lengths]
    # A word of eight bytes for the number, then words for each run; zeros fill them up.
    table = np.empty((len(which), 1 + sum(words)), "<u8")
    numbers = [f"{number},".encode() for number in range(first_column.max(initial=0) + 1)]
    table[:, 0] = np.array(numbers, "S8").view("<u8")[first_column]
    bytes_ = table.view(np.uint8)
    row_starts = np.arange(len(which)) * bytes_.shape[1]
    eight = words_in(rows.array)
    step = max(_CELLS // max(len(which), 1), 1)
    first = 1
    for (starts, _), length, count in zip(bounds, lengths, words, strict=True):
        for place in range(0, count, step):
            several = 8 * np.arange(place, min(place + step, count))
            at = starts[:, None] + several
            found = eight[np.minimum(at, len(eight) - 1, out=at)]
            found &= FIRST_BYTES[np.clip(length[:, None] - several, 0, 8)]
            table[:, first + place : first + place + len(several)] = found
        if delimiter != ",":
            part = bytes_[:, 8 * first : 8 * (first + count)]
            part[part == np.uint8(ord(delimiter))] = _COMMA
        # What ends the run in the file gives way to what ends it here.
        last = row_starts + (8 * first - 1) + length
        bytes_.reshape(-1)[last] = _COMMA
        first += count
    bytes_.reshape(-1)[last] = _NEWLINE
    filled: Bytes = bytes_[bytes_ != 0]
    return filled.tobytes()
