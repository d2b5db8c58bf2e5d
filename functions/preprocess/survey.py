"""One pass over a file: which rows are kept, why the others are not, and what they are like."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Refusal
from pipeline.objects import CsvWriter
from pipeline.schema import Role, Schema
from pipeline.settings import Settings
from pipeline.transform import FALSE, LARGEST, TRUE
from preprocess.labels import Labels, class_key
from preprocess.profile import Profile, RowSample, SampledRow
from tabular.blocks import Block, Rows, read_blocks
from tabular.errors import TableError
from tabular.numbers import NumberFormat, is_missing, read_numbers
from tabular.times import read_times
from tabular.words import Vocabulary

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EMPTY_ROW, NO_VALUE = "empty row", "no value"
"""Kinds of rejects."""

_MISSING, _BAD = -1, -2

Problem = tuple[str, str] | None
"""Of a field: the kind, for counting, and what is wrong with it."""


class Reject(NamedTuple):
    """A row set aside. `kind` names the reason for counting, `reason` says it of this row."""

    line: int
    kind: str
    reason: str
    text: str


class Keys(NamedTuple):
    """The keys under which a file's rows, or those of a part of it, are written."""

    data: str
    rejects: str


class Survey:
    """What the rows of a file, or of parts of it, have turned out to be."""

    def __init__(self, table: Schema, settings: Settings) -> None:
        self._table = table
        self._settings = settings
        names, places = [column.name for column in table.columns], table.places
        self._label = places[table.label]
        self._numbers = of_role(table, Role.NUMBER)
        self._formats = [self._format(place) for place in self._numbers]
        booleans, categories = of_role(table, Role.BOOLEAN), of_role(table, Role.CATEGORY)
        self._words = [(place, Vocabulary(_boolean)) for place in booleans]
        self._words += [(place, Vocabulary(_present)) for place in categories]
        # In the model's order: the place of each feature among numbers and words.
        both = {p: at for at, p in enumerate([*self._numbers, *booleans, *categories])}
        self._order = [both[places[name]] for name in table.features]
        self._group = Vocabulary(_present)
        self.labels = Labels(table.label, frozenset(map(class_key, settings.classes)))
        self.profile = Profile(table.features, [names[place] for place in self._numbers])
        self.sample = RowSample(settings.seed)
        imputes = settings.imputes
        self._checks: list[tuple[int, Callable[[str], Problem]]] = [
            (self._label, self.labels.problem),
            *((p, partial(_number_problem, self._format(p), imputes)) for p in self._numbers),
            *((p, partial(_word_problem, words, imputes)) for p, words in self._words),
        ]
        if settings.group:
            self._checks.append((places[settings.group], _group_problem))
        if settings.time:
            place = places[settings.time]
            self._checks.append((place, partial(_time_problem, self._format(place))))

    def add(self, block: Block, set_aside: Callable[[Reject], object]) -> bytes:
        """Look at further rows, in the file's order; return the text of those that are kept."""
        labels = np.full(len(block), -1, np.intp)
        if len(block.rows.records):
            labels[block.rows.records] = self._check(block.rows)
        for record in np.flatnonzero(labels < 0).tolist():
            kind, reason = self._why(block, record)
            reject = Reject(int(block.lines[record]), kind, reason, block.text(record))
            self.profile.add_reject(kind, reject.line)
            set_aside(reject)
        kept = np.flatnonzero(labels >= 0)
        spelled = labels[kept]
        spellings = list(self.labels.spellings)
        self.sample.add(block, kept, spelled, spellings, lambda: self.labels.places(spelled))
        self.labels.count(spelled)
        self.profile.read += len(block)
        self.profile.kept += len(kept)
        return block.texts(labels >= 0) if len(kept) else b""

    def leave_out(self, row: SampledRow, kind: str) -> None:
        """Take out a row that was kept, the only one of its class."""
        self.profile.add_reject(kind, row.line)
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

    def _format(self, place: int) -> NumberFormat:
        return NumberFormat.of(self._table.columns[place].format)

    def _check(self, rows: Rows) -> NDArray[np.intp]:
        """Return the number of each row's label, -1 if the row can't be used."""
        labels = self.labels.vocabulary.numbers(rows, self._label)
        good = labels >= 0
        values = np.zeros((0, len(good)))
        if self._numbers:
            values, bad = read_numbers(rows.array, *rows.bounds(self._numbers), self._formats)
            good &= ~bad.any(axis=0)
            # NaN, for a missing value, is not at most anything.
            if not np.abs(values).max(initial=0) <= LARGEST:
                good &= ~(np.abs(values) > LARGEST).any(axis=0)
        codes = [words.numbers(rows, place) for place, words in self._words]
        for each in codes:
            good &= each != _BAD
        missing = np.vstack([np.isnan(values), *(each == _MISSING for each in codes)])
        if missing.any():
            good &= ~(missing.all(axis=0) if self._settings.imputes else missing.any(axis=0))
        places = self._table.places
        if self._settings.group:
            good &= self._group.numbers(rows, places[self._settings.group]) != _MISSING
        if self._settings.time:
            place = places[self._settings.time]
            good &= ~read_times(rows, place, self._format(place))[1]
        every = good.all()
        self.profile.add_numbers(values if every else values[:, good])
        of_good = missing if every else missing[:, good]
        self.profile.missing += of_good.sum(axis=1)[self._order]
        return labels if every else np.where(good, labels, -1)

    def _why(self, block: Block, record: int) -> tuple[str, str]:
        """Return why a row can't be used: the kind, and the reason."""
        width = len(self._table.columns)
        if not block.text(record).strip(self._table.delimiter + ' "\t\r'):
            return EMPTY_ROW, "the row is empty"
        if record in block.odd:
            reason = f"{block.odd[record]} columns where the header has {width}"
            return "wrong number of columns", reason
        row = int(np.searchsorted(block.rows.records, record))
        for place, problem in self._checks:
            if wrong := problem(block.rows.text(place, row)):
                kind, reason = wrong
                return kind, f'column "{self._table.columns[place].name}": {reason}'
        return NO_VALUE, "every feature's value is missing"


def of_role(table: Schema, role: Role) -> list[int]:
    """Return the places of the features of a role, in the model's order."""
    return [table.places[n] for n in table.features if table.column(n).role is role]


def _boolean(text: str) -> int:
    word = text.lower()
    if is_missing(text):
        return _MISSING
    return int(word in TRUE or word == "1") if word in TRUE | FALSE | {"0", "1"} else _BAD


def _present(text: str) -> int:
    return _MISSING if is_missing(text) else 0


def _number_problem(written: NumberFormat, imputes: bool, field: str) -> Problem:
    number = math.nan if is_missing(field) else written.parse(field)
    if number is None:
        return "not a number", f'"{field[:80]}" is not a number'
    if math.isnan(number) and not imputes:
        return "missing value", "the value is missing"
    if abs(number) > LARGEST:
        return "number too large", f"{field[:80]} is too large for a 32-bit float"
    return None


def _word_problem(words: Vocabulary, imputes: bool, field: str) -> Problem:
    number = words.number_of(field)
    if number == _BAD:
        return "not true or false", f'"{field[:80]}" is not true or false'
    if number == _MISSING and not imputes:
        return "missing value", "the value is missing"
    return None


def _group_problem(field: str) -> Problem:
    return ("missing group", "the group is missing") if is_missing(field) else None


def _time_problem(written: NumberFormat, field: str) -> Problem:
    try:
        if written.parse(field) is None:
            datetime.fromisoformat(field)
    except ValueError:
        return "bad time", f'"{field[:80]}" is neither a number nor an ISO 8601 time'
    return None


def survey_rows(
    s3: S3Client,
    bucket: str,
    keys: Keys,
    table: Schema,
    settings: Settings,
    chunks: Iterable[bytes],
    line: int,
    *,
    deadline: float,
    if_late: str,
    at_end: Callable[[Survey], Iterable[Reject]] = lambda rows: (),
) -> Survey:
    """Write the rows that are kept, as they are, and the others with line and reason.

    If the rows can't be read, or not in time, the rejects until then are written all the same.

    Parameters
    ----------
    chunks, line
        The rows' text, and the line that it begins on.
    deadline
        On the clock of `time.monotonic`, in seconds.
    if_late
        What to do about a file that takes longer.
    at_end
        Returns rows that are set aside when all have been read.
    """
    failure: Refusal | TableError | None = None
    survey = Survey(table, settings)
    with CsvWriter(s3, bucket) as kept:
        rejects = csv.writer(kept.open(keys.rejects), lineterminator="\n")
        rejects.writerow(["line", "reason", "row"])

        def set_aside(reject: Reject) -> None:
            rejects.writerow([reject.line, reject.reason, reject.text])

        try:
            with CsvWriter(s3, bucket) as writer:
                data = writer.open_bytes(keys.data)
                for block in read_blocks(
                    chunks, delimiter=table.delimiter, width=len(table.columns), line=line
                ):
                    if time.monotonic() > deadline:
                        raise Refusal(
                            "OutOfTime",
                            "The file takes longer than there is time; "
                            f"{survey.profile.kept:,} rows were prepared.",
                            if_late,
                        )
                    data.write(survey.add(block, set_aside))
                for reject in at_end(survey):
                    set_aside(reject)
        except (Refusal, TableError) as error:
            failure = error
    if failure:
        raise failure
    return survey
