"""The rows of a part written to their sides: as SageMaker trains on them, and as they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.recordio import frame
from pipeline.schema import Schema
from pipeline.transform import Transform
from split.duplicates import Duplicates
from split.encode import Encoder, Matrix
from split.fingerprints import Fingerprints
from split.labelled import LabelledRows, read_rows
from split.plan import Plan, State
from tabular.words import hashed

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


def write_part(
    plan: Plan,
    state: State,
    part: int,
    chunks: Iterable[bytes],
    transform: Transform,
    sinks: Sequence[SupportsWrite[bytes | memoryview]],
) -> dict[str, NDArray[Any]]:
    """Write the rows of a part to their sides; return what `Plan.summary` needs.

    The sinks take records to train on, records to test on, the latter's rows as they were written,
    and the fingerprints of either.
    """
    classes = len(plan.class_counts)
    counts = np.zeros((2, classes), np.int64)
    duplicates = Duplicates(plan.rows)
    is_held_out = plan.sides(state)
    records, fingerprints = Records(plan.schema, transform), Fingerprints(plan.schema)
    for rows in read_rows(plan.schema, chunks, plan.before(part)):
        held_out = is_held_out(rows)
        values = records.values(rows)
        # The rows to train on come first, so that each side is a part of what both are written as.
        test = np.flatnonzero(held_out)
        order, first = np.concatenate([np.flatnonzero(~held_out), test]), len(held_out) - len(test)
        prints = fingerprints.of(rows.rows, values).astype("<u8", copy=False)[order]
        seen = records.seen(rows, values)
        written = records.of(seen, order)
        sinks[0].write(_bytes_of(written[:first]))
        sinks[1].write(_bytes_of(written[first:]))
        sinks[2].write(rows.texts(held_out))
        sinks[3].write(_bytes_of(prints[:first]))
        sinks[4].write(_bytes_of(prints[first:]))
        sides = np.bincount(rows.labels + classes * held_out, minlength=2 * classes)
        counts += sides.reshape(2, classes)
        duplicates.add(hashed(list(seen.view(np.uint64).T)), held_out)
    return {"sides": counts, **duplicates.arrays()}


def _bytes_of(rows: NDArray[Any]) -> memoryview:
    return rows.view(np.uint8).data


class Records:
    """Turns rows into the records that SageMaker trains on: all alike but for their numbers."""

    def __init__(self, schema: Schema, transform: Transform) -> None:
        self._encoder, self._width = Encoder(schema, transform), transform.feature_dim
        before, between, after = frame(self._width)
        at_label = len(before) + 4 * self._width + len(between)
        self._dtype = np.dtype(
            {
                "names": ["values", "label"],
                # The numbers of a row are copied as one value, however many they are.
                "formats": [f"V{4 * self._width}", "<f4"],
                "offsets": [len(before), at_label],
                "itemsize": at_label + 4 + len(after),
            }
        )
        self._blank = before + bytes(4 * self._width) + between + bytes(4) + after
        self._records = np.empty(0, self._dtype)

    def values(self, found: LabelledRows) -> Matrix:
        """Return the numbers of rows as they are, (numbers, rows)."""
        return self._encoder.values(found.rows)

    def seen(self, found: LabelledRows, values: Matrix) -> NDArray[np.float32]:
        """Return what the model sees of rows and their labels, (rows, words of eight bytes).

        The numbers of the rows are changed in place.
        """
        width = self._width
        seen = np.zeros((len(found.labels), width + 1 + (width + 1) % 2), np.float32)
        self._encoder.model_input(found.rows, seen[:, :width], values)
        seen[:, width] = found.labels
        return seen

    def of(self, seen: NDArray[np.float32], order: NDArray[np.intp]) -> NDArray[np.void]:
        """Return rows in an order as records, until it is asked for others."""
        if len(seen) > len(self._records):
            self._records = np.frombuffer(bytearray(self._blank * len(seen)), self._dtype)
        records = self._records[: len(seen)]
        values = np.ndarray(len(seen), self._dtype["values"], seen, 0, seen.strides[:1])
        records["values"], records["label"] = values[order], seen[:, self._width][order]
        return records
