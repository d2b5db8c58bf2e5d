"""One pass over a file: which rows are kept, why the others are not, and what they are like."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import OutOfTime
from pipeline.rejects import Reject
from pipeline.schema import FEATURE_ROLES, Role, Schema
from pipeline.settings import Settings
from pipeline.transform import BOOLEANS, LARGEST
from preprocess.labels import Labels, class_key
from preprocess.profile import Profile, RowSample, SampledRow
from tabular.blocks import Block, Rows, read_blocks
from tabular.numbers import NumberFormat, is_missing, read_numbers
from tabular.times import read_times
from tabular.words import Vocabulary

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

EMPTY_ROW, NO_VALUE = "empty row", "no value"
"""Kinds of rejects."""

_MISSING, _BAD = -1, -2


class Survey:
    """What the rows of a file, or of parts of it, have turned out to be."""

    def __init__(self, table: Schema, settings: Settings) -> None:
        self.table = table
        self.settings = settings
        self._numbers = of_role(table, Role.NUMBER)
        self._formats = [NumberFormat.of(column.format) for column in table.columns]
        booleans, categories = of_role(table, Role.BOOLEAN), of_role(table, Role.CATEGORY)
        self._words = [(place, Vocabulary(_boolean)) for place in booleans]
        self._words += [(place, Vocabulary(_present)) for place in categories]
        # In the model's order: the place of each feature among numbers and words.
        both = {p: at for at, p in enumerate([*self._numbers, *booleans, *categories])}
        self._order = [both[table.places[name]] for name in table.features]
        self._group = Vocabulary(_present)
        self.labels = Labels(table.label, frozenset(map(class_key, settings.classes)))
        names = [table.columns[place].name for place in self._numbers]
        self.profile = Profile(table.features, names)
        self.sample = RowSample(settings.seed)

    def add(self, block: Block, set_aside: Callable[[Reject], object]) -> bytes:
        """Look at further rows, in the file's order; return the text of those that are kept."""
        labels = self._check(block.rows)
        if block.odd:
            of_rows, labels = labels, np.full(len(block), -1, np.intp)
            labels[block.rows.records] = of_rows
        is_kept = labels >= 0
        for record in np.flatnonzero(~is_kept).tolist():
            kind, reason = self._why(block, record)
            reject = Reject(int(block.lines[record]), kind, reason, block.text(record))
            self.profile.add_reject(kind, reject.line, reject.text)
            set_aside(reject)
        kept = slice(None) if is_kept.all() else is_kept
        lines, spelled, spellings = block.lines[kept], labels[kept], list(self.labels.spellings)
        self.sample.add(
            lines, spelled, spellings, lambda n: self.labels.places(spelled, n), block.texts_on
        )
        counts = np.bincount(spelled, minlength=len(spellings)).tolist()
        self.labels.merge(dict(zip(spellings, counts, strict=True)))
        self.profile.read += len(block)
        self.profile.kept += len(lines)
        return block.texts(is_kept) if len(lines) else b""

    def read(
        self,
        chunks: Iterable[bytes],
        line: int,
        kept: SupportsWrite[bytes],
        set_aside: Callable[[Reject], object],
        deadline: float,
    ) -> None:
        """Look at all rows of a text, the first on `line`, and write those that are kept.

        After `deadline`, on the clock of `time.monotonic`, the file is refused.
        """
        delimiter, width = self.table.delimiter, len(self.table.columns)
        for block in read_blocks(chunks, delimiter=delimiter, width=width, line=line):
            if time.monotonic() > deadline:
                raise OutOfTime
            kept.write(self.add(block, set_aside))

    def leave_out(self, row: SampledRow, kind: str) -> None:
        """Take out a row that was kept, the only one of its class."""
        self.profile.add_reject(kind, row.line, row.text)
        self.profile.kept -= 1
        del self.labels.counts[row.label]
        self.sample.leave_out(row)

    def state(self) -> dict[str, Any]:
        """Return all that `merge` needs, as JSON holds it."""
        return {
            "profile": self.profile.state(),
            "labels": dict(self.labels.counts),
            "sample": self.sample.rows(),
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add the rows of the part that comes next in the file."""
        before = self.labels.class_counts()
        self.profile.merge(state["profile"])
        self.labels.merge(state["labels"])
        self.sample.merge(state["sample"], lambda label: before.get(class_key(label), 0))

    def _check(self, rows: Rows) -> NDArray[np.intp]:
        """Return the number of each row's label, -1 if the row can't be used."""
        settings, places = self.settings, self.table.places
        labels = self.labels.vocabulary.numbers(rows, places[self.table.label])
        good = labels >= 0
        values = np.zeros((0, len(good)))
        if self._numbers:
            formats = [self._formats[place] for place in self._numbers]
            values, bad = read_numbers(rows.array, *rows.bounds(self._numbers), formats)
            if bad.any():
                good &= ~bad.any(axis=0)
        codes = [words.numbers(rows, place) for place, words in self._words]
        missing = None
        # NaN, for a missing value, is neither at most nor at least anything.
        if not -LARGEST <= values.min(initial=0) <= values.max(initial=0) <= LARGEST or any(
            each.min(initial=0) < 0 for each in codes
        ):
            good &= ~(np.abs(values) > LARGEST).any(axis=0)
            for each in codes:
                good &= each != _BAD
            missing = np.vstack([np.isnan(values), *(each == _MISSING for each in codes)])
            good &= ~(missing.all(axis=0) if settings.imputes else missing.any(axis=0))
        if settings.group:
            good &= self._group.numbers(rows, places[settings.group]) != _MISSING
        if settings.time:
            place = places[settings.time]
            good &= ~read_times(rows, place, self._formats[place])[1]
        every = good.all()
        self.profile.add_numbers(values if every else values[:, good])
        if missing is not None:
            self.profile.missing += missing[:, good].sum(axis=1)[self._order]
        return labels if every else np.where(good, labels, -1)

    def _why(self, block: Block, record: int) -> tuple[str, str]:
        """Return why a row can't be used: the kind, and the reason."""
        table, settings = self.table, self.settings
        if not block.text(record).strip(table.delimiter + ' "\t\r'):
            return EMPTY_ROW, "the row is empty"
        if record in block.odd:
            reason = f"{block.odd[record]} columns where the header has {len(table.columns)}"
            return "wrong number of columns", reason
        row = int(np.searchsorted(block.rows.records, record))
        for name in filter(None, (table.label, *table.features, settings.group, settings.time)):
            place = table.places[name]
            if problem := self._problem(place, block.rows.text(place, row)):
                kind, reason = problem
                return kind, f'column "{name}": {reason}'
        return NO_VALUE, "every feature's value is missing"

    def _problem(self, place: int, text: str) -> tuple[str, str] | None:
        """Return the kind of reject and the reason, if no row may have this text in a column."""
        column = self.table.columns[place]
        if column.role is Role.LABEL:
            return self.labels.problem(text)
        number = self._formats[place].parse(text)
        missing = is_missing(text) or (number is not None and math.isnan(number))
        if column.role in FEATURE_ROLES:
            if missing and not self.settings.imputes:
                return "missing value", "the value is missing"
            if column.role is Role.NUMBER and not missing:
                if number is None:
                    return "not a number", f'"{text[:80]}" is not a number'
                if abs(number) > LARGEST:
                    return "number too large", f"{text[:80]} is too large for a 32-bit float"
            if column.role is Role.BOOLEAN and _boolean(text) == _BAD:
                return "not true or false", f'"{text[:80]}" is not true or false'
        if column.name == self.settings.group and missing:
            return "missing group", "the group is missing"
        if column.name == self.settings.time and (missing or number is None):
            with suppress(ValueError):
                datetime.fromisoformat(text)
                return None
            return "bad time", f'"{text[:80]}" is neither a number nor an ISO 8601 time'
        return None


def of_role(table: Schema, role: Role) -> list[int]:
    """Return the places of the features of a role, in the model's order."""
    return [table.places[n] for n in table.features if table.column(n).role is role]


def _boolean(text: str) -> int:
    return _MISSING if is_missing(text) else BOOLEANS.get(text.lower(), _BAD)


def _present(text: str) -> int:
    return _MISSING if is_missing(text) else 0
