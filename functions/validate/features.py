"""The features of rows as they were written, as values that a transform takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.schema import Role, Schema
from pipeline.transform import Value
from tabular.numbers import NumberFormat


class Features:
    """Reads the features of rows of a file, in the order of its schema."""

    def __init__(self, schema: Schema) -> None:
        columns = [schema.column(name) for name in schema.features]
        self.roles = {column.name: column.role for column in columns}
        self._columns = [
            (
                schema.places[column.name],
                NumberFormat.of(column.format) if column.role is Role.NUMBER else None,
            )
            for column in columns
        ]

    def of(self, row: Sequence[str]) -> list[Value]:
        """Return the features of a row; None if a number is missing."""
        return [
            _number(written, row[place].strip()) if written else row[place].strip()
            for place, written in self._columns
        ]


def _number(written: NumberFormat, text: str) -> float | None:
    number = written.parse(text)
    return None if number is None or math.isnan(number) else number
