"""The clean rows of a part, with their classes, in blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import orjson
from numpy.typing import NDArray

from pipeline.schema import Schema
from pipeline.transform import Transform
from split.encode import Encoder
from tabular.blocks import Block, Rows, read_blocks
from tabular.copying import copy_columns
from tabular.words import Vocabulary, hashed, places_within, words_of

_FIRST_NUMBERS = re.compile(rb"\],\[(\d+)\.0")


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a block, in the file's order, that have a class.

    `places` count the rows of the same class before each, `records` are their places in `block`.
    """

    block: Block
    rows: Rows
    labels: NDArray[np.intp]
    places: NDArray[np.intp]

    def texts(self, chosen: NDArray[np.bool_]) -> bytes:
        """Return some of the rows as they were written, a line each."""
        records = np.zeros(len(self.block), np.bool_)
        records[self.rows.records[chosen]] = True
        return self.block.texts(records) if chosen.any() else b""


class Reader:
    """Reads clean rows of a run."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._label = schema.places[schema.label]
        self._vocabulary = Vocabulary(schema.class_of)

    def read(self, chunks: Iterable[bytes], before: Sequence[int] = ()) -> Iterator[LabelledRows]:
        """Yield the rows of clean text.

        Parameters
        ----------
        before
            Rows of each class in the parts before.
        """
        classes = len(self._schema.classes)
        counted = np.array([*before, *[0] * (classes - len(before))], np.intp)
        for block in read_blocks(
            chunks, delimiter=self._schema.delimiter, width=len(self._schema.columns)
        ):
            rows = _in_order(block)
            labels = self._vocabulary.numbers(rows, self._label)
            if (labels < 0).any():
                # The only rows of their classes, which are set aside.
                rows, labels = rows.of(labels >= 0), labels[labels >= 0]
            if len(labels):
                places, counted = places_within(labels, counted)
                yield LabelledRows(block, rows, labels, places)


def _in_order(block: Block) -> Rows:
    """Return all rows of a block as one, in the file's order."""
    filled = [rows for rows in block.rows if len(rows.records)]
    return filled[0] if len(filled) == 1 else Rows.joined(filled)


class Lines:
    """Turns rows into the lines that SageMaker reads: the class's integer, then the features."""

    def __init__(self, schema: Schema, transform: Transform, *, has_missing: bool) -> None:
        self._encoder = Encoder(schema, transform)
        self._delimiter = schema.delimiter
        places = [schema.places[name] for name in schema.features]
        plain = transform.is_plain and not has_missing
        self._as_written = plain and all(
            c.format is None for c in map(schema.column, schema.features)
        )
        breaks = [
            0,
            *(p for p, (a, b) in enumerate(pairwise(places), 1) if b != a + 1),
            len(places),
        ]
        self._runs = [(places[a], places[b - 1]) for a, b in pairwise(breaks)]

    def of(
        self, found: LabelledRows, held_out: NDArray[np.bool_]
    ) -> tuple[bytes, bytes, NDArray[np.uint64]]:
        """Return the lines to train on, those to test on, and a hash of each row.

        Rows with equal hashes are equal in all that the model sees of them.
        """
        rows, labels = found.rows, found.labels
        sides = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        if self._as_written and rows.is_bare:
            copied = [
                copy_columns(rows, side, labels[side], self._runs, self._delimiter)
                for side in sides
            ]
            if all(map(_is_plain, copied)):
                words = [labels.astype(np.uint64)]
                for first, last in self._runs:
                    words += words_of(rows.array, rows.starts[first], rows.ends[last])
                return copied[0], copied[1], hashed(words)
        seen = np.empty((len(labels), self._encoder.width + 1), np.float32)
        seen[:, 0] = labels
        seen[:, 1:] = self._encoder.model_input(rows)
        words = [column.astype(np.uint64) for column in seen.view(np.uint32).T]
        train, test = (_csv(seen[side]) for side in sides)
        return train, test, hashed(words)


def _is_plain(lines: bytes) -> bool:
    """Whether there are only digits, points, signs and commas: no exponent and no plus."""
    array = np.frombuffer(lines, np.uint8)
    return b"+" not in lines and bool(array.max(initial=0) <= ord("9"))


def _csv(seen: NDArray[np.float32]) -> bytes:
    """Return rows as CSV: as few digits as tell a 32-bit float from all others."""
    if not len(seen):
        return b""
    nested = orjson.dumps(seen, option=orjson.OPT_SERIALIZE_NUMPY)
    lines = _FIRST_NUMBERS.sub(rb"\n\1", b"]," + nested[1:-1])
    return lines[1:-1] + b"\n"
