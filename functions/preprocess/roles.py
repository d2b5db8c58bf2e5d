"""What each column is, and why, by a sample of the rows; docs/datasets.md has the same rules."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent_encoded

from pipeline.errors import Refusal
from pipeline.layout import dataset_of
from pipeline.schema import FEATURE_ROLES, Column, Role, Schema
from pipeline.settings import Settings
from pipeline.transform import FALSE, LARGEST, TRUE
from pipeline.wording import percent
from preprocess.labels import MAX_CLASSES, NO_LABEL
from preprocess.settings import check_settings
from tabular.layout import Layout, shown
from tabular.numbers import MAX_NUMBER, MISSING, NumberFormat

_NAMES = json.loads(Path(__file__).with_name("names.json").read_text())

LABEL_NAMES = frozenset(_NAMES["labels"])
"""What labels are called, in any case, with a space or a hyphen as good as an underscore."""

THINGS = frozenset(_NAMES["things"])
"""What is numbered: a column of whole numbers, nearly all different, may be called so as well."""

ID_WORDS = {*_NAMES["id_words"], *(f"{thing}id" for thing in THINGS)}
"""Words in the names of columns that identify rows."""

ID_NAMES = frozenset(_NAMES["id_names"])
"""Whole names of such columns, in any case."""

ID_ENDINGS = tuple(_NAMES["id_endings"])
"""How such names end if all values differ as well."""

MAX_CATEGORIES = 20
_FREQUENT = 0.01
"""Share of the rows that makes a value of a category frequent; two rows at least."""

_MOSTLY = 0.5
_NEARLY_ALL = 0.9
_NUMBERS = 0.95
"""Share of a column's values that make it one of numbers; rows with the others are set aside."""

_MOST_VALUES_OF_A_LABEL = 20
"""Numbers that a column may hold to be taken for the label, if its name doesn't say so."""

_WORDS = {Role.BOOLEAN, Role.CATEGORY, Role.TEXT}
_LABELS = _WORDS | {Role.NUMBER, Role.CONSTANT, Role.EMPTY}
"""What a column may be by its values, to be the label by its name."""

_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3(\d{4}|\d{2})"
    r"|\d{1,2}(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(\d{4}|\d{2})"
    r"|\d{1,2}[-. ]+[^\W\d]{3,9}\.?[-, ]+(\d{4}|\d{2})|[^\W\d]{3,9}\.? \d{1,2},? \d{4})?"
    r"[ T]?(\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[ap]\.?m\.?)?)?(Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?")
_BOOLEANS = [{"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"}]
_MARK = re.compile(r"[-–—.*/_ ]+|#[A-Z/0]+[!?]")
"""What stands for a missing number: a dash or a point, or an error of Excel's such as #DIV/0!."""

_GROUPED = re.compile(r"\D*[1-9]\d{0,2}(,\d{3})+\D*")

_SHOWN = 10


class _Values:
    """The values of a column in a sample of the rows, and how often each is there.

    `written` says how they are written as numbers, None if they aren't; `numbers` is what they are.
    """

    def __init__(
        self,
        name: str,
        texts: Sequence[str],
        counts: Counter[str],
        formats: Sequence[NumberFormat],
    ) -> None:
        self.name = name
        self.texts = texts
        self.written, self.numbers = _written(counts, formats)
        words = self.written.missing if self.written else ()
        self.counts = Counter({v: n for v, n in counts.items() if v not in words})
        self.present = self.counts.total()
        self.missing_share = 1 - self.present / len(texts)
        self.distinct_share = len(self.counts) / max(self.present, 1)

    @cached_property
    def are_whole(self) -> bool:
        """Whether there are numbers, and all are whole; a row of totals may have a word instead."""
        return bool(self.numbers) and all(map(float.is_integer, self.numbers.values()))

    @cached_property
    def steps(self) -> list[float]:
        """From each number to the next, in the file's order."""
        numbers = [self.numbers[text] for text in self.texts if text in self.numbers]
        return [b - a for a, b in pairwise(numbers)]

    @cached_property
    def are_dates(self) -> bool:
        """Whether they are dates or times."""
        return self.share(_DATE.fullmatch) >= _NUMBERS

    @property
    def format(self) -> dict[str, Any] | None:
        """How numbers are written, as far as that isn't plain."""
        plain = asdict(NumberFormat())
        written = asdict(self.written or NumberFormat())
        return {name: field for name, field in written.items() if field != plain[name]} or None

    def share(self, holds: Callable[[str], object]) -> float:
        """Return the share of the values, by rows, that something holds for."""
        return _rows(self.counts, holds) / max(self.present, 1)


def _rows(counts: Counter[str], holds: Callable[[str], object]) -> int:
    return sum(count for value, count in counts.items() if holds(value))


def infer_columns(
    layout: Layout,
    rows: Sequence[Sequence[str]],
    settings: Settings,
    live: Schema | None,
    uri: str,
) -> tuple[Schema, Settings]:
    """Return the table's columns by a sample of its rows, and the settings with what was found out.

    The schema has no classes yet: these are known when all rows have been read. Of the `live` model
    the label is remembered; its features come first and keep their roles. The object's `uri` is for
    commands that settle what is ambiguous.
    """
    names = layout.names
    if not rows:
        raise Refusal(
            "NoRows",
            f"The file has a header of {len(names):,} columns, but no row has as many fields.",
            "Check the delimiter and the rows. A file needs at least two classes with two "
            "rows each.",
        )
    settings = _named(settings, names)
    texts = [list(map(str.strip, column)) for column in zip(*rows, strict=True)]
    counts = [Counter(column) for column in texts]
    counts = [Counter({t: n for t, n in c.items() if t.lower() not in MISSING}) for c in counts]
    formats = _formats(counts, settings, layout.delimiter)
    values = [_Values(*each, formats) for each in zip(names, texts, counts, strict=True)]
    columns = [_column(each, settings, live) for each in values]
    label, why = _label(columns, values, settings, live, uri)
    columns = [Column(label, Role.LABEL, why) if c.name == label else c for c in columns]
    features = _features(columns, settings, live)
    if not features:
        raise Refusal(
            "NoFeatures",
            f'No column beside the label "{shown(label)}" is usable as a feature: {_why(columns)}',
            "Add a column of numbers, of true and false, or of a few recurring words. Then upload "
            "the file again.",
        )
    unused = {c.name for c in columns if c.role in FEATURE_ROLES}.difference(features)
    why = "is not among the features of the settings"
    columns = [
        replace(c, role=Role.IGNORED, reason=why) if c.name in unused else c for c in columns
    ]
    found: dict[str, Any] = {"label": label, "features": features, "delimiter": layout.delimiter}
    categories = tuple(column.name for column in columns if column.role is Role.CATEGORY)
    table = Schema(classes=(), columns=tuple(columns), **found)
    return table, replace(settings, categories=categories, **found)


def _named(settings: Settings, names: Sequence[str]) -> Settings:
    """Return the settings with columns named as the file does, whatever the case."""
    changes: dict[str, Any] = {}
    for setting in ("label", "group", "time"):
        if (asked := getattr(settings, setting)) is not None:
            changes[setting] = _found(setting, asked, names)[0]
    for setting in ("features", "categories", "ignore"):
        found = [_found(setting, asked, names) for asked in getattr(settings, setting)]
        changes[setting] = tuple(chain.from_iterable(found))
    settings = replace(settings, **changes)
    check_settings(settings)
    return settings


def _found(setting: str, asked: str, names: Sequence[str]) -> Sequence[str]:
    """Return the column that a setting names; one that is to be left out need not be there."""
    alike = [asked] if asked in names else [n for n in names if n.lower() == asked.lower()]
    if len(alike) == 1 or setting == "ignore":
        return alike
    close = get_close_matches(asked, names, n=1)
    hint = f' Do you mean "{shown(close[0])}"?' if close else ""
    raise Refusal(
        "MissingColumn",
        f'The setting "{setting}" names a column "{shown(asked)}", but the file has none. '
        f"Its columns are {_list(names)}.{hint}",
        "Correct the setting or the file's header, and upload the file again.",
    )


def _column(values: _Values, settings: Settings, live: Schema | None) -> Column:
    """Return what a column is by the settings, by the live model, or else by what is in it."""
    name = values.name
    if name in settings.ignore:
        return Column(name, Role.IGNORED, "is left out as the settings ask")
    for setting in ("group", "time"):
        if name == getattr(settings, setting) and name not in settings.features:
            why = f"is what the split goes by ({setting})"
            return Column(name, Role.IGNORED, why, values.format)
    if name in settings.categories:
        return Column(name, Role.CATEGORY, "is a category as the settings say")
    role, why = _inferred(values)
    if live and name in live.features and name != settings.label:
        fits = {
            Role.NUMBER: values.written is not None and role is not Role.IGNORED,
            Role.BOOLEAN: values.share(lambda v: v.lower() in TRUE | FALSE | {"0", "1"}) == 1,
            Role.CATEGORY: True,
        }
        was = live.column(name).role
        if values.present and fits[was]:
            number = values.format if was is Role.NUMBER else None
            return Column(name, was, "is a feature of the live model", number)
    if name in settings.features and not values.present:
        raise Refusal(
            "EmptyFeature",
            f'The column "{shown(name)}", which the settings name as a feature, is empty.',
            "Fill in the column, or remove it from the setting features. Then upload the "
            "file again.",
        )
    if name in settings.features and role not in FEATURE_ROLES:
        role = Role.NUMBER if values.numbers else Role.CATEGORY
        why = "is a feature as the settings say"
    return Column(name, role, why, values.format if role is Role.NUMBER else None)


def _inferred(values: _Values) -> tuple[Role, str]:
    """Return what a column is by its name and values, and why."""
    different = len(values.counts)
    if not different:
        return Role.EMPTY, "has no value at all"
    if values.missing_share > _MOSTLY:
        return Role.EMPTY, f"is missing in {percent(values.missing_share, 0)} of the rows"
    if identifier := _identifier(values.name, values):
        return Role.IDENTIFIER, identifier
    if not values.name:
        return Role.IGNORED, "has no name"
    # A word that isn't always there says something by being there; a number doesn't.
    if different == 1 < values.present and (values.missing_share == 0 or values.numbers):
        (only,) = values.counts
        return Role.CONSTANT, f'has the value "{shown(only)}" in every row'
    if values.written:
        largest = max(map(abs, values.numbers.values()))
        too_large = {v for v, number in values.numbers.items() if abs(number) > LARGEST}
        if values.share(too_large.__contains__) > 1 - _NUMBERS:
            return Role.IGNORED, f"has numbers up to {largest:.3g}, too large for a 32-bit float"
        words = values.written.missing
        besides = f", and {_list(words)} where there is none" if words else ""
        what = "amounts or percentages" if values.written.dressed else "numbers"
        return Role.NUMBER, f"holds {what}{besides}"
    if {value.lower() for value in values.counts} in _BOOLEANS:
        return Role.BOOLEAN, "holds true and false"
    if values.are_dates:
        how = "" if values.share(_ISO.fullmatch) >= _NUMBERS else "written as 2026-11-30 "
        return Role.DATE, f'holds dates or times; {how}the split can go by them ("time")'
    if frequent := _frequent(values.counts):
        rest = different - len(frequent)
        rare = f", and {rest:,} rare ones that count as one" if rest else ""
        return Role.CATEGORY, f"has {len(frequent)} frequent values{rare}"
    texts = f"has {different:,} different texts in {values.present:,} rows"
    return Role.TEXT, f"{texts}, too many for a category"


def _identifier(name: str, values: _Values) -> str:
    """Return why a column identifies rows, or an empty text if it doesn't."""
    is_text = not values.written
    # In fewer rows a column may count up, or have no value twice, by chance.
    if values.present < 10 or not (is_text or values.are_whole):
        return ""
    if _counts_rows(values):
        return "counts the rows"
    different, share = len(values.counts), values.distinct_share
    nearly_all = share >= _NEARLY_ALL
    if not name and nearly_all:
        return "names the rows"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\W_]+", " ", name).lower().split()
    if ID_WORDS.intersection(words) or name.lower() in ID_NAMES:
        starts_anew = sum(step == 1 for step in values.steps) >= _NEARLY_ALL * (values.present - 1)
        if nearly_all or starts_anew:
            return f'is called "{name}" and numbers or names the rows'
        if different > MAX_CATEGORIES and share > 0.1:
            return (
                f'is called "{name}" and has {different:,} different values; if rows with the same '
                'value belong together, name it as the "group"'
            )
    if (words and words[-1].endswith(ID_ENDINGS) and share == 1) or (
        name.lower() in THINGS and nearly_all
    ):
        return f'is called "{name}" and its values differ'
    if is_text and nearly_all and not values.are_dates:
        of_all = sum(n * len(value.split()) for value, n in values.counts.items())
        if of_all <= 6 * values.present:
            return f"has {different:,} different texts in {values.present:,} rows"
    digits = [value.lstrip("+") for value in values.counts] if nearly_all else [""]
    lengths = {len(each) if each.isdecimal() else 0 for each in digits}
    if min(lengths) >= (10 if len(lengths) == 1 else 16):
        return "holds long whole numbers, nearly all different"
    return ""


def _counts_rows(values: _Values) -> bool:
    """Whether whole numbers go up or down by one mostly, or none comes twice where some should.

    Of n numbers that are drawn from a range of r, about n * n / 2r pairs are equal, or more. Where
    that makes ten, there is none once in 20,000 times.
    """
    if not values.are_whole or values.distinct_share < 1:
        return False
    numbers, steps = values.numbers.values(), values.steps
    in_order = min(steps) > 0 or max(steps) < 0
    if in_order and 2 * sum(abs(step) == 1 for step in steps) >= len(steps):
        return True
    count, reach = len(numbers), max(numbers) - min(numbers) + 1
    return reach == count or count * count >= 2 * 10 * reach


def _frequent(counts: Counter[str]) -> list[str]:
    """Return the frequent values of a category, or none if they are too few of the rows."""
    fewest = max(2, _FREQUENT * counts.total())
    frequent = [v for v, count in counts.most_common(MAX_CATEGORIES) if count >= fewest]
    enough = sum(counts[value] for value in frequent) >= _MOSTLY * counts.total()
    return frequent if enough else []


def _formats(
    columns: Sequence[Counter[str]], settings: Settings, delimiter: str
) -> list[NumberFormat]:
    """Return the ways in which a file may write numbers, the plainest first."""
    if settings.decimal or settings.thousands:
        decimal = settings.decimal or ("," if settings.thousands == "." else ".")
        plain = [NumberFormat(decimal, settings.thousands)]
    elif any(_shows_decimal_comma(counts, delimiter) for counts in columns):
        plain = [NumberFormat(",", "."), NumberFormat(",", " "), NumberFormat()]
    else:
        plain = [NumberFormat(), *(NumberFormat(".", mark) for mark in ", '")]
    return [*plain, *(replace(each, dressed=True) for each in plain)]


def _shows_decimal_comma(counts: Counter[str], delimiter: str) -> bool:
    """Whether numbers have a decimal comma: ``1,5`` has one, ``1,234`` may group thousands.

    Between commas, where numbers with one need quotes, most of a column must have it.
    """
    if all(_GROUPED.fullmatch(value) for value in counts if "," in value):
        return False
    # Words and marks in place of numbers say nothing.
    total = _rows(counts, lambda v: re.search(r"\d", v) and not _MARK.fullmatch(v))
    if delimiter == "," and 2 * _rows(counts, lambda value: "," in value) < total:
        return False
    formats = (NumberFormat(",", mark, dressed=True) for mark in ". ")
    read = (sum(counts[value] for value in _read(list(counts), each)) for each in formats)
    return any(rows >= _NUMBERS * max(total, 1) for rows in read)


def _written(
    counts: Counter[str], formats: Sequence[NumberFormat]
) -> tuple[NumberFormat | None, dict[str, float]]:
    """Return how values are written as numbers, and their numbers; None if they are others.

    It is the way that reads most. A word or two in place of numbers stand for missing ones, such as
    ``-`` or ``unknown``. Beside a few numbers that recur only a dash or a point does: a word makes
    all of them categories.
    """
    best, numbers, good, total = NumberFormat(), dict[str, float](), 0, counts.total()
    for each in formats:
        if good < total and (found := _read(list(counts), each)):
            rows = sum(counts[value] for value in found)
            best, numbers, good = (each, found, rows) if rows > good else (best, numbers, good)
    if 0 < good < total:
        odd = Counter({value: count for value, count in counts.items() if value not in numbers})
        marks = [value for value in odd if _MARK.fullmatch(value)]
        words = [v for v, n in odd.items() if v in marks or (n > 1 and not re.search(r"\d", v))]
        are_few = good < _NUMBERS * total and len(_frequent(counts - odd)) == len(numbers)
        if len(words) <= 2 and (words == marks or not are_few):
            best, total = replace(best, missing=tuple(words)), total - sum(odd[w] for w in words)
    return (best, numbers) if good >= _NUMBERS * max(total, 1) else (None, {})


def _read(texts: Sequence[str], written: NumberFormat) -> dict[str, float]:
    """Return the number that each text is, where it is one; none if none of the first 100 is."""
    if all(written.parse(text) is None for text in texts[:100]):
        return {}
    # Most columns have nothing but plain numbers, which Python reads much faster.
    mark, longest = written.decimal, max(map(len, texts))
    if longest <= MAX_NUMBER and re.fullmatch(rf"[0-9eE+\-{mark}]*", "".join(texts)):
        try:
            return {text: float(text.replace(mark, ".")) for text in texts}
        except ValueError:
            pass
    found = ((text, written.parse(text)) for text in texts)
    return {text: number for text, number in found if number is not None}


def _label(
    columns: Sequence[Column],
    values: Sequence[_Values],
    settings: Settings,
    live: Schema | None,
    uri: str,
) -> tuple[str, str]:
    """Return the label's column, and how it was found."""
    if settings.label:
        return settings.label, "is the label as the settings say"
    by_name = {each.name: each for each in values}
    if live and live.label in by_name:
        return live.label, "is the label of the live model"
    others = [c for c in columns if c.name and c.name not in settings.features]
    roles = {c.name: c.role for c in others}
    filled = [name for name in roles if roles[name] in _LABELS and by_name[name].present]
    named = [name for name in filled if re.sub(r"[\W_]+", "_", name.lower()) in LABEL_NAMES]
    # Beside an x, a y may be a coordinate.
    sure = [name for name in named if name not in "yY" or not {"x", "X"}.intersection(by_name)]
    classes = [name for name in filled if _has_classes(by_name[name])]
    words = [name for name in classes if roles[name] in _WORDS]
    numbers = [by_name[name] for name in classes if roles[name] is Role.NUMBER]
    few = [v for v in numbers if v.are_whole and len(v.counts) <= _MOST_VALUES_OF_A_LABEL]
    # A last column of two numbers is as likely the label as one of words.
    last = [v.name for v in few if v.name == columns[-1].name and len(v.counts) == 2]
    found = (
        [name for name in sure if name in classes]
        or [name for name in sure if roles[name] is Role.NUMBER]
        or (words and words + last)
        or [name for name in named if name in classes]
        or [each.name for each in few]
        or sure
    )
    if live and not settings.allow_changes:
        found, what = [], f'the file lacks "{shown(live.label)}", which the live model predicts.'
    else:
        what = _why(others)
    if len(found) == 1:
        is_named = found[0] in named
        why = "is called as labels are" if is_named else "is the only column that can be the label"
        return found[0], why
    code, what = "NoLabel", f"We could not find the label column: {what}"
    could = found or filled or ["NAME"]
    if found:
        code, what = "AmbiguousLabel", f"More than one column could be the label: {_list(could)}."
    which = _with_commands(could[-1], uri)
    raise Refusal(code, what, f"Tell us which column is the label. If it is {which}")


def _has_classes(values: _Values) -> bool:
    """Whether a column has few values, which recur."""
    labels = Counter(values.texts)
    for text in NO_LABEL:
        del labels[text]
    most = _MOST_VALUES_OF_A_LABEL if values.written and not values.are_whole else MAX_CLASSES
    return 1 < len(labels) <= most and 2 * len(labels) <= labels.total()


def _with_commands(name: str, uri: str) -> str:
    """Return a column's name, and lines with the commands that upload the file with it as label.

    Reports show lines that begin with four spaces so that they can be pasted.
    """
    key = uri.removeprefix("s3://").partition("/")[2]
    file = shlex.quote(key.rpartition("/")[2])
    dataset = f" --dataset {dataset_of(key)}" if "/" in key else ""
    metadata = shlex.quote(f"label={percent_encoded(name, safe=' ._-()/')}")
    return (
        f'"{shown(name)}", with either of:\n'
        f"    knn drop {file}{dataset} --label {shlex.quote(name)}\n"
        f"    aws s3 cp {file} {shlex.quote(uri)} --metadata {metadata}"
    )


def _features(
    columns: Sequence[Column], settings: Settings, live: Schema | None
) -> tuple[str, ...]:
    """Return the features in the model's order: the settings', or the live model's and new ones."""
    names = settings.features
    if not names:
        found = dict.fromkeys(c.name for c in columns if c.role in FEATURE_ROLES)
        known = [name for name in (live.features if live else ()) if name in found]
        names = tuple(dict.fromkeys([*known, *found]))
    if live and not settings.allow_changes:
        _check_compatible(columns, names, live)
    return names


def _check_compatible(columns: Sequence[Column], names: Sequence[str], live: Schema) -> None:
    """Refuse a file whose model would break clients of the live one."""
    by_name = {column.name: column for column in columns}
    for place, name in enumerate(live.features):
        column, was = by_name.get(name), live.column(name).role
        if column is None:
            what = f'the file lacks the column "{shown(name)}"'
        elif column.role not in FEATURE_ROLES:
            what = f'the column "{shown(name)}" {column.reason}'
        elif column.role is not was:
            what = f'the column "{shown(name)}" was of the type {was} and is now {column.role}'
        elif name not in names[place : place + 1]:
            what = f"the settings name others, or in another order: {_list(live.features)}"
        else:
            continue
        raise Refusal(
            "IncompatibleFeatures",
            f"The live model uses {len(live.features):,} features, but {what}. Clients that send "
            "them would break.",
            "Fix this and upload the file again. Or accept the change: upload it with "
            "--allow-changes (metadata allow-changes=true).",
        )


def _why(columns: Sequence[Column]) -> str:
    told = [f'"{shown(c.name)}" {c.reason}' for c in columns if c.name and c.role != Role.LABEL]
    return "; ".join(told[:_SHOWN]) + ("; and so on." if len(told) > _SHOWN else ".")


def _list(names: Sequence[str]) -> str:
    first = ", ".join(f'"{shown(name)}"' for name in names[:_SHOWN] if name)
    return first if len(names) <= _SHOWN else f"{first} and {len(names) - _SHOWN} more"
