"""Which column is the label and which are features, told from the header and the first rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

from dataset_schema import DatasetSchema
from dialect import Dialect
from pipeline.errors import Refusal
from pipeline.schema import is_missing
from records import Record

LABEL_NAMES = ("species", "label", "class", "target")
MAX_NAME = 256
"""Characters of a column's name; a longer one is a text, or a quote that was not closed."""

MAX_COLUMNS = 20_000
"""Each takes memory, some 10 KB: statistics, quantiles, and a word of every row in hand."""

SAMPLE_ROWS = 1000
"""Rows that are looked at to tell a numeric column from one of text."""


@dataclass(frozen=True)
class Columns:
    """The columns' roles. `ignored` are those that have none."""

    header: tuple[str, ...]
    label: str
    features: tuple[str, ...]
    ignored: tuple[str, ...]
    group: str | None = None
    time: str | None = None

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each column in a row."""
        return {name: place for place, name in enumerate(self.header)}

    def as_dict(self) -> dict[str, Any]:
        """Return the roles, as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the roles that `as_dict` was made from."""
        lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return cls(**(fields | lists))


def infer_columns(
    header: Record | None, sample: Sequence[Record], dialect: Dialect, schema: DatasetSchema
) -> Columns:
    """Return the columns' roles.

    The label is the column that the schema names, else the one named species, label, class or
    target (in any case), else the only column that is not numeric. Features are those that the
    schema names, else every other numeric column; what is left is ignored. A column is numeric
    when most of the values in `sample` are numbers.

    Raises
    ------
    Refusal
        There is no header, no row, no feature, or no single column that must be the label; or the
        schema names a column that isn't there.
    """
    names = _names(header, sample, schema)
    if not sample:
        raise Refusal(
            "NoRows",
            "The file has a header and no row.",
            "Drop a file with at least two rows of each of at least two classes.",
        )
    _check_named(names, schema)
    numeric = set(schema.features) | {
        name for place, name in enumerate(names) if name and _is_numeric(place, sample, dialect)
    }
    aside = {schema.group, schema.time} - {None}
    candidates = [name for name in names if name and name not in aside]
    if not schema.features:
        _check_marks(names, set(candidates) - numeric, sample, dialect, schema)
    label = schema.label or _label(candidates, numeric)
    features = schema.features or tuple(
        name for name in names if name in numeric and name != label and name not in aside
    )
    if not features:
        raise Refusal(
            "NoFeatures",
            f'No column beside the label "{label[:80]}" holds numbers.',
            "k-NN needs at least one numeric feature: encode words as numbers and drop the file "
            "again.",
        )
    used = {label, *features, *aside}
    ignored = tuple(
        name or f"column {place} (without a name)"
        for place, name in enumerate(names, start=1)
        if name not in used
    )
    return Columns(names, label, features, ignored, schema.group, schema.time)


def _names(
    header: Record | None, sample: Sequence[Record], schema: DatasetSchema
) -> tuple[str, ...]:
    if header is None:
        raise Refusal(
            "EmptyFile",
            "The file is empty.",
            "Drop a CSV with a header line and a line a row.",
        )
    if len(header.fields) > MAX_COLUMNS:
        raise Refusal(
            "TooManyColumns",
            f"Line {header.line} names {len(header.fields):,} columns, more than {MAX_COLUMNS:,}.",
            "Leave out the columns that don't help to tell the classes apart, or put several "
            "together by a principal component analysis; then drop the file again.",
        )
    names = tuple(field.strip() for field in header.fields)
    numbers = [name for name in names if Dialect().number(name) is not None]
    # Columns may be called 0, 1, 2 …; a line that names no label and holds numbers is data.
    known = {*LABEL_NAMES, (schema.label or "label").lower()}
    if numbers and not any(name.lower() in known for name in names):
        raise Refusal(
            "NoHeader",
            f'Line {header.line} should name the columns, but holds the number "{numbers[0]}".',
            "Put a line with the columns' names first, such as "
            "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width,Species. If it is the names that "
            'are numbers, years say, name the label in schema.json: {"label": "…"}.',
        )
    if len(names) == 1:
        raise Refusal(
            "OneColumn",
            f'Only one column was found in line {header.line}, "{names[0][:80]}".',
            "Separate the columns by commas, semicolons, tabs or bars; a label and at least one "
            "feature are needed.",
        )
    for place, name in enumerate(names, start=1):
        if len(name) > MAX_NAME:
            raise Refusal(
                "LongColumnName",
                f"The name of column {place} in line {header.line} has {len(name):,} characters, "
                f'more than {MAX_NAME}: it begins with "{name[:80]}".',
                "Put a line with short names of the columns first.",
            )
    for place, name in enumerate(names):
        # Row numbers come first without a name, and a delimiter at the end makes an empty column.
        if not name and place and any(_field(record, place) for record in sample):
            raise Refusal(
                "UnnamedColumn",
                f"Column {place + 1} has no name in line {header.line}.",
                "Name every column in the first line; only row numbers in the first column can do "
                "without.",
            )
    twice = [name for name, count in Counter(filter(None, names)).items() if count > 1]
    if twice:
        raise Refusal(
            "DuplicateColumn",
            f'Line {header.line} names the column "{twice[0][:80]}" more than once.',
            "Give each column a name of its own.",
        )
    return names


def _check_named(names: Sequence[str], schema: DatasetSchema) -> None:
    asked = {
        "label": [schema.label],
        "features": schema.features,
        "group": [schema.group],
        "time": [schema.time],
    }
    for role, columns in asked.items():
        for column in columns:
            if column is not None and column not in names:
                raise Refusal(
                    "MissingColumn",
                    f'There is no column "{column[:80]}", which schema.json names under "{role}"; '
                    f"the columns are {_list(names)}.",
                    "Add the column to the file, or mend schema.json, and drop the file again.",
                )


def _field(record: Record, place: int) -> str:
    return record.fields[place].strip() if place < len(record.fields) else ""


def _is_numeric(place: int, sample: Sequence[Record], dialect: Dialect) -> bool:
    values = [_field(record, place) for record in sample if place < len(record.fields)]
    present = [value for value in values if not is_missing(value)]
    numbers = sum(dialect.number(value) is not None for value in present)
    return bool(present) and 2 * numbers > len(present)


def _check_marks(
    names: Sequence[str],
    texts: Collection[str],
    sample: Sequence[Record],
    dialect: Dialect,
    schema: DatasetSchema,
) -> None:
    """Raise a `Refusal` if a column is no numbers only for want of knowing its marks."""
    with_comma = replace(dialect, decimal=",", thousands=".")
    for place, name in enumerate(names):
        if name not in texts or name == schema.label or name.lower() in LABEL_NAMES:
            continue
        if _is_numeric(place, sample, with_comma):
            shown = next(filter(None, (_field(record, place) for record in sample)))
            raise Refusal(
                "DecimalComma",
                f'The column "{name[:80]}" seems to hold numbers with commas, such as '
                f'"{shown[:80]}".',
                'Say what they mean in schema.json, {"decimal": ","} or {"thousands": ","}, or '
                "write the numbers with points and without groups.",
            )


def _label(candidates: Sequence[str], numeric: Collection[str]) -> str:
    named = [name for name in candidates if name.lower() in LABEL_NAMES]
    possible = named or [name for name in candidates if name not in numeric]
    if len(possible) == 1:
        return possible[0]
    remedy = (
        'Name the label\'s column "label" (or species, class, target), and no other column so; or '
        'name it in schema.json: {"label": "…"}.'
    )
    if not possible:
        raise Refusal(
            "NoLabel",
            f"No column can be told to be the label: {_list(candidates)} are all numeric.",
            remedy,
        )
    raise Refusal(
        "AmbiguousLabel", f"More than one column could be the label: {_list(possible)}.", remedy
    )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name[:80]}"' for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
