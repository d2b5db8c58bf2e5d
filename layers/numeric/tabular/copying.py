"""Texts copied from one place to another, many at a time, without reading what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabular.numbers import Bytes, Places, padded
from tabular.words import words_of

Texts = NDArray[np.bytes_]
"""Texts without a zero: numpy fills with zeros those that are shorter than the longest."""


def copy_texts(
    array: Bytes, starts: Places, ends: Places
) -> tuple[Texts, list[NDArray[np.uint64]]]:
    """Return texts of a padded block, and the words that they are hashed by."""
    words, lengths = words_of(array, starts, ends), ends - starts
    texts = np.ndarray(len(words), f"S{lengths.max(initial=1)}", words, 0, words.strides[:1])
    return texts, [lengths.astype(np.uint64), *words.T]


def copy_lines(text: bytes) -> tuple[Texts, list[NDArray[np.uint64]]]:
    """Return the lines of a text, one at least, as `copy_texts` does."""
    array = padded(text)
    ends = np.flatnonzero(array == ord("\n"))
    return copy_texts(array, np.concatenate([[0], ends[:-1] + 1]), ends)


def beside(columns: Sequence[Texts]) -> Texts:
    """Return the texts of columns side by side; a column of one text has it in every row."""
    fields: list[Any] = [(f"{place}", each.dtype) for place, each in enumerate(columns)]
    table = np.empty(max(map(len, columns)), fields)
    for (name, _), column in zip(fields, columns, strict=True):
        table[name] = column
    return table.view(f"S{table.itemsize}")


def joined(texts: Texts, delimiter: str = ",") -> bytes:
    """Return texts one after the other, with commas in place of `delimiter`."""
    copied = texts.tobytes()
    if delimiter == "," and b"\0" not in copied:
        return copied
    return copied.translate(bytes.maketrans(delimiter.encode(), b","), b"\0")
