"""One feature's numbers as text, made once for all fields that are alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from pipeline.schema import Role, Schema
from pipeline.transform import Encoding, Transform
from split.encode import Encoder, model_input, number_of
from tabular.blocks import Rows
from tabular.copying import Texts, copy_lines
from tabular.words import Vocabulary, added

_MOST = 1 << 10
"""Different numbers of a column that are remembered; of one with more, each row's is written."""


class Column:
    """Writes what the model sees of one feature, at its `place` in the hash of a row."""

    def __init__(self, schema: Schema, encoding: Encoding, place: int) -> None:
        self._transform = Transform((encoding,))
        self._encoder = Encoder(schema, self._transform)
        self._column, self._place = schema.places[encoding.name], place
        key: Callable[[str], Any] = str if encoding.role is Role.NUMBER else number_of(encoding)
        keys: dict[Any, int] = {}
        self._keys = keys
        self._vocabulary = Vocabulary(lambda text: keys.setdefault(key(text), len(keys)))
        self._texts, self._sums = np.zeros(0, "S1"), np.zeros(0, np.uint64)

    @property
    def repeats(self) -> bool:
        """Whether it has few different numbers."""
        return len(self._keys) <= _MOST

    def of(self, rows: Rows) -> tuple[Texts, NDArray[np.uint64]]:
        """Return the text of each row, and what it adds to the row's hash."""
        if not self._keys:
            # A few rows tell whether there are too many numbers, before a whole block is learned.
            some = rows.of(np.arange(len(rows.records)) < 2 * _MOST)
            self._vocabulary.numbers(some, self._column)
        if not self.repeats:
            return self._write(rows)
        numbers = self._vocabulary.numbers(rows, self._column)
        if len(self._keys) > len(self._texts):
            found, first = np.unique(numbers, return_index=True)
            new = first[found >= len(self._texts)]
            bounds = rows.starts[:, new], rows.ends[:, new]
            texts, sums = self._write(Rows(rows.array, new, *bounds, rows.is_bare))
            self._texts = np.concatenate([self._texts, texts])
            self._sums = np.concatenate([self._sums, sums])
        return self._texts[numbers], self._sums[numbers]

    def _write(self, rows: Rows) -> tuple[Texts, NDArray[np.uint64]]:
        seen = model_input(self._encoder.encoded(rows), self._transform)
        texts, _ = copy_lines(csv_of(np.ascontiguousarray(seen)))
        return texts, added(bits_of(seen), self._place)


def csv_of(seen: NDArray[np.float32]) -> bytes:
    """Return rows as CSV: as few digits as tell a 32-bit float from all others."""
    if not len(seen):
        return b""
    nested = orjson.dumps(seen, option=orjson.OPT_SERIALIZE_NUMPY)[2:-1] + b",["
    return nested.replace(b".0,", b",").replace(b".0]", b"]").replace(b"],[", b"\n")


def bits_of(seen: NDArray[np.float32]) -> list[NDArray[np.uint64]]:
    """Return the columns of 32-bit floats as words to hash."""
    return [column.view(np.uint32).astype(np.uint64) for column in seen.T]
