"""Which column is the label and which are features, told from the header and the first rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import Refusal
from rows import Row, is_missing, is_number

LABEL_NAMES = ("species", "label", "class", "target")
SAMPLE_ROWS = 1000
"""Rows that are looked at to tell a numeric column from one of text."""


@dataclass(frozen=True)
class Columns:
    """The columns' roles. `ignored` are neither label nor numbers."""

    header: tuple[str, ...]
    label: str
    features: tuple[str, ...]
    ignored: tuple[str, ...]


def infer_columns(header: Row | None, sample: Sequence[Row]) -> Columns:
    """Return the columns' roles.

    The label is the column named species, label, class or target (in any case), else the only
    column that is not numeric. Every other numeric column is a feature; what is left is ignored.
    A column is numeric when most of the values in `sample` are numbers.

    Raises
    ------
    Refusal
        There is no header, no row, no feature, or no single column that must be the label.
    """
    names = _names(header)
    if not sample:
        raise Refusal(
            "NoRows",
            "The file has a header and no row.",
            "Drop a file with at least two rows of each of at least two classes.",
        )
    numeric = [name for place, name in enumerate(names) if _is_numeric(place, sample)]
    label = _label(names, numeric)
    features = tuple(name for name in names if name in numeric and name != label)
    if not features:
        raise Refusal(
            "NoFeatures",
            f'No column beside the label "{label}" holds numbers.',
            "k-NN needs at least one numeric feature: encode words as numbers and drop the file "
            "again.",
        )
    ignored = tuple(name for name in names if name != label and name not in features)
    return Columns(names, label, features, ignored)


def _names(header: Row | None) -> tuple[str, ...]:
    if header is None:
        raise Refusal(
            "EmptyFile",
            "The file is empty.",
            "Drop a CSV with a header line and a line a row.",
        )
    names = tuple(field.strip() for field in header.fields)
    numbers = [name for name in names if is_number(name)]
    # Columns may be called 0, 1, 2 …; a line that names no label and holds numbers is data.
    if numbers and not any(name.lower() in LABEL_NAMES for name in names):
        raise Refusal(
            "NoHeader",
            f'Line {header.line} should name the columns, but holds the number "{numbers[0]}".',
            "Put a line with the columns' names first, such as "
            "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width,Species.",
        )
    if len(names) == 1:
        raise Refusal(
            "OneColumn",
            f'Only one column was found in line {header.line}, "{names[0][:80]}".',
            "Separate the columns by commas; a label and at least one feature are needed.",
        )
    for place, name in enumerate(names, start=1):
        if not name:
            raise Refusal(
                "UnnamedColumn",
                f"Column {place} has no name in line {header.line}.",
                "Name every column in the first line; a column of row numbers can go.",
            )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refusal(
            "DuplicateColumn",
            f'Line {header.line} names the column "{twice[0]}" more than once.',
            "Give each column a name of its own.",
        )
    return names


def _is_numeric(place: int, sample: Sequence[Row]) -> bool:
    values = [row.fields[place] for row in sample if place < len(row.fields)]
    present = [value for value in values if not is_missing(value)]
    return bool(present) and 2 * sum(map(is_number, present)) > len(present)


def _label(names: Sequence[str], numeric: Sequence[str]) -> str:
    named = [name for name in names if name.lower() in LABEL_NAMES]
    candidates = named or [name for name in names if name not in numeric]
    if len(candidates) == 1:
        return candidates[0]
    remedy = 'Name the label\'s column "label" (or species, class, target), and no other column so.'
    if not candidates:
        raise Refusal(
            "NoLabel",
            f"No column can be told to be the label: {_list(names)} are all numeric.",
            remedy,
        )
    raise Refusal(
        "AmbiguousLabel", f"More than one column could be the label: {_list(candidates)}.", remedy
    )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
