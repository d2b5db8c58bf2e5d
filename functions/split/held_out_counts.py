"""How many rows of each class are held out."""

from __future__ import annotations

import math
from collections.abc import Sequence


def held_out_counts(
    class_counts: Sequence[int], test_fraction: float, max_test_rows: int
) -> list[int]:
    """Return how many rows of each class are held out.

    The total is rounded up, as scikit-learn's ``train_test_split`` does, and goes to the classes
    by largest remainder, the lower class first among equals. Each class that has rows has at least
    one on either side, if need be against the total.

    Parameters
    ----------
    class_counts
        Rows of each class; none, or at least 2.
    test_fraction
        Share of the rows to hold out, above 0 and below 1.
    max_test_rows
        Rows that are held out at the most: more of them would not tell more.
    """
    rows = sum(class_counts)
    total = held_out_total(rows, test_fraction, max_test_rows)
    shares = [count * total / rows for count in class_counts]
    if total == math.ceil(rows * test_fraction):
        shares = [count * test_fraction for count in class_counts]
    held_out = [math.floor(share) for share in shares]
    by_remainder = sorted(
        range(len(shares)), key=lambda index: (held_out[index] - shares[index], index)
    )
    for index in by_remainder[: total - sum(held_out)]:
        held_out[index] += 1
    return [
        min(max(held, 1), count - 1) if count else 0
        for held, count in zip(held_out, class_counts, strict=True)
    ]


def held_out_total(rows: int, test_fraction: float, max_test_rows: int) -> int:
    """Return how many of some rows are held out, at least one and not all."""
    return max(min(math.ceil(rows * test_fraction), max_test_rows, rows - 1), 1)
