"""One pass over a file: which rows are kept, why the others are not, and what they are like."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Refusal
from pipeline.objects import CsvWriter
from pipeline.schema import Role
from pipeline.settings import Settings
from pipeline.transform import FALSE, LARGEST, TRUE
from preprocess.labels import Labels, class_key
from preprocess.profile import Profile, RowSample, SampledRow
from preprocess.roles import Table
from tabular.blocks import Block, Rows, read_blocks
from tabular.errors import TableError
from tabular.numbers import NumberFormat, is_missing, read_numbers
from tabular.times import read_times
from tabular.words import Vocabulary

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING, _BAD = -1, -2


@dataclass(frozen=True)
class Reject:
    """A row set aside. `kind` names the reason for counting, `reason` says it of this row."""

    line: int
    kind: str
    reason: str
    text: str


class Survey:
    """Checks rows, block by block and in order; counts and samples those that are kept.

    Parameters
    ----------
    set_aside
        Takes each row that can't be used.
    """

    def __init__(
        self, table: Table, settings: Settings, labels: Labels, set_aside: Callable[[Reject], None]
    ) -> None:
        self._table = table
        self._settings = settings
        self._set_aside = set_aside
        places = table.places
        self._label = places[table.label]
        self._numbers = table.of_role(Role.NUMBER)
        self._formats = [NumberFormat.of(table.columns[place].format) for place in self._numbers]
        self._words = table.of_role(Role.BOOLEAN, Role.CATEGORY)
        self._vocabularies = [
            Vocabulary(_boolean if table.columns[place].role is Role.BOOLEAN else _present)
            for place in self._words
        ]
        # In the model's order: the place of each feature among numbers and words.
        both = [*self._numbers, *self._words]
        self._order = [both.index(places[name]) for name in table.features]
        self._split_column = places.get(settings.group or settings.time or "", None)
        self._group = Vocabulary(_present)
        self.labels = labels
        names = [table.columns[place].name for place in self._numbers]
        self.profile = Profile(table.features, names)
        self.sample = RowSample(settings.seed)

    def add(self, block: Block) -> bytes:
        """Return the text of the rows that are kept, as they were written."""
        labels = np.full(len(block), -1, np.intp)
        for rows in block.rows:
            if len(rows.records):
                labels[rows.records] = self._check(rows)
        kept = labels >= 0
        self.profile.read += len(block)
        if not kept.all():
            for record in np.flatnonzero(~kept).tolist():
                self._reject(block, record)
        which = np.flatnonzero(kept)
        spelled = labels[which]
        self.sample.add(
            block, which, spelled, list(self.labels.spellings), lambda: self.labels.places(spelled)
        )
        self.labels.count(spelled, block.lines[which])
        self.profile.kept += len(which)
        return block.texts(kept) if len(which) else b""

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
        codes = [
            words.numbers(rows, column)
            for column, words in zip(self._words, self._vocabularies, strict=True)
        ]
        for each in codes:
            good &= each != _BAD
        missing = np.vstack([np.isnan(values), *(each == _MISSING for each in codes)])
        if missing.any():
            good &= ~(missing.all(axis=0) if self._settings.imputes else missing.any(axis=0))
        if self._split_column is not None:
            good &= self._can_be_split(rows)
        every = good.all()
        self.profile.add_numbers(values if every else values[:, good])
        of_good = missing if every else missing[:, good]
        self.profile.missing += of_good.sum(axis=1)[self._order]
        return labels if every else np.where(good, labels, -1)

    def _can_be_split(self, rows: Rows) -> NDArray[np.bool_]:
        column = self._split_column or 0
        if self._settings.group:
            return np.asarray(self._group.numbers(rows, column) != _MISSING)
        return ~read_times(rows, column, NumberFormat.of(self._table.columns[column].format))[1]

    def _reject(self, block: Block, record: int) -> None:
        """Say why a row can't be used, and set it aside."""
        line, text = int(block.lines[record]), block.text(record)
        kind, reason = self._why(block, record)
        self.profile.add_reject(kind, line)
        self._set_aside(Reject(line, kind, reason, text))

    def _why(self, block: Block, record: int) -> tuple[str, str]:
        width = len(self._table.columns)
        if record in block.odd:
            if not block.text(record).strip(self._table.delimiter + " \t"):
                return "empty row", "the row is empty"
            return (
                "wrong number of columns",
                f"{block.odd[record]} columns where the header has {width}",
            )
        fields = _fields(block, record, width)
        if not any(fields):
            return "empty row", "the row is empty"
        if problem := self.labels.problem(fields[self._label]):
            kind, reason = problem
            return kind, f'column "{self._table.label}": {reason}'
        for column, written in zip(self._numbers, self._formats, strict=True):
            if problem := _number_problem(fields[column], written, self._settings):
                kind, reason = problem
                return kind, f'column "{self._table.columns[column].name}": {reason}'
        for column, words in zip(self._words, self._vocabularies, strict=True):
            name, field = self._table.columns[column].name, fields[column]
            if is_missing(field) and not self._settings.imputes:
                return "missing value", f'column "{name}": the value is missing'
            if words.number_of(field) == _BAD:
                return "not true or false", f'column "{name}": "{field[:80]}" is not true or false'
        if self._split_column is not None:
            name, field = self._table.columns[self._split_column].name, fields[self._split_column]
            if self._settings.group and is_missing(field):
                return "missing group", f'column "{name}": the group is missing'
            if self._settings.time:
                what = f'"{field[:80]}" is neither a number nor an ISO 8601 time'
                return "bad time", f'column "{name}": {what}'
        return "missing value", "every feature's value is missing"


def _number_problem(
    field: str, written: NumberFormat, settings: Settings
) -> tuple[str, str] | None:
    number = written.parse(field)
    if is_missing(field) or number != number:
        return None if settings.imputes else ("missing value", "the value is missing")
    if number is None:
        return "not a number", f'"{field[:80]}" is not a number'
    if abs(number) > LARGEST:
        return "number too large", f"{field[:80]} is too large for a 32-bit float"
    return None


def _boolean(text: str) -> int:
    word = text.lower()
    if is_missing(text):
        return _MISSING
    return int(word in TRUE or word == "1") if word in TRUE | FALSE | {"0", "1"} else _BAD


def _present(text: str) -> int:
    return _MISSING if is_missing(text) else 0


def _fields(block: Block, record: int, width: int) -> list[str]:
    for rows in block.rows:
        place = int(np.searchsorted(rows.records, record))
        if place < len(rows.records) and rows.records[place] == record:
            return [rows.text(column, place) for column in range(width)]
    raise ValueError(f"record {record} has no fields")


@dataclass
class Surveyed:
    """What the rows of a file, or those of parts of it, have turned out to be."""

    profile: Profile
    labels: Labels
    sample: RowSample

    @classmethod
    def nothing(cls, table: Table, settings: Settings) -> Surveyed:
        """Return what is known before any part is."""
        survey = Survey(table, settings, labels_of(table, settings), lambda reject: None)
        return cls(survey.profile, survey.labels, survey.sample)

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
            "labels": self.labels.state(),
            "sample": [asdict(row) for row in self.sample.rows()],
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add the rows of a further part."""
        before = dict(self.labels.class_counts())
        self.profile.merge(state["profile"])
        self.labels.merge(state["labels"])
        rows = [SampledRow(**row) for row in state["sample"]]
        self.sample.merge(
            [replace(r, place=r.place + before.get(class_key(r.label), 0)) for r in rows]
        )


def labels_of(table: Table, settings: Settings) -> Labels:
    """Return the labels of a file before any is read."""
    return Labels(table.label, frozenset(map(class_key, settings.classes)))


@dataclass(frozen=True)
class Keys:
    """The keys under which a file's rows, or those of a part of it, are written."""

    data: str
    rejects: str


def survey_rows(
    s3: S3Client,
    bucket: str,
    keys: Keys,
    table: Table,
    settings: Settings,
    chunks: Iterable[bytes],
    line: int,
    *,
    deadline: float,
    if_late: str,
    at_end: Callable[[Surveyed], Iterable[Reject]] = lambda rows: (),
) -> Surveyed:
    """Write the rows that are kept, as they are, and the others with line and reason.

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

    Raises
    ------
    Refusal, TableError
        The rows can't be read, or not in time. The rejects until then are written all the same.
    """
    failure: Refusal | TableError | None = None
    with CsvWriter(s3, bucket) as kept:
        rejects = csv.writer(kept.open(keys.rejects), lineterminator="\n")
        rejects.writerow(["line", "reason", "row"])

        def set_aside(reject: Reject) -> None:
            rejects.writerow([reject.line, reject.reason, reject.text])

        labels = labels_of(table, settings)
        survey = Survey(table, settings, labels, set_aside)
        surveyed = Surveyed(survey.profile, labels, survey.sample)
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
                    data.write(survey.add(block))
                for reject in at_end(surveyed):
                    set_aside(reject)
        except (Refusal, TableError) as error:
            failure = error
    if failure:
        raise failure
    return surveyed
