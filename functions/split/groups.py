"""Groups of rows, each to stay on one side of the split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Refusal
from tabular.words import mixed

_MOST_BUCKETS = 1 << 20
_CELLS = 1 << 23
"""Counters of groups and classes in memory at once."""


def bucket_count(classes: int) -> int:
    """Return into how many buckets groups fall; two in one bucket stay together."""
    most = min(_CELLS // max(classes, 1), _MOST_BUCKETS)
    return 1 << (most.bit_length() - 1)


def choose_groups(counts: NDArray[np.int64], wanted: Sequence[int], seed: int) -> NDArray[np.bool_]:
    """Return which groups are held out.

    Groups come up in random order, each is held out if that brings the held-out rows of the
    classes nearer to those that are wanted. A class that would then have no row on one side gets
    its smallest group there that others can spare. Every class has rows to train on, and rows to
    test on unless that would take another's last ones.

    Parameters
    ----------
    counts
        Rows of each class in each group, (groups, classes).

    Raises
    ------
    Refusal
        All rows are on one side, or the training rows are of one class.
    """
    filled = np.flatnonzero(counts.any(axis=1))
    order = filled[np.argsort(mixed(filled.astype(np.uint64) ^ np.uint64(seed % 2**64)))]
    content = {
        group: [
            (label, int(counts[group, label])) for label in np.flatnonzero(counts[group]).tolist()
        ]
        for group in filled.tolist()
    }
    lacking = list(wanted)
    chosen: set[int] = set()
    for group in order.tolist():
        of_group = content[group]
        before = sum(abs(lacking[label]) for label, _ in of_group)
        if sum(abs(lacking[label] - count) for label, count in of_group) < before:
            chosen.add(group)
            for label, count in of_group:
                lacking[label] -= count
    _Moves(content, chosen).give_each_class_both_sides()
    learned = {label for g, of_group in content.items() if g not in chosen for label, _ in of_group}
    if not chosen or len(learned) < 2:
        raise Refusal(
            "TooFewGroups",
            f"The rows are in {len(content):,} groups, which can't be put on two sides with at "
            "least two classes to train on and a row to test on.",
            'Name a column with more groups as the "group", or none; if equal rows are to stay on '
            "one side, upload a file with more different rows.",
        )
    held_out = np.zeros(len(counts), np.bool_)
    held_out[sorted(chosen)] = True
    return held_out


class _Moves:
    """Moves groups, each with its rows by class, from one side to the other: `chosen` or not."""

    def __init__(self, content: dict[int, list[tuple[int, int]]], chosen: set[int]) -> None:
        self._content = content
        self._chosen = chosen
        self._of_class: dict[int, list[int]] = {}
        for group, of_group in content.items():
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
