"""What tells the rows of two files apart: a hash of each row's features."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Role, Schema
from pipeline.transform import BOOLEANS, category_of
from split.encode import Matrix
from tabular.blocks import Rows
from tabular.words import Vocabulary, hashed


def _of_category(text: str) -> int:
    digest = blake2b(category_of(text).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


_TEXTS = {
    Role.CATEGORY: _of_category,
    Role.BOOLEAN: lambda text: BOOLEANS.get(text.lower(), -1),
}
"""What gives a text its number."""


class Fingerprints:
    """Hashes of rows: of their features before any transform, however they are written.

    The label is left out. Other versions read what this one has written, so it must stay as it is.
    """

    def __init__(self, schema: Schema) -> None:
        self._words = [
            (schema.places[name], Vocabulary(_TEXTS[schema.column(name).role]))
            for name in schema.features
            if schema.column(name).role is not Role.NUMBER
        ]

    def of(self, rows: Rows, values: Matrix) -> NDArray[np.uint64]:
        """Return the fingerprints of rows, whose numbers `Encoder.values` has read."""
        # Zeros are equal, whatever their sign.
        numbers = (values if values.min(initial=1) > 0 else values + 0.0).view(np.uint64)
        words = [each.numbers(rows, place).view(np.uint64) for place, each in self._words]
        return hashed([*numbers, *words])
