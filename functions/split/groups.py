"""Groups of rows, each to stay on one side of the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Refusal
from pipeline.words import mixed

MAX_PAIRS = 4_000_000
"""Pairs of a group and a class that are kept in memory: some 200 MB."""

_COMPACT = 1 << 20


class Groups:
    """How many rows of each class each group has."""

    def __init__(self) -> None:
        # Sorted by group, then class.
        self._groups = np.zeros(0, np.uint64)
        self._labels = np.zeros(0, np.uint16)
        self._rows = np.zeros(0, np.int64)
        self._pending: list[tuple[NDArray[np.uint64], NDArray[np.uint16]]] = []

    def add(self, groups: NDArray[np.uint64], labels: NDArray[np.intp]) -> None:
        """Count rows by the keys of their groups and their classes.

        Raises
        ------
        Refusal
            There are too many groups to keep apart.
        """
        self._pending.append((groups, labels.astype(np.uint16)))
        if sum(len(groups) for groups, _ in self._pending) > max(_COMPACT, len(self._groups)):
            self._compact()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that `merge` needs."""
        self._compact()
        return {"groups": self._groups, "labels": self._labels, "rows": self._rows}

    def merge(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Count what was counted in another part."""
        self._compact()
        self._gather(
            np.concatenate([self._groups, arrays["groups"]]),
            np.concatenate([self._labels, arrays["labels"]]),
            np.concatenate([self._rows, arrays["rows"]]),
        )

    def choose(self, wanted: Sequence[int], seed: int) -> NDArray[np.uint64]:
        """Return the groups that are held out.

        Groups come up in random order, each is held out if that brings the held-out rows of the
        classes nearer to those that are wanted. A class that would then have no row on one side
        gets its smallest group there that others can spare. Every class has rows to train on, and
        rows to test on unless that would take another's last ones.

        Raises
        ------
        Refusal
            All rows are on one side, or the training rows are of one class.
        """
        self._compact()
        first = np.flatnonzero(np.diff(self._groups, prepend=~self._groups[:1]) != 0)
        bounds = [*first.tolist(), len(self._groups)]
        labels, rows = self._labels.tolist(), self._rows.tolist()
        content = [
            list(zip(labels[start:end], rows[start:end], strict=True))
            for start, end in pairwise(bounds)
        ]
        lacking = list(wanted)
        order = np.argsort(mixed(self._groups[first] ^ np.uint64(seed % 2**64)))
        chosen = set()
        for group in order.tolist():
            of_group = content[group]
            before = sum(abs(lacking[label]) for label, _ in of_group)
            if sum(abs(lacking[label] - count) for label, count in of_group) < before:
                chosen.add(group)
                for label, count in of_group:
                    lacking[label] -= count
        _Moves(content, chosen).give_each_class_both_sides()
        self._check(content, chosen)
        return self._groups[first][sorted(chosen)]

    @staticmethod
    def _check(content: Sequence[list[tuple[int, int]]], chosen: set[int]) -> None:
        learned = {
            label
            for group, of_group in enumerate(content)
            if group not in chosen
            for label, _ in of_group
        }
        if not chosen or len(learned) < 2:
            raise Refusal(
                "TooFewGroups",
                f"The rows are in {len(content):,} groups, which can't be put on two sides with at "
                "least two classes to train on and a row to test on.",
                'Name a column with more groups under "group" in schema.json, or leave it out.',
            )

    def _compact(self) -> None:
        if not self._pending:
            return
        groups = np.concatenate([self._groups, *(groups for groups, _ in self._pending)])
        labels = np.concatenate([self._labels, *(labels for _, labels in self._pending)])
        added = sum(len(groups) for groups, _ in self._pending)
        rows = np.concatenate([self._rows, np.ones(added, np.int64)])
        self._pending.clear()
        self._gather(groups, labels, rows)

    def _gather(
        self, groups: NDArray[np.uint64], labels: NDArray[np.uint16], rows: NDArray[np.int64]
    ) -> None:
        order = np.lexsort((labels, groups))
        groups, labels, rows = groups[order], labels[order], rows[order]
        is_first = np.ones(len(groups), np.bool_)
        is_first[1:] = (groups[1:] != groups[:-1]) | (labels[1:] != labels[:-1])
        first = np.flatnonzero(is_first)
        if len(first) > MAX_PAIRS:
            raise Refusal(
                "TooManyGroups",
                f"There are more than {MAX_PAIRS:,} groups.",
                'Name a column with fewer groups under "group" in schema.json, or leave it out: '
                "among so many groups a random split is nearly the same.",
            )
        self._groups, self._labels = groups[first], labels[first]
        self._rows = np.add.reduceat(rows, first) if len(first) else rows


class _Moves:
    """Moves groups, each with its rows by class, from one side to the other: `chosen` or not."""

    def __init__(self, content: Sequence[list[tuple[int, int]]], chosen: set[int]) -> None:
        self._content = content
        self._chosen = chosen
        self._of_class: dict[int, list[int]] = {}
        for group, of_group in enumerate(content):
            for label, _ in of_group:
                self._of_class.setdefault(label, []).append(group)
        self._held_out = {
            label: sum(group in chosen for group in groups)
            for label, groups in self._of_class.items()
        }

    def give_each_class_both_sides(self) -> None:
        """Move groups until each class is on both sides, or on one that it can't be moved from."""
        # No move takes a class's last group off a side, so none undoes another, but for those to
        # the training that must be: they come first, for what is lost then may be found again.
        for label, groups in self._of_class.items():
            if self._held_out[label] == len(groups) and not self._move_one(groups):
                self._move(min(groups, key=self._rows))
        for label, groups in self._of_class.items():
            if not self._held_out[label]:
                self._move_one(groups)

    def _move_one(self, groups: Sequence[int]) -> bool:
        """Move the smallest group that can be spared where it is, if there is one."""
        spared = filter(self._can_be_spared, groups)
        group = min(spared, key=self._rows, default=None)
        if group is None:
            return False
        self._move(group)
        return True

    def _can_be_spared(self, group: int) -> bool:
        return all(self._beside(group, label) for label, _ in self._content[group])

    def _beside(self, group: int, label: int) -> int:
        """Return how many other groups of a class are on a group's side."""
        held_out = self._held_out[label]
        return (held_out if group in self._chosen else len(self._of_class[label]) - held_out) - 1

    def _move(self, group: int) -> None:
        was_held_out = group in self._chosen
        (self._chosen.remove if was_held_out else self._chosen.add)(group)
        for label, _ in self._content[group]:
            self._held_out[label] += -1 if was_held_out else 1

    def _rows(self, group: int) -> int:
        return sum(count for _, count in self._content[group])
