"""What each column is: the label, a feature of some kind, or something that is left out, and why.

Told from a sample of the rows. docs/datasets.md has the same rules for users.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Any
from urllib.parse import quote as percent_encoded

from pipeline.errors import Refusal
from pipeline.run import dataset_of
from pipeline.schema import FEATURE_ROLES, Column, Role, Schema
from pipeline.settings import Settings
from pipeline.transform import FALSE, LARGEST, TRUE
from tabular.layout import Layout
from tabular.numbers import NumberFormat, is_missing

LABEL_NAMES = frozenset(
    {
        *("label", "labels", "class", "classes", "target", "y", "outcome", "response"),
        *("diagnosis", "species", "variety", "classification", "ground_truth", "groundtruth"),
        *("survived", "churn", "churned", "attrition", "exited", "fraud", "is_fraud", "isfraud"),
        *("spam", "is_spam", "klasse", "zielvariable", "classe", "clase", "etiqueta"),
    }
)
"""What labels are called, in any case."""

ID_WORDS = frozenset(
    {
        *("id", "ids", "uid", "pid", "uuid", "guid", "identifier", "ssn", "unnamed"),
        *("rowid", "rownum", "rownumber", "rownames", "rowname"),
    }
)
"""Words in the names of columns that identify rows."""

ID_NAMES = frozenset(
    {"index", "idx", "key", "pk", "hash", "serial", "sno", "srno", "no", "nr", "#"}
)
"""Whole names of such columns, in any case."""

ID_ENDINGS = frozenset({"number", "num", "no", "nr", "key", "code", "index"})
"""Words at the end of such a name, if all values differ as well."""

MAX_CATEGORIES = 20
_FREQUENT = 0.01
"""Share of the rows that makes a category frequent; two rows at least."""

_MOSTLY = 0.5
_NEARLY_ALL = 0.9
_NUMBERS = 0.95
"""Share of a column's values that make it one of numbers; rows with the others are set aside."""

_WORDS_FOR_MISSING = 2
"""Different words that may stand in a column of numbers for missing ones."""

_MOST_CLASSES = 1000

_MOST_VALUES_OF_A_LABEL = 20
"""Whole numbers that a column may hold to be taken for the label unasked."""

_FEWEST_ROWS = 10
"""In fewer rows a column may count up, or have no value twice, by chance."""

_SHOWN = 10

_DATES = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%m/%d/%y", "%d-%b-%Y")
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2})?( ?[APap][Mm])?")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass(frozen=True)
class Sample:
    """Rows that columns are told by: the first ones, and others from all over the file."""

    first: Sequence[Sequence[str]]
    others: Sequence[Sequence[str]] = ()
    is_whole: bool = True


@dataclass(frozen=True)
class Table:
    """A file's columns: all of them, the label, and the features in the model's order."""

    columns: tuple[Column, ...]
    label: str
    features: tuple[str, ...]
    delimiter: str

    @property
    def places(self) -> dict[str, int]:
        """The place of each column in a row."""
        return {column.name: place for place, column in enumerate(self.columns)}

    def of_role(self, *roles: Role) -> list[int]:
        """Return the places of the features with one of some roles, in the model's order."""
        places = self.places
        return [places[n] for n in self.features if self.columns[places[n]].role in roles]


class _Values:
    """The values of a column in the sample."""

    def __init__(self, place: int, sample: Sample) -> None:
        self._first = [row[place].strip() for row in sample.first]
        self._is_whole = sample.is_whole
        everything = [*self._first, *(row[place].strip() for row in sample.others)]
        self.rows = len(everything)
        self.present = [value for value in everything if not is_missing(value)]

    @property
    def missing_share(self) -> float:
        return 1 - len(self.present) / max(self.rows, 1)

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(self.present)

    @property
    def distinct_share(self) -> float:
        return len(self.counts) / max(len(self.present), 1)

    @cached_property
    def whole(self) -> list[int] | None:
        """The values as whole numbers; None if they aren't."""
        parse = NumberFormat().parse
        numbers = [parse(value) for value in self._first if not is_missing(value)]
        if not numbers or None in numbers:
            return None
        if not all(number.is_integer() for number in numbers if number is not None):
            return None
        return [int(number) for number in numbers if number is not None]

    def counts_rows(self) -> bool:
        """Whether the first values go up or down in steps of one; or are 1 to n in any order."""
        numbers = self.whole
        if numbers is None or len(numbers) < _FEWEST_ROWS or len(numbers) < len(self._first):
            return False
        steps = Counter(b - a for a, b in pairwise(numbers))
        ordered = all(step > 0 for step in steps) or all(step < 0 for step in steps)
        if ordered and max(steps[1], steps[-1]) >= _NEARLY_ALL * (len(numbers) - 1):
            return True
        if not self._is_whole:
            return False
        return min(numbers) in (0, 1) and sorted(numbers) == list(
            range(min(numbers), min(numbers) + len(numbers))
        )

    def restarts(self) -> bool:
        """Whether the first values go up in steps of one, over and over again."""
        numbers = self.whole or []
        up = sum(b - a == 1 for a, b in pairwise(numbers))
        return len(numbers) >= _FEWEST_ROWS and up >= _NEARLY_ALL * (len(numbers) - 1)

    def share(self, holds: Callable[[str], object]) -> float:
        """Return the share of the present values, by rows, that something holds for."""
        good = sum(count for value, count in self.counts.items() if holds(value))
        return good / max(len(self.present), 1)


def infer_columns(
    layout: Layout, sample: Sample, settings: Settings, live: Schema | None, uri: str
) -> Table:
    """Return the columns, which of them is the label, and the features in the model's order.

    Parameters
    ----------
    live
        The schema of the dataset's live model: its label is remembered, its features come first and
        keep their roles.
    uri
        The object's, for commands that settle what is ambiguous.

    Raises
    ------
    Refusal
        There is no row, no label or no feature; the label is ambiguous; a column is not there that
        the settings name; or the live model has a feature that the file lacks.
    """
    names = layout.names
    if not sample.first:
        raise Refusal(
            "NoRows",
            "The file has a header and no row.",
            "Upload a file with at least two rows of each of at least two classes.",
        )
    settings = _named(settings, names)
    values = [_Values(place, sample) for place in range(len(names))]
    style = _style(values, settings, layout.delimiter)
    columns = [
        _told(name, each, settings, live, style) or _column(name, each, style)
        for name, each in zip(names, values, strict=True)
    ]
    label = _label(columns, values, settings, live, uri)
    columns = [
        Column(each.name, Role.LABEL, why) if each.name == label[0] else each
        for each in columns
        for why in [label[1]]
    ]
    features = _features(columns, settings, live)
    if not features:
        raise Refusal(
            "NoFeatures",
            f'No column beside the label "{_shown(label[0])}" can be learned from: '
            + "; ".join(f'"{_shown(c.name)}" {c.reason}' for c in columns[:_SHOWN] if c.name)
            + ".",
            "Add a column of numbers, of true and false, or of a few words that recur; then upload "
            "the file again.",
        )
    used = {*features, label[0]}
    columns = [
        replace(each, role=Role.IGNORED, reason="is not among the features of the settings")
        if each.role in FEATURE_ROLES and each.name not in used
        else each
        for each in columns
    ]
    return Table(tuple(columns), label[0], tuple(features), layout.delimiter)


def _named(settings: Settings, names: Sequence[str]) -> Settings:
    """Return the settings with columns named as the file does, whatever the case.

    Raises
    ------
    Refusal
        A column is not there.
    """

    def name_of(setting: str, asked: str) -> str:
        if asked in names:
            return asked
        alike = [name for name in names if name.lower() == asked.lower()]
        if len(alike) == 1:
            return alike[0]
        raise Refusal(
            "MissingColumn",
            f'The setting "{setting}" names a column "{_shown(asked)}", which the file doesn\'t '
            f"have; its columns are {_list(names)}.",
            "Correct the setting or the file's header, and upload the file again.",
        )

    changes: dict[str, Any] = {
        setting: name_of(setting, asked)
        for setting in ("label", "group", "time")
        if (asked := getattr(settings, setting)) is not None
    }
    changes |= {
        setting: tuple(name_of(setting, asked) for asked in getattr(settings, setting))
        for setting in ("features", "categories")
    }
    # A column that isn't there is left out as asked.
    ignored = {asked.lower() for asked in settings.ignore}
    ignore = tuple(name for name in names if name.lower() in ignored)
    return replace(settings, **changes, ignore=ignore)


# ------------------------------------------------------------------------------- one column


def _told(
    name: str, values: _Values, settings: Settings, live: Schema | None, style: NumberFormat
) -> Column | None:
    """Return what the settings or the live model say of a column, if they do."""
    if name in settings.ignore:
        return Column(name, Role.IGNORED, "is left out as the settings ask")
    for setting in ("group", "time"):
        if getattr(settings, setting) == name and name not in settings.features:
            return Column(name, Role.IGNORED, f"is what the split goes by ({setting})")
    if name in settings.categories:
        return Column(name, Role.CATEGORY, "is a category as the settings say")
    if live and name in live.features and name != settings.label:
        return _as_before(name, live.column(name).role, values, settings, style)
    if name in settings.features:
        found = _column(name, values, style)
        if found.role in FEATURE_ROLES:
            return found
        if (number := _number(name, values, style)) is not None:
            return replace(number, reason="is a feature as the settings say")
        return Column(name, Role.CATEGORY, "is a feature as the settings say")
    return None


def _as_before(
    name: str, role: Role, values: _Values, settings: Settings, style: NumberFormat
) -> Column:
    """Return a feature of the live model in its role, or what it has become instead."""
    why = "is a feature of the live model"
    if not values.present or role is Role.CATEGORY:
        return Column(name, role, why)
    if role is Role.BOOLEAN and values.share(_is_boolean) >= _NUMBERS:
        return Column(name, role, why)
    if role is Role.NUMBER and (number := _number(name, values, style)) is not None:
        return replace(number, reason=why)
    return _column(name, values, style)


def _column(name: str, values: _Values, style: NumberFormat) -> Column:
    """Return what a column is by its name and values."""
    if not values.present:
        return Column(name, Role.EMPTY, "has no value at all")
    different = len(values.counts)
    number = _number(name, values, style)
    if identifier := _identifier(name, values, is_text=number is None):
        return Column(name, Role.IDENTIFIER, identifier)
    if not name:
        return Column(name, Role.IGNORED, "has no name")
    if different == 1 and (values.missing_share == 0 or number):
        only = _shown(values.present[0])
        return Column(name, Role.CONSTANT, f'has the value "{only}" in every row')
    if values.missing_share > _MOSTLY:
        return Column(name, Role.EMPTY, f"is missing in {values.missing_share:.0%} of the rows")
    if different > 1 and values.share(_is_boolean) == 1:
        return Column(name, Role.BOOLEAN, "holds true and false")
    if number is not None:
        return number
    if date := _date(values):
        return Column(name, Role.DATE, date)
    frequent = _frequent(values)
    if frequent:
        rest = different - len(frequent)
        rare = f", and {rest:,} rare ones that count as one" if rest else ""
        return Column(name, Role.CATEGORY, f"has {len(frequent)} frequent values{rare}")
    return Column(
        name, Role.TEXT, f"has {different:,} different texts in {len(values.present):,} rows"
    )


def _identifier(name: str, values: _Values, *, is_text: bool) -> str:
    """Return why a column identifies rows, or an empty text if it doesn't."""
    if values.counts_rows():
        return "counts the rows"
    if not (is_text or values.whole is not None) or values.rows < _FEWEST_ROWS:
        return ""
    different, share = len(values.counts), values.distinct_share
    words = [word.lower() for word in _WORD.findall(name)]
    if not name and share >= _NEARLY_ALL:
        return "names the rows"
    if ID_WORDS.intersection(words) or name.lower() in ID_NAMES:
        if share >= _NEARLY_ALL or values.restarts():
            return f'is called "{name}" and numbers or names the rows'
        if different > MAX_CATEGORIES and share > 0.1:
            return (
                f'is called "{name}" and has {different:,} different values; if rows with the same '
                'value belong together, name it as the "group"'
            )
    if words and words[-1] in ID_ENDINGS and share == 1:
        return f'is called "{name}" and all values differ'
    if is_text and share >= _NEARLY_ALL and not _date(values):
        return f"has {different:,} different texts in {len(values.present):,} rows"
    long = share >= _NEARLY_ALL and values.share(lambda v: v.isdecimal() and len(v) > 15) == 1
    return "holds long whole numbers, nearly all different" if long else ""


def _is_boolean(value: str) -> bool:
    return value.lower() in TRUE or value.lower() in FALSE


def _frequent(values: _Values) -> list[str]:
    """Return the frequent values of a category, or none if they are too few of the rows."""
    fewest = max(2, _FREQUENT * len(values.present))
    frequent = [v for v, count in values.counts.most_common(MAX_CATEGORIES) if count >= fewest]
    rows = sum(values.counts[value] for value in frequent)
    return frequent if rows >= _MOSTLY * len(values.present) else []


def _date(values: _Values) -> str:
    if values.share(_is_iso) >= _NUMBERS:
        return 'holds dates; to hold out the latest rows, name it as the "time"'
    if values.share(_is_date) >= _NUMBERS:
        return "holds dates or times, which no distance is taken of"
    return ""


def _is_iso(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return len(value) >= 8 and not value.isdecimal()


def _is_date(value: str) -> bool:
    if _is_iso(value) or _TIME_OF_DAY.fullmatch(value):
        return True
    for written in _DATES:
        try:
            datetime.strptime(value.partition(" ")[0], written)
        except ValueError:
            continue
        return True
    return False


# ------------------------------------------------------------------------------- numbers


def _style(values: Sequence[_Values], settings: Settings, delimiter: str) -> NumberFormat:
    """Return how the file writes numbers: with a decimal comma if a column shows one.

    Where a comma separates fields, ``1,234`` in quotes shows nothing, but ``1,5`` does.
    """
    if settings.decimal or settings.thousands:
        return NumberFormat(settings.decimal or ".", settings.thousands)
    comma = NumberFormat(",", ".")
    shows = re.compile(r"[^.]*,\d*" if delimiter != "," else r"[^,]*,(\d{1,2}|\d{4,})")
    for each in values:
        if each.share(shows.fullmatch) and each.share(_parses(comma)) >= _NUMBERS:
            return comma
    return NumberFormat()


def _number(name: str, values: _Values, style: NumberFormat) -> Column | None:
    """Return a column of numbers, or None if its values are others."""
    for each in _formats(style):
        share = values.share(_parses(each))
        if not each.dressed and _MOSTLY <= share < _NUMBERS:
            # A word or two in place of numbers stand for missing ones: "-", "unknown".
            words = [value for value in values.counts if each.parse(value) is None]
            if len(words) <= _WORDS_FOR_MISSING:
                each, share = replace(each, missing=tuple(words)), 1
        if share < (1 if each.dressed else _NUMBERS):
            continue
        numbers = [abs(each.parse(value) or 0.0) for value in values.counts]
        if (largest := max(number for number in numbers if number == number)) > LARGEST:
            why = f"has numbers up to {largest:.3g}, too large for a 32-bit float"
            return Column(name, Role.IGNORED, why)
        reason = "holds amounts or percentages" if each.dressed else "holds numbers"
        if each.missing:
            reason += f", and {_list(each.missing)} where there is none"
        written = {k: v for k, v in asdict(each).items() if v != getattr(NumberFormat(), k)}
        return Column(name, Role.NUMBER, reason, written or None)
    return None


def _parses(written: NumberFormat) -> Callable[[str], bool]:
    return lambda value: written.parse(value) is not None


def _formats(style: NumberFormat) -> list[NumberFormat]:
    grouped = style.thousands or "," if style.decimal == "." else style.thousands
    dressed = replace(style, thousands=grouped, dressed=True)
    return [style, dressed] if style == NumberFormat() else [style, dressed, NumberFormat()]


# ------------------------------------------------------------------------------- label, features


def _label(
    columns: Sequence[Column],
    values: Sequence[_Values],
    settings: Settings,
    live: Schema | None,
    uri: str,
) -> tuple[str, str]:
    """Return the label's column, and how it was found."""
    by_name = dict(zip((column.name for column in columns), values, strict=True))
    if settings.label:
        if not by_name[settings.label].present:
            raise Refusal(
                "EmptyLabel",
                f'The label, column "{settings.label}", has no value at all.',
                "Name another column as the label, or fill this one in.",
            )
        return settings.label, "is the label as the settings say"
    if live and by_name.get(live.label) and by_name[live.label].present:
        return live.label, "is the label of the live model"
    possible = [
        column
        for column in columns
        if column.name not in settings.features and _may_be_label(column, by_name[column.name])
    ]
    named = [column for column in possible if column.name.lower() in LABEL_NAMES]
    texts = [column for column in possible if column.role is not Role.NUMBER]
    few = [c for c in possible if len(by_name[c.name].counts) <= _MOST_VALUES_OF_A_LABEL]
    for found, why in (
        (named, "is called as labels are"),
        (texts, "is the only column that can be the label"),
        (few if not texts else [], "is the only column that can be the label"),
    ):
        if len(found) == 1:
            return found[0].name, why
        if found:
            raise _ambiguous([column.name for column in found], uri)
    measured = [column for column in columns if column.name.lower() in LABEL_NAMES]
    if measured and measured[0].role is Role.NUMBER:
        name = measured[0].name
        raise Refusal(
            "ContinuousLabel",
            f'The label seems to be column "{name}", which holds measured numbers rather than '
            f"classes: {len(by_name[name].counts):,} different ones in "
            f"{len(by_name[name].present):,} rows.",
            "A classifier needs classes. Put words for ranges in place of the numbers, such as "
            f'"low" and "high"; or {_command(measured[0].name, uri)}',
        )
    candidates = [c.name for c in columns if c.name and c.role not in (Role.EMPTY, Role.CONSTANT)]
    raise Refusal(
        "NoLabel",
        "No column can be told to be the label: "
        + "; ".join(f'"{_shown(c.name)}" {c.reason}' for c in columns[:_SHOWN] if c.name)
        + ".",
        "Say which column is the label: " + _command((candidates or ["NAME"])[-1], uri),
    )


def _may_be_label(column: Column, values: _Values) -> bool:
    """Whether a column may be the label though nobody says so."""
    different = len(values.counts)
    if column.role in (Role.BOOLEAN, Role.CATEGORY):
        return different > 1
    if column.role is Role.NUMBER:
        whole = values.whole is not None
        return whole and 1 < different <= _MOST_CLASSES and 2 * different <= len(values.present)
    if column.role is Role.TEXT:
        return different <= _MOST_CLASSES and 2 * different <= len(values.present)
    return False


def _ambiguous(names: Sequence[str], uri: str) -> Refusal:
    return Refusal(
        "AmbiguousLabel",
        f"More than one column could be the label: {_list(names)}.",
        f"Say which one it is. If it is {_shown(names[-1])}: {_command(names[-1], uri)}",
    )


def _command(name: str, uri: str) -> str:
    """Return the commands that upload the file again with a label."""
    key = uri.removeprefix("s3://").partition("/")[2]
    file = shlex.quote(key.rpartition("/")[2])
    dataset = f" --dataset {dataset_of(key)}" if "/" in key else ""
    metadata = shlex.quote(f"label={percent_encoded(name, safe=' ._-()/')}")
    return (
        f"python -m cli drop {file}{dataset} --label {shlex.quote(name)}   or   "
        f"aws s3 cp {file} {shlex.quote(uri)} --metadata {metadata}"
    )


def _features(columns: Sequence[Column], settings: Settings, live: Schema | None) -> list[str]:
    """Return the features in the model's order: the settings', or the live model's and new ones."""
    if settings.features:
        names = list(settings.features)
    else:
        found = [column.name for column in columns if column.role in FEATURE_ROLES]
        known = [name for name in live.features if name in found] if live else []
        names = [*known, *(name for name in found if name not in known)]
    if live and not settings.allow_changes:
        _check_compatible(columns, names, live)
    return names


def _check_compatible(columns: Sequence[Column], names: Sequence[str], live: Schema) -> None:
    by_name = {column.name: column for column in columns}
    for name in live.features:
        if name not in by_name:
            what = f'the file lacks the column "{_shown(name)}"'
        elif name not in names:
            what = f'the column "{_shown(name)}" {by_name[name].reason}'
        elif by_name[name].role is not live.column(name).role:
            was, now = live.column(name).role, by_name[name].role
            what = f'the column "{_shown(name)}" was of the type {was} and is now {now}'
        else:
            continue
        raise Refusal(
            "IncompatibleFeatures",
            f"The live model uses {len(live.features):,} features, but {what}. Clients that send "
            "them would break.",
            "Add the column to the file and upload it again; or accept the change with "
            "--allow-changes (metadata allow-changes=true).",
        )
    if list(names[: len(live.features)]) != list(live.features):
        raise Refusal(
            "IncompatibleFeatures",
            "The settings name the features in another order than that of the live model, "
            f"{_list(live.features)}. Clients that send lists would break.",
            "Name them in this order, or accept the change with --allow-changes "
            "(metadata allow-changes=true).",
        )


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{_shown(name)}"' for name in names[:_SHOWN] if name)
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
