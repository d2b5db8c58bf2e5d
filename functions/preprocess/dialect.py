"""How a file is written: what separates its fields, and how its numbers look."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from dataset_schema import DatasetSchema
from pipeline.errors import Refusal
from pipeline.numbers import plain_number
from records import read_records

DELIMITERS = (",", ";", "\t", "|")

MAX_NUMBER = 100
"""Characters of a number. No float takes that many to write; exact sums must have an end."""

_HEADER = re.compile(rb"\s*[^\r\n]*")

_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009", " "))


@dataclass(frozen=True)
class Dialect:
    """The delimiter, the decimal mark, and what groups digits by threes, if anything."""

    delimiter: str = ","
    decimal: str = "."
    thousands: str | None = None

    @cached_property
    def _grouped(self) -> re.Pattern[str]:
        group = re.escape(self.thousands or "")
        return re.compile(
            rf"([+-]?[0-9]{{1,3}}(?:{group}[0-9]{{3}})+)((?:{re.escape(self.decimal)}[0-9]*)?)"
        )

    def number(self, field: str) -> str | None:
        """Return the number in a field as plain text with a point, or None if it holds none.

        As it was written but for the marks and a leading plus: digits are never changed.
        """
        if self.thousands:
            spaced = field.translate(_SPACES) if self.thousands == " " else field
            if grouped := self._grouped.fullmatch(spaced):
                field = grouped[1].replace(self.thousands, "") + grouped[2]
        if self.decimal != ".":
            if "." in field:
                return None
            field = field.replace(self.decimal, ".")
        return plain_number(field) if len(field) <= MAX_NUMBER else None


def detect_dialect(head: bytes, schema: DatasetSchema, *, is_whole: bool) -> Dialect:
    """Return how a file is written, from its first lines and what its schema says.

    The delimiter is the one that most of the first lines agree on in having it as often as the
    header does; of several, the one that makes the most columns.

    Parameters
    ----------
    is_whole
        Whether `head` is all of the file, rather than its first bytes.
    """
    chosen = schema.delimiter or max(DELIMITERS, key=lambda each: _agreement(head, each, is_whole))
    if not schema.delimiter and chosen == schema.decimal:
        chosen = max(
            (each for each in DELIMITERS if each != schema.decimal),
            key=lambda each: _agreement(head, each, is_whole),
        )
    return Dialect(chosen, schema.decimal, schema.thousands)


def _header_bytes(head: bytes) -> int:
    header = _HEADER.match(head)
    return len(header[0]) if header else 0


def _agreement(head: bytes, delimiter: str, is_whole: bool) -> tuple[float, int]:
    """Return which share of the first records is as wide as the header, and this width."""
    # A row is about as long as the header, so there is one at least.
    sample = head[: max(65536, 2 * _header_bytes(head))]
    try:
        records, _, _ = read_records(
            sample, delimiter, 1, is_last=is_whole and len(sample) == len(head)
        )
    except Refusal:
        return 0.0, 0
    if not records or len(records[0].fields) < 2:
        return 0.0, 0
    width = len(records[0].fields)
    counts = Counter(len(record.fields) for record in records)
    return round(counts[width] / len(records), 1), width
