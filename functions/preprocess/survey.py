"""One pass over a file: what is in it is learned, and what the model reads is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from blocks import Block
from classes import Classes
from clean_rows import insert_rows, runs_of, write_rows
from columns import Columns
from dialect import Dialect
from pipeline.decimals import read_decimals
from records import Record, read_record
from row_profile import Profile
from rows import Example, Reject, RowChecker


@dataclass(frozen=True)
class CleanRows:
    """Rows that are kept: their text, and where the schema asks for a group or time, their keys."""

    rows: int
    text: list[bytes]
    keys: NDArray[np.uint64]


class Survey:
    """Checks the rows of a file, in order, and tells what they are like.

    Rows that are plainly right are found many at a time; every other goes through `RowChecker`
    by itself. A row that is right either way gives the same clean row.

    Parameters
    ----------
    classes
        The dataset's classes; new ones are added to it.
    set_aside
        Takes each row that can't be used.
    """

    def __init__(
        self,
        columns: Columns,
        dialect: Dialect,
        checker: RowChecker,
        classes: Classes,
        profile: Profile,
        set_aside: Callable[[Reject], None],
    ) -> None:
        self._columns = columns
        self._dialect = dialect
        self._checker = checker
        self._set_aside = set_aside
        self._label = columns.places[columns.label]
        self._features = [columns.places[name] for name in columns.features]
        self._runs = runs_of([last == first + 1 for first, last in pairwise(self._features)])
        self.classes = classes
        self.profile = profile
        profile.first_line = classes.first_line

    def add(self, piece: Block | list[Record]) -> CleanRows:
        """Return the clean rows of the next block or records of the file."""
        return self._of_records(piece) if isinstance(piece, list) else self._of_block(piece)

    def _of_records(self, records: Sequence[Record]) -> CleanRows:
        self.profile.read += len(records)
        examples = self._examples(records)
        ids = np.array([identity for identity, _ in examples], np.intp)
        self.classes.settle()
        self.profile.add_rows(ids, self.classes)
        return CleanRows(len(examples), self._lines(examples), self._keys(examples))

    def _of_block(self, block: Block) -> CleanRows:
        self.profile.read += len(block.record_ends)
        starts, ends = block.fields(self._features)
        numbers = read_decimals(block.array, starts, ends, self._dialect.decimal)
        keys, has_key = self._keys_of(block)
        right = numbers.plain.all(axis=0) & has_key
        ids = self.classes.ids_of(
            block.array,
            *(side[0] for side in block.fields([self._label])),
            among=right,
            is_class=lambda name: self._checker.label_problem(name) is None,
        )
        self.classes.note_lines(ids, lambda place: block.record(int(block.regular[place]))[0])
        right &= ids >= 0
        others = np.zeros(0, np.intp)
        if not right.all() or len(right) < len(block.record_ends):
            by_themselves = np.ones(len(block.record_ends), np.bool_)
            by_themselves[block.regular[right]] = False
            others = np.flatnonzero(by_themselves)
            ids, starts, ends = ids[right], starts[:, right], ends[:, right]
            keys = keys[right] if len(keys) else keys
            numbers = numbers.of(right)
        places, examples = self._examples_among(block, others, right)
        self.classes.settle()
        self.profile.add_numbers(numbers)
        self.profile.add_rows(
            np.concatenate([ids, np.array([identity for identity, _ in examples], np.intp)]),
            self.classes,
        )
        rows, lengths = write_rows(
            block.array,
            np.array(self.classes.integers, np.intp)[ids],
            starts,
            ends,
            # Fields that have neither quotes nor spaces around them stand as the columns do.
            runs=self._runs
            if block.is_bare
            else runs_of((ends[:-1] + 1 == starts[1:]).all(axis=1).tolist()),
            delimiter=self._dialect.delimiter,
            decimal=self._dialect.decimal,
        )
        if not examples:
            return CleanRows(len(ids), [rows.tobytes()], keys)
        return CleanRows(
            len(ids) + len(examples),
            insert_rows(rows, lengths, places, self._lines(examples)),
            np.insert(keys, places, added) if len(added := self._keys(examples)) else keys,
        )

    def _examples_among(
        self, block: Block, others: NDArray[np.intp], right: NDArray[np.bool_]
    ) -> tuple[list[int], list[tuple[int, Example]]]:
        """Return the examples among other records, and how many right ones go before each."""
        places: list[int] = []
        examples: list[tuple[int, Example]] = []
        if not len(others):
            return places, examples
        before = np.searchsorted(block.regular[right], others).tolist()
        for place, (line, text) in zip(before, block.records(others), strict=True):
            record = read_record(text, self._dialect.delimiter, line)
            if record is None:
                self.profile.read -= 1
            elif example := self._examples([record]):
                places.append(place)
                examples += example
        return places, examples

    def _examples(self, records: Sequence[Record]) -> list[tuple[int, Example]]:
        """Return the examples among records, with the ids of their classes; set the rest aside."""
        examples = []
        for record in records:
            checked = self._checker.check(record)
            if isinstance(checked, Reject):
                self.profile.add_reject(checked)
                self._set_aside(checked)
            else:
                self.profile.add_texts(checked.features)
                identity = self.classes.id_of(checked.label)
                line = self.classes.first_line.setdefault(checked.label, record.line)
                self.classes.first_line[checked.label] = min(line, record.line)
                examples.append((identity, checked))
        return examples

    def _lines(self, examples: Sequence[tuple[int, Example]]) -> list[bytes]:
        integers = self.classes.integers
        return [
            f"{integers[identity]},{','.join(example.features)}\n".encode()
            for identity, example in examples
        ]

    def _keys(self, examples: Sequence[tuple[int, Example]]) -> NDArray[np.uint64]:
        if self._checker.key_column is None:
            return np.zeros(0, np.uint64)
        return np.array([example.key for _, example in examples], np.uint64)

    def _keys_of(self, block: Block) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return the keys of a block's regular records, and which of them have one."""
        column = self._checker.key_column
        if column is None:
            return np.zeros(0, np.uint64), np.ones(len(block.regular), np.bool_)
        bounds = zip(*(side[0].tolist() for side in block.fields([column])), strict=True)
        keys = [
            self._checker.key_of(block.data[start:end].decode().strip()) for start, end in bounds
        ]
        has_key = np.array([key is not None for key in keys], np.bool_)
        return np.array([key or 0 for key in keys], np.uint64), has_key
