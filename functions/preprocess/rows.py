"""From lines to checked rows: what a row must be, and why one is set aside."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.errors import Refusal

FLOAT32_MAX = 3.4028234663852886e38
"""SageMaker's k-NN reads features as 32-bit floats; beyond this they are infinite."""

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})

# float() accepts more than a CSV means by a number: "1_000", "infinity", digits of any script.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Row:
    """A record of the file: the line it starts on (1 is the first), its text and its fields."""

    line: int
    text: str
    fields: list[str]


@dataclass(frozen=True)
class Example:
    """A row that can be learned from. `features` are numbers as text, exactly as written."""

    label: str
    features: list[str]


@dataclass(frozen=True)
class Reject:
    """A row set aside."""

    line: int
    reason: str
    text: str


def read_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield the records of a comma-separated text; lines with nothing on them are passed over.

    Raises
    ------
    Refusal
        The quoting is broken, so that where records begin and end can't be known.
    """
    pending: list[str] = []

    def remember() -> Iterator[str]:
        for line in lines:
            pending.append(line)
            yield line

    reader = csv.reader(remember(), strict=True)
    start = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Refusal(
                "BrokenQuoting",
                f"The row that starts on line {start} can't be read: {error}.",
                "Check its quotes: a field that holds a comma, a quote or a line break stands in "
                'quotes, and a quote inside it is doubled ("").',
            ) from error
        text = "".join(pending).rstrip("\r\n")
        pending.clear()
        if text.strip():
            yield Row(start, text, fields)
        start = reader.line_num + 1


def is_missing(field: str) -> bool:
    """Whether a field says that there is no value."""
    return field.strip().lower() in MISSING


def is_number(field: str) -> bool:
    """Whether a field is a decimal number, in the form that every CSV reader agrees on."""
    return _NUMBER.fullmatch(field.strip()) is not None


class RowChecker:
    """Tells examples from rejects, by the places of label and features among the columns."""

    def __init__(self, header: Sequence[str], label: str, features: Sequence[str]) -> None:
        self._width = len(header)
        self._label = header.index(label)
        self._label_name = label
        self._features = [(header.index(name), name) for name in features]

    def check(self, row: Row) -> Example | Reject:
        """Return the example in a row, or the row as a reject with the reason."""
        if len(row.fields) != self._width:
            return self._reject(
                row, f"{len(row.fields)} columns where the header has {self._width}"
            )
        label = row.fields[self._label].strip()
        if is_missing(label):
            return self._reject(row, f'column "{self._label_name}": the label is missing')
        features = []
        for position, name in self._features:
            field = row.fields[position].strip()
            if _NUMBER.fullmatch(field) is None:
                reason = (
                    "the value is missing" if is_missing(field) else f'"{field}" is not a number'
                )
                return self._reject(row, f'column "{name}": {reason}')
            if not math.fabs(float(field)) <= FLOAT32_MAX:
                return self._reject(
                    row, f'column "{name}": {field} is too large for a 32-bit float'
                )
            features.append(field.removeprefix("+"))
        return Example(label, features)

    @staticmethod
    def _reject(row: Row, reason: str) -> Reject:
        return Reject(row.line, reason, row.text)
