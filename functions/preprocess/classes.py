"""The classes of a dataset and their integers, which stay the same from one run to the next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.decimals import padded
from pipeline.errors import Refusal
from pipeline.numbers import plain_number
from pipeline.words import hashed, words_of

MAX_CLASSES = 1000
"""Beyond this a column is no label but a number or a name, and its confusion matrix no help."""

_MAX_NAMES = 300_000
"""Bytes that the names of a dataset's classes may have together: they are one attribute of an item
of DynamoDB, which holds 400 KB. Source: DynamoDB developer guide, "Quotas"."""

_MAX_BYTES = 64
"""Labels up to this long are looked up many at a time."""

_FEW = 8
"""Classes that are compared one after the other sooner than looked up by a hash."""

_MAX_STRANGE = 64
"""Texts that are no class, looked at in one block before the rest is left to the slow way."""


def class_order(names: Iterable[str]) -> list[str]:
    """Return new classes in the order of their integers: by value if all are integers."""
    names = list(names)
    try:
        return sorted(names, key=lambda name: (int(name), name))
    except ValueError:
        return sorted(names)


def are_measured(names: Collection[str]) -> bool:
    """Whether classes are numbers that measure: all are numbers, and not all of them whole."""
    numbers = [plain_number(name) for name in names]
    return None not in numbers and not all(float(number or 0).is_integer() for number in numbers)


def check_classes(names: Sequence[str], label: str) -> None:
    """Raise a `Refusal` if a dataset may not have all these classes in its column `label`."""
    if len(names) > MAX_CLASSES:
        raise Refusal(
            "TooManyClasses",
            f'The label, column "{label}", has more than {MAX_CLASSES:,} classes, earlier files\' '
            f'among them; "{names[MAX_CLASSES][:80]}" is one too many.',
            "Check which column is the label, and name it in schema.json: numbers that measure, "
            "and free text, are no classes. Other classes are another dataset: drop the file "
            "under another name. If an earlier file was wrong, python -m cli forget "
            "forgets its classes.",
        )
    if (size := sum(len(name.encode()) for name in names)) > _MAX_NAMES:
        raise Refusal(
            "LongClasses",
            f'The names of the {len(names):,} classes of column "{label}" have {size:,} bytes '
            f"together, more than {_MAX_NAMES:,}.",
            "Give the classes shorter names, and drop the file again.",
        )


class Classes:
    """Labels, each with an id in the order in which it was met, and with an integer.

    Known classes have their integers from the start; `settle` gives them to new ones, so that the
    rows of a block can be written as soon as it is read. `label` is the name of their column.
    """

    def __init__(self, known: Sequence[str] = (), label: str = "label") -> None:
        self._known = tuple(known)
        self._label = label
        self._ids = {name: identity for identity, name in enumerate(known)}
        self._integers = list(range(len(known)))
        self.first_line: dict[str, int] = {}
        # By id: hash and words of labels that can be told from their bytes.
        self._remembered: dict[int, tuple[int, list[int]]] = {}
        for name, identity in self._ids.items():
            data = name.encode()
            at = np.zeros(1, np.intp)
            if len(data) <= _MAX_BYTES:
                self._remember(list(words_of(padded(data), at, at + len(data))), 0, identity)

    @property
    def names(self) -> list[str]:
        """The classes by id."""
        return list(self._ids)

    @property
    def integers(self) -> list[int]:
        """The integer of each id that is settled."""
        return self._integers

    def id_of(self, name: str) -> int:
        """Return the id of a class, which is a new one if it is met for the first time.

        Raises
        ------
        Refusal
            It would be one more than `MAX_CLASSES`.
        """
        if name not in self._ids:
            if len(self._ids) >= MAX_CLASSES:
                check_classes([*self._ids, name], self._label)
            self._ids[name] = len(self._ids)
        return self._ids[name]

    def note_lines(self, ids: NDArray[np.intp], line_of: Callable[[int], int]) -> None:
        """Keep the line of the first row of each class.

        Parameters
        ----------
        ids
            The ids of rows, in the file's order; -1 is none.
        line_of
            The line of a row, by its place in `ids`.
        """
        present = np.bincount(ids + 1, minlength=len(self._ids) + 1)[1:] > 0
        for name, is_present in zip(self.names, present.tolist(), strict=True):
            if is_present and name not in self.first_line:
                self.first_line[name] = line_of(int((ids == self._ids[name]).argmax()))

    def settle(self) -> None:
        """Give the next integers to the classes that have none yet, in class order."""
        settled = len(self._integers)
        new = self.names[settled:]
        following = {name: settled + place for place, name in enumerate(class_order(new))}
        self._integers += [following[name] for name in new]

    def in_order(self) -> list[str]:
        """Return the classes as they should be: known ones first, then new ones in class order."""
        return [*self._known, *class_order(self.names[len(self._known) :])]

    def are_in_order(self) -> bool:
        """Whether the integers that were given are those of `in_order`."""
        return self.are_as_in(self.in_order())

    def are_as_in(self, order: Sequence[str]) -> bool:
        """Whether the integers that were given are the places in a list."""
        given = zip(self.names, self._integers, strict=True)
        return all(order[integer] == name for name, integer in given)

    def ids_of(
        self,
        block: NDArray[np.uint8],
        starts: NDArray[np.intp],
        ends: NDArray[np.intp],
        *,
        among: NDArray[np.bool_],
        is_class: Callable[[str], bool],
    ) -> NDArray[np.intp]:
        """Return the id of each label in a padded block, -1 where its bytes alone don't tell.

        Parameters
        ----------
        among
            The rows that count; the others get -1.
        is_class
            Whether a label that is met for the first time may be a class.
        """
        lengths = ends - starts
        ids = np.full(len(starts), -1, np.intp)
        if len(self._remembered) <= _FEW:
            self._try_each(block, starts, lengths, ids)
            ids[~among] = -1
        open_ = among & (ids == -1) & (lengths > 0) & (lengths <= _MAX_BYTES)
        if not open_.any():
            return ids
        starts, ends = starts * open_, ends * open_
        words = list(words_of(block, starts, ends))
        hashes = hashed(words)
        self._look_up(hashes, words, ids, open_)
        open_ &= ids == -1
        strange = 0
        while strange < _MAX_STRANGE and open_.any():
            first = int(open_.argmax())
            same = open_ & (hashes == hashes[first])
            for word in words:
                same &= word == word[first]
            name = block[int(starts[first]) : int(ends[first])].tobytes().decode()
            if name == name.strip() and is_class(name):
                ids[same] = self.id_of(name)
                self._remember(words, first, int(ids[first]))
            else:
                strange += 1
            open_ &= ~same
        return ids

    def _try_each(
        self,
        block: NDArray[np.uint8],
        starts: NDArray[np.intp],
        lengths: NDArray[np.intp],
        ids: NDArray[np.intp],
    ) -> None:
        """Fill in ids by comparing with one label after the other, where there are few."""
        eight = np.ndarray((len(block) - 7,), "<u8", block, 0, (1,))
        loaded: dict[int, NDArray[np.uint64]] = {}
        for identity, (_, (length, *kept)) in self._remembered.items():
            same = lengths == length
            for place, word in enumerate(kept[: -(-length // 8)]):
                if place not in loaded:
                    loaded[place] = eight[starts + 8 * place]
                left = min(length - 8 * place, 8)
                same &= (loaded[place] & np.uint64((1 << 8 * left) - 1)) == word
            # Where nothing is the same this adds nothing: faster than to choose.
            ids += same * np.intp(identity + 1)

    def _look_up(
        self,
        hashes: NDArray[np.uint64],
        words: Sequence[NDArray[np.uint64]],
        ids: NDArray[np.intp],
        open_: NDArray[np.bool_],
    ) -> None:
        """Fill in the ids of open rows by the hashes of their labels."""
        if not self._remembered:
            return
        known = sorted(self._remembered.items(), key=lambda item: item[1][0])
        table = np.array([digest for _, (digest, _) in known], np.uint64)
        place = np.minimum(np.searchsorted(table, hashes), len(table) - 1)
        found = table[place] == hashes
        for at, word in enumerate(words):
            column = [kept[at] if at < len(kept) else 0 for _, (_, kept) in known]
            found &= np.array(column, np.uint64)[place] == word
        found &= open_
        ids[found] = np.array([identity for identity, _ in known], np.intp)[place[found]]

    def _remember(self, words: Sequence[NDArray[np.uint64]], at: int, identity: int) -> None:
        digest = int(hashed([word[at : at + 1] for word in words])[0])
        if all(digest != other for other, _ in self._remembered.values()):
            self._remembered[identity] = (digest, [int(word[at]) for word in words])
