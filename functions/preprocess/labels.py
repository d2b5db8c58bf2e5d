"""The labels of a file, and the classes that they spell."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Refusal
from tabular.numbers import plain_number
from tabular.words import Vocabulary, places_within

MAX_CLASSES = 1000
"""Beyond this a column is no label but a number or a name, and its confusion matrix no help."""

MAX_LABEL = 256
"""Characters of a label; a longer one is a text, and no class."""

_FEW = 100
"""Rows whose places in their classes are faster counted one by one than those of all rows."""

_MAX_SPELLINGS = 4 * MAX_CLASSES
_MAX_NAMES = 300_000
"""Bytes that the names of a dataset's classes may have together: they are one attribute of an item
of DynamoDB, which holds 400 KB. Source: DynamoDB developer guide, "Quotas"."""

UNLABELLED = "missing label"
"""The kind of reject that a row without a label is."""

NO_LABEL = {
    *("", "?", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "None", "NULL", "null"),
    *("<NA>", "#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}
"""What pandas reads as missing, and in this case only: "none" may well be a class."""


def class_key(label: str) -> str:
    """Return what spellings of one class share: ``1`` and ``1.0``, ``red`` and ``Red``."""
    number = plain_number(label)
    if number is not None and abs(number) < 2**53:
        return str(int(number)) if number.is_integer() else repr(number)
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def class_order(names: Iterable[str]) -> list[str]:
    """Return new classes in the order of their integers: by value if all are integers."""
    names = list(names)
    try:
        return sorted(names, key=lambda name: (int(name), name))
    except ValueError:
        return sorted(names)


class Labels:
    """The spellings of a file's labels, numbered as they come up, and the rows of each.

    `allowed` has the keys of the classes that there may be; it is empty if any may.
    """

    def __init__(self, column: str, allowed: frozenset[str]) -> None:
        self.column = column
        self.spellings: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.vocabulary = Vocabulary(self.number_of)
        self._allowed = allowed
        self._classes: dict[str, int] = {}
        self._class_of: list[int] = []

    def number_of(self, label: str) -> int:
        """Return the number of a spelling; -1 if no row may have it."""
        if label not in self.spellings and not self.problem(label):
            number = self._classes.setdefault(class_key(label), len(self._classes))
            if number >= MAX_CLASSES or len(self.spellings) > _MAX_SPELLINGS:
                raise _too_many_classes(self.column, label)
            self._class_of.append(number)
            self.spellings[label] = len(self.spellings)
        return self.spellings.get(label, -1)

    def problem(self, label: str) -> tuple[str, str] | None:
        """Return the kind of reject and the reason, if no row may have this label."""
        if class_key(label) in self._allowed:
            return None
        if label in NO_LABEL:
            return UNLABELLED, "the label is missing"
        if len(label) > MAX_LABEL:
            return "bad label", f"the label is longer than {MAX_LABEL} characters"
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in label):
            return "bad label", "the label holds a line break or a control character"
        if self._allowed:
            return "unknown class", f'"{label}" is not among the classes of the settings'
        return None

    def class_counts(self) -> dict[str, int]:
        """Return the rows of each class, by the key of its spellings."""
        counts = [self.counts[label] for label in self.spellings]
        rows = np.bincount(np.array(self._class_of, np.intp), counts).astype(int).tolist()
        return dict(zip(self._classes, rows, strict=True))

    def places(self, numbers: NDArray[np.intp], some: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return how many rows of its class go before each of some of the next rows.

        `numbers` are those of the next rows' spellings.
        """
        before = np.array(list(self.class_counts().values()), np.intp)
        classes = np.array(self._class_of, np.intp)[numbers]
        if len(some) > _FEW:
            return places_within(classes, before)[0][some]
        counts = [np.count_nonzero(classes[:row] == classes[row]) for row in some.tolist()]
        return before[classes[some]] + counts

    def merge(self, counts: Mapping[str, int]) -> None:
        """Count the rows of each spelling that are kept of what comes next in the file."""
        for label, count in counts.items():
            if count:
                self.number_of(label)
                self.counts[label] += count


@dataclass(frozen=True)
class FileClasses:
    """The classes of a file: rows of each, and the class of each spelling that isn't its name."""

    counts: dict[str, int]
    spellings: dict[str, str]

    def name_of(self, label: str) -> str:
        """Return the class that a label spells."""
        return self.spellings.get(label, label)

    @property
    def single(self) -> list[str]:
        """The classes with a single row."""
        return [name for name, count in self.counts.items() if count == 1]

    @property
    def are_measured(self) -> bool:
        """Whether they are numbers, not all of them whole, of which most come once."""
        numbers = [plain_number(name) for name in self.counts]
        are_whole = all(number.is_integer() for number in numbers if number)
        return None not in numbers and not are_whole and 2 * len(self.single) >= len(numbers)


def file_classes(labels: Labels, known: Sequence[str]) -> FileClasses:
    """Return the classes that a file's labels spell.

    A class goes by its name in `known`, those that the dataset has or the settings list. A new one
    goes by its most frequent spelling, and a whole number is written without a point.
    """
    names = {class_key(name): name for name in reversed(known)}
    by_key: dict[str, list[str]] = {}
    for label in sorted(labels.counts, key=lambda each: (-labels.counts[each], each)):
        by_key.setdefault(class_key(label), []).append(label)
    counts: dict[str, int] = {}
    spellings: dict[str, str] = {}
    for key, (frequent, *others) in by_key.items():
        # 1.0 is written 1, but 007 stays as it is.
        is_whole = plain_number(frequent) is not None and not frequent.isdecimal()
        name = names.get(key) or (key if is_whole and key.lstrip("-").isdecimal() else frequent)
        counts[name] = sum(labels.counts[label] for label in (frequent, *others))
        spellings |= {label: name for label in (frequent, *others) if label != name}
    return FileClasses({name: counts[name] for name in class_order(counts)}, spellings)


def check_classes(names: Collection[str], column: str) -> None:
    """Refuse a file whose dataset would have more classes than it may."""
    if len(names) > MAX_CLASSES:
        raise _too_many_classes(column, list(names)[MAX_CLASSES])
    if (size := sum(len(name.encode()) for name in names)) > _MAX_NAMES:
        raise Refusal(
            "LongClasses",
            f'The names of the {len(names):,} classes of column "{column}" have {size:,} bytes '
            f"together, more than {_MAX_NAMES:,}.",
            "Give the classes shorter names, and upload the file again.",
        )


def _too_many_classes(column: str, label: str) -> Refusal:
    return Refusal(
        "TooManyClasses",
        f'The label, column "{column}", has more than {MAX_CLASSES:,} classes, those of earlier '
        f'files included; "{label[:80]}" is one too many.',
        "Check which column is the label, and name it. A column of measurements or free text has "
        "no classes. If the file has other classes than the dataset's earlier files, upload it "
        "under another name. If an earlier file was wrong, forget its classes: knn "
        "forget DATASET",
    )
