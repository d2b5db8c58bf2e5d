"""Groups of rows, each to stay on one side of the split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Refusal
from tabular.words import mixed

_BUCKETS_A_ROW = 1 << 10
_MOST_BUCKETS = 1 << 20
_CELLS = 1 << 23
"""Counters of groups and classes in memory at once."""


def bucket_count(rows: int, classes: int) -> int:
    """Return into how many buckets the groups of rows fall; two in one bucket stay together."""
    most = min(rows * _BUCKETS_A_ROW, _MOST_BUCKETS, _CELLS // classes)
    return 1 << (most.bit_length() - 1)


def choose_groups(counts: NDArray[np.int64], wanted: Sequence[int], seed: int) -> NDArray[np.bool_]:
    """Return which groups are held out, by their rows of each class, (groups, classes).

    Groups come up in random order, each is held out if that brings the held-out rows of the
    classes nearer to those that are wanted. A class that would then have no row on one side gets
    its smallest group there that others can spare. Every class has rows to train on, and rows to
    test on unless that would take another's last ones.

    Raises a `Refusal` if all rows are on one side, or the training rows are of one class.
    """
    filled = np.flatnonzero(counts.any(axis=1))
    order = filled[np.argsort(mixed(filled.astype(np.uint64) ^ np.uint64(seed % 2**64)))]
    groups = counts[order]
    held_out = np.zeros(len(groups), np.bool_)
    lacking = np.array(wanted)
    for place, group in enumerate(groups):
        if np.abs(lacking - group).sum() < np.abs(lacking).sum():
            held_out[place] = True
            lacking -= group
    _give_each_class_both_sides(groups, held_out)
    if not held_out.any() or np.count_nonzero(groups[~held_out].any(axis=0)) < 2:
        raise Refusal(
            "TooFewGroups",
            f"The rows form {len(groups):,} groups. We can't split these so that at least two "
            "classes are left to train on, and a row to test on.",
            'Name a column with more groups as the "group", or none; if equal rows are to stay on '
            "one side, upload a file with more different rows.",
        )
    chosen = np.zeros(len(counts), np.bool_)
    chosen[order[held_out]] = True
    return chosen


def _give_each_class_both_sides(groups: NDArray[np.int64], held_out: NDArray[np.bool_]) -> None:
    """Move groups until each class is on both sides, or on one that it can't be moved from."""
    has, rows = groups > 0, groups.sum(axis=1)
    # Groups of each class on either side: first training, then held out.
    sides = np.stack([has[~held_out].sum(axis=0), has[held_out].sum(axis=0)])

    def move_one(label: int, to: int, *, must: bool) -> None:
        """Move the smallest group of a class that no class on its side has as its last one."""
        found = np.flatnonzero(has[:, label])
        spared = found[(~has[found] | (sides[1 - to] > 1)).all(axis=1)]
        if not len(spared) and must:
            spared = found
        if len(spared):
            group = spared[rows[spared].argmin()]
            held_out[group] = bool(to)
            sides[to] += has[group]
            sides[1 - to] -= has[group]

    # Those to the training must be, so they come first: what a class loses by them may be found.
    present = np.flatnonzero(has.any(axis=0)).tolist()
    for label in present:
        if not sides[0, label]:
            move_one(label, 0, must=True)
    for label in present:
        if not sides[1, label]:
            move_one(label, 1, must=False)
