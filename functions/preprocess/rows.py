"""From records to examples: what a row must be, and why one is set aside."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial

from columns import Columns
from dialect import Dialect
from pipeline.keys import number_key, text_key
from pipeline.numbers import fits_float32
from pipeline.schema import is_missing
from records import Record

MAX_LABEL = 256
"""Characters of a label; a longer one is a text, and no class."""


@dataclass(frozen=True)
class Example:
    """A row that can be learned from.

    `features` are numbers as text, exactly as written, empty where the value is missing and may
    be. `key` is that of its group or time, where the schema asks for one.
    """

    label: str
    features: list[str]
    key: int = 0


@dataclass(frozen=True)
class Reject:
    """A row set aside. `kind` names the reason for counting, `reason` says it of this row."""

    line: int
    kind: str
    reason: str
    text: str


class RowChecker:
    """Tells examples from rejects, by the places of label and features among the columns.

    Parameters
    ----------
    classes
        The labels that there may be; empty if any may.
    impute
        Whether a feature's value may be missing.
    """

    def __init__(
        self, columns: Columns, dialect: Dialect, *, classes: tuple[str, ...], impute: bool
    ) -> None:
        self._columns = columns
        self._dialect = dialect
        self._classes = frozenset(classes)
        self._impute = impute
        self._label = columns.places[columns.label]
        self._features = [(columns.places[name], name) for name in columns.features]
        self.key_column, self.key_of = key_reader(columns, dialect)
        self.label_problem = lru_cache(4096)(self._label_problem)

    def check(self, record: Record) -> Example | Reject:
        """Return the example in a record, or the record as a reject with the reason."""
        width = len(self._columns.header)
        if len(record.fields) != width:
            return _reject(
                record,
                "wrong number of columns",
                f"{len(record.fields)} columns where the header has {width}",
            )
        label = record.fields[self._label].strip()
        if problem := self.label_problem(label):
            kind, reason = problem
            return _reject(record, kind, f'column "{self._columns.label}": {reason}')
        features = []
        for position, name in self._features:
            field = record.fields[position].strip()
            number = self._dialect.number(field)
            if number is None:
                if is_missing(field) and self._impute:
                    features.append("")
                    continue
                return _reject(record, *_no_number(name, field))
            if not fits_float32(number):
                return _reject(
                    record,
                    "number too large",
                    f'column "{name}": {field[:80]} is too large for a 32-bit float',
                )
            features.append(number)
        if not self._impute or any(features):
            return self._with_key(record, label, features)
        return _reject(record, "missing value", "every feature's value is missing")

    def _label_problem(self, label: str) -> tuple[str, str] | None:
        """Return the kind of reject and why, if no row may have this label."""
        if label in self._classes:
            return None
        if is_missing(label):
            return "missing label", "the label is missing"
        if len(label) > MAX_LABEL:
            return "bad label", f"the label is longer than {MAX_LABEL} characters"
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in label):
            return "bad label", "the label holds a line break or a control character"
        if self._classes:
            return "unknown class", f'"{label}" is not one of the classes in schema.json'
        return None

    def _with_key(self, record: Record, label: str, features: list[str]) -> Example | Reject:
        if self.key_column is None:
            return Example(label, features)
        field = record.fields[self.key_column].strip()
        key = self.key_of(field)
        if key is None:
            name = self._columns.header[self.key_column]
            kind, reason = (
                ("missing group", "the group is missing")
                if self._columns.group
                else ("bad time", f'"{field[:80]}" is neither a number nor an ISO 8601 time')
            )
            return _reject(record, kind, f'column "{name}": {reason}')
        return Example(label, features, key)


def key_reader(
    columns: Columns, dialect: Dialect
) -> tuple[int | None, Callable[[str], int | None]]:
    """Return the column that the split goes by, if any, and how its fields become keys."""
    if columns.group:
        return columns.places[columns.group], _group_key
    if columns.time:
        return columns.places[columns.time], partial(_time_key, dialect)
    return None, lambda field: None


def _group_key(field: str) -> int | None:
    return None if is_missing(field) else text_key(field)


def _time_key(dialect: Dialect, field: str) -> int | None:
    """Return a key that sorts as times do; those without a zone are taken as UTC."""
    number = dialect.number(field)
    if number is not None:
        return number_key(float(number))
    try:
        time = datetime.fromisoformat(field)
    except ValueError:
        return None
    return number_key((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _no_number(name: str, field: str) -> tuple[str, str]:
    if is_missing(field):
        return "missing value", f'column "{name}": the value is missing'
    return "not a number", f'column "{name}": "{field[:80]}" is not a number'


def _reject(record: Record, kind: str, reason: str) -> Reject:
    return Reject(record.line, kind, reason, record.text)
