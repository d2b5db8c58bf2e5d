"""The rows of a part written to their sides: as SageMaker reads them, and as they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from pipeline.schema import Schema
from pipeline.transform import Transform
from split.duplicates import Duplicates
from split.encode import Encoder, model_input
from split.labelled import LabelledRows, read_rows
from split.plan import Plan, State
from tabular.blocks import Rows
from tabular.copying import Texts, beside, copy_lines, copy_texts, joined
from tabular.words import hashed

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_COMMA, _NEWLINE = np.array([b","]), np.array([b"\n"])


def write_part(
    plan: Plan,
    state: State,
    part: int,
    chunks: Iterable[bytes],
    transform: Transform,
    sinks: Sequence[SupportsWrite[bytes]],
) -> dict[str, NDArray[Any]]:
    """Write the rows of a part to their sides; return what `Plan.summary` needs.

    The sinks take lines to train on, lines to test on, and the latter as they were written.
    """
    classes = len(plan.class_counts)
    counts = np.zeros((2, classes), np.int64)
    duplicates = Duplicates(plan.rows)
    is_held_out = plan.sides(state)
    lines = Lines(plan.schema, transform)
    for rows in read_rows(plan.schema, chunks, plan.before(part)):
        held_out = is_held_out(rows)
        train, test, hashes = lines.of(rows, held_out)
        for sink, text in zip(sinks, (train, test, rows.texts(held_out)), strict=True):
            sink.write(text)
        sides = np.bincount(rows.labels + classes * held_out, minlength=2 * classes)
        counts += sides.reshape(2, classes)
        duplicates.add(hashes, held_out)
    return {"sides": counts, **duplicates.arrays()}


class Lines:
    """Turns rows into the lines that SageMaker reads: the class's integer, then the features.

    If the model sees numbers as they are, these are copied: that is several times faster than to
    write them.
    """

    def __init__(self, schema: Schema, transform: Transform) -> None:
        self._encoder, self._transform = Encoder(schema, transform), transform
        self._features = [schema.places[name] for name in schema.features]
        self._delimiter = schema.delimiter
        formats = [schema.column(name).format for name in schema.features]
        self._labels = np.array([str(label).encode() for label in range(len(schema.classes))])
        self._as_written = transform.is_plain and not any(formats)

    def of(
        self, found: LabelledRows, held_out: NDArray[np.bool_]
    ) -> tuple[bytes, bytes, NDArray[np.uint64]]:
        """Return the lines to train on, those to test on, and a hash of each row.

        The hashes of rows are equal if the lines are, or, of numbers as they are, if their fields
        are.
        """
        labels, hashes = found.labels, None
        if self._as_written:
            fields, words = self._copied(found.rows)
            lines = beside([self._labels[labels], _COMMA, fields, _NEWLINE])
            train, test = (joined(lines[side], self._delimiter) for side in (~held_out, held_out))
            hashes = hashed([labels.astype(np.uint64), *words])
            starts, ends = found.rows.bounds(self._features)
            if _is_plain(train) and _is_plain(test) and not (starts == ends).any():
                return train, test, hashes
        features = model_input(self._encoder.encoded(found.rows), self._transform)
        seen = np.column_stack([labels.astype(np.float32), features])
        if hashes is None:
            hashes = hashed([column.view(np.uint32).astype(np.uint64) for column in seen.T])
        return _csv_of(seen[~held_out]), _csv_of(seen[held_out]), hashes

    def _copied(self, rows: Rows) -> tuple[Texts, list[NDArray[np.uint64]]]:
        """Return the features as they are written, side by side, and the words to hash them by."""
        first, last = self._features[0], self._features[-1]
        if rows.is_bare and self._features == list(range(first, last + 1)):
            return copy_texts(rows.array, rows.starts[first], rows.ends[last])
        starts, ends = (side.T.ravel() for side in rows.bounds(self._features))
        fields, _ = copy_texts(rows.array, starts, ends)
        behind = np.full((len(rows.records), len(self._features)), self._delimiter.encode())
        behind[:, -1] = b"\n"
        return copy_lines(joined(beside([fields, behind.ravel()])))


def _csv_of(seen: NDArray[np.float32]) -> bytes:
    """Return rows as CSV: as few digits as tell a 32-bit float from all others."""
    if not len(seen):
        return b""
    nested = orjson.dumps(seen, option=orjson.OPT_SERIALIZE_NUMPY)[2:-1] + b",["
    return nested.replace(b".0,", b",").replace(b".0]", b"]").replace(b"],[", b"\n")


def _is_plain(lines: bytes) -> bool:
    """Whether there are numbers in lines of CSV only, and no words for missing ones."""
    highest = np.frombuffer(lines, np.uint8).max(initial=0)
    digits = highest <= ord("9") or not lines.translate(None, b"0123456789.,-eE\n")
    return digits and b"+" not in lines
