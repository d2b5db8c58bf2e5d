"""The two passes over a file: first learn what is in it, then write what the model reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from inference import SAMPLE_ROWS, Columns, infer_columns
from pipeline.schema import Schema
from row_profile import Profile
from rows import Example, Reject, Row, RowChecker


@dataclass(frozen=True)
class Survey:
    """What the first pass learned."""

    columns: Columns
    profile: Profile

    @property
    def schema(self) -> Schema:
        """The meaning of the columns, with the classes in the order of their integers."""
        return Schema(
            label=self.columns.label,
            features=self.columns.features,
            classes=self.profile.class_order(),
            ignored=self.columns.ignored,
        )


def survey(rows: Iterator[Row], set_aside: Callable[[Reject], None]) -> Survey:
    """Return what is in the file; each row that can't be used goes to `set_aside`.

    Raises
    ------
    Refusal
        The columns' roles can't be told.
    """
    header = next(rows, None)
    sample = list(islice(rows, SAMPLE_ROWS))
    columns = infer_columns(header, sample)
    checker = RowChecker(columns.header, columns.label, columns.features)
    profile = Profile(columns.features)
    for row in chain(sample, rows):
        checked = checker.check(row)
        if isinstance(checked, Reject):
            profile.add_reject()
            set_aside(checked)
        else:
            profile.add(row.line, checked.label, checked.features)
    return Survey(columns, profile)


def clean_lines(rows: Iterator[Row], surveyed: Survey) -> Iterator[str]:
    """Yield the usable rows as the built-in algorithms read them: the label as an integer first.

    Source: SageMaker developer guide, "Common data formats for training": CSV has no header and
    the target in the first column.
    """
    columns = surveyed.columns
    checker = RowChecker(columns.header, columns.label, columns.features)
    code = {name: number for number, name in enumerate(surveyed.schema.classes)}
    next(rows)
    for row in rows:
        checked = checker.check(row)
        if isinstance(checked, Example):
            yield f"{code[checked.label]},{','.join(checked.features)}\n"
