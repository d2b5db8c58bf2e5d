"""The clean rows of a run with their classes, in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Schema
from tabular.blocks import Block, Rows, read_blocks
from tabular.words import Vocabulary, places_within


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a block, in the file's order, that have a class.

    `places` count the rows of the same class before each.
    """

    block: Block
    rows: Rows
    labels: NDArray[np.intp]
    places: NDArray[np.intp]

    def of(self, chosen: NDArray[np.bool_]) -> LabelledRows:
        """Return some of the rows."""
        return LabelledRows(
            self.block, self.rows.of(chosen), self.labels[chosen], self.places[chosen]
        )

    def texts(self, chosen: NDArray[np.bool_]) -> bytes:
        """Return some of the rows as they were written, a line each."""
        if len(chosen) < len(self.block):
            of_rows, chosen = chosen, np.zeros(len(self.block), np.bool_)
            chosen[self.rows.records[of_rows]] = True
        return self.block.texts(chosen)


def read_rows(
    schema: Schema, chunks: Iterable[bytes], before: Sequence[int] = ()
) -> Iterator[LabelledRows]:
    """Yield the rows of clean text; `before` are those of each class in the parts before."""
    vocabulary = Vocabulary(schema.class_of)
    counted = np.zeros(len(schema.classes), np.intp)
    counted[: len(before)] = before
    for block in read_blocks(chunks, delimiter=schema.delimiter, width=len(schema.columns)):
        rows = block.rows
        labels = vocabulary.numbers(rows, schema.places[schema.label])
        # The only row of its class is set aside: it has no class here.
        known = labels >= 0
        if not known.all():
            rows, labels = rows.of(known), labels[known]
        if len(labels):
            places, counted = places_within(labels, counted)
            yield LabelledRows(block, rows, labels, places)
