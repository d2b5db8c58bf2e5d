"""The rows of a batch, and what the model sees of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from pipeline.endpoint import csv_lines
from pipeline.errors import Refusal
from pipeline.rejects import Reject
from pipeline.schema import Role, Schema
from pipeline.settings import Settings
from pipeline.transform import BadValue, Transform, Value
from tabular.blocks import Block, read_blocks
from tabular.layout import HEAD, Layout, read_head, read_layout
from tabular.numbers import NumberFormat

_TOGETHER = 1000
"""Rows that are encoded at once."""

_LISTED = 20
"""Names in a message."""


class Batch:
    """A table of rows that have the features of a model, in any order, and maybe more columns.

    Raises a `Refusal` if a feature has no column, and a `TableError` if this is no table.
    """

    def __init__(
        self, chunks: Iterable[bytes], schema: Schema, transform: Transform, settings: Settings
    ) -> None:
        self._transform = transform
        self._chunks = iter(chunks)
        head = read_head(self._chunks)
        self.layout, self._used = read_layout(
            head[:HEAD],
            is_whole=len(head) <= HEAD,
            decimal=settings.decimal,
            header_words={column.name.lower() for column in schema.columns},
        )
        self._head = head
        features = [encoding.name for encoding in transform.encodings]
        self._places = _places(features, self.layout)
        self._formats = [_format(schema, name) for name in features]

    def rows(
        self, set_aside: Callable[[Reject], object], deadline: float
    ) -> Iterator[tuple[str, str]]:
        """Yield each row that can be scored: as it was written, and as the model sees it.

        After `deadline`, on the clock of `time.monotonic`, the file is refused.
        """
        delimiter, width, line = self.layout.delimiter, self.layout.width, self.layout.line
        chunks = chain([self._head[self._used :]], self._chunks)
        for block in read_blocks(chunks, delimiter=delimiter, width=width, line=line):
            if time.monotonic() > deadline:
                raise too_many_rows()
            rejects = {
                record: f"has {fields} fields where the header has {width}"
                for record, fields in block.odd.items()
            }
            for record, seen in self._encoded(block):
                text = block.text(record)
                if not text.strip(f'{delimiter}" \t'):
                    rejects[record] = "is empty"
                elif isinstance(seen, BadValue):
                    rejects[record] = f'"{seen.column}" {seen.why}'
                else:
                    yield text, seen
            for record, why in sorted(rejects.items()):
                set_aside(Reject(int(block.lines[record]), "", why, block.text(record)))

    def _encoded(self, block: Block) -> Iterator[tuple[int, str | BadValue]]:
        """Yield each record as wide as the header, and a line of what the model sees of it."""
        records = block.rows.records.tolist()
        values = list(zip(*map(self._column(block), self._places, self._formats), strict=True))
        for start in range(0, len(records), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            yield from zip(records[part], self._seen(values[part]), strict=True)

    def _seen(self, rows: Sequence[Sequence[Value]]) -> list[str | BadValue]:
        """Return a line of what the model sees of each row, or why it can't see it."""
        try:
            return [*csv_lines(self._transform.apply(rows))] if rows else []
        except BadValue:
            return [self._one(row) for row in rows]

    def _one(self, row: Sequence[Value]) -> str | BadValue:
        try:
            return csv_lines(self._transform.apply([row]))[0]
        except BadValue as error:
            return error

    def _column(self, block: Block) -> Callable[[int, NumberFormat | None], list[Value]]:
        rows = block.rows
        text = rows.array.tobytes()

        def read(place: int, written: NumberFormat | None) -> list[Value]:
            (starts,), (ends,) = rows.bounds([place])
            bounds = zip(starts.tolist(), ends.tolist(), strict=True)
            fields = [text[start:end].decode() for start, end in bounds]
            return [*fields] if written is None else [_number(field, written) for field in fields]

        return read


def too_many_rows() -> Refusal:
    """Return the refusal of a file that takes too long."""
    return Refusal(
        "TooManyRows",
        "The file has more rows than can be scored in time.",
        "Split the file, and upload the parts one by one.",
    )


def _places(features: Sequence[str], layout: Layout) -> list[int]:
    """Return the column of each feature; case doesn't matter where that tells none apart."""
    by_name = {name: place for place, name in enumerate(layout.names)}
    folded: dict[str, int] = {}
    for place, name in enumerate(layout.names):
        folded[name.casefold()] = -1 if name.casefold() in folded else place
    places = [by_name.get(name, folded.get(name.casefold(), -1)) for name in features]
    missing = [f'"{name}"' for name, place in zip(features, places, strict=True) if place < 0]
    if missing:
        more = f" and {len(missing) - _LISTED:,} more" if len(missing) > _LISTED else ""
        has = ", ".join(f'"{name}"' for name in layout.names[:_LISTED])
        raise Refusal(
            "MissingColumns",
            f"The model needs columns that the file doesn't have: {', '.join(missing[:_LISTED])}"
            f"{more}. The file has {has}.",
            "Name the columns in the first line as in the file that the model was trained on, and "
            "upload the file again.",
        )
    return places


def _format(schema: Schema, name: str) -> NumberFormat | None:
    """Return how the training file writes a column's numbers, None where that is plain."""
    column: Any = schema.column(name)
    if column.role is not Role.NUMBER or not column.format:
        return None
    return NumberFormat.of(column.format)


def _number(text: str, written: NumberFormat) -> Value:
    """Return the number in a field, or the field: it may hold a plain number, none, or nonsense."""
    number = written.parse(text)
    if number is None:
        return text
    return None if math.isnan(number) else number
