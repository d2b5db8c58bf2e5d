"""A stratified, seeded split in one pass, exact for each class."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence


def held_out_counts(class_counts: Sequence[int], test_fraction: float) -> list[int]:
    """Return how many rows of each class are held out.

    The total is rounded up, as scikit-learn's ``train_test_split`` does, and goes to the classes
    by largest remainder, the lower class first among equals. Each class has at least one row on
    either side, if need be against the total.

    Parameters
    ----------
    class_counts
        Rows of each class; each at least 2.
    test_fraction
        Share of the rows to hold out, above 0 and below 1.
    """
    total = math.ceil(sum(class_counts) * test_fraction)
    shares = [count * test_fraction for count in class_counts]
    held_out = [math.floor(share) for share in shares]
    by_remainder = sorted(
        range(len(shares)), key=lambda index: (held_out[index] - shares[index], index)
    )
    for index in by_remainder[: total - sum(held_out)]:
        held_out[index] += 1
    return [
        min(max(held, 1), count - 1) for held, count in zip(held_out, class_counts, strict=True)
    ]


def split(
    labels: Iterable[int], class_counts: Sequence[int], held_out: Sequence[int], seed: int
) -> Iterator[bool]:
    """Yield for each row in order whether it is held out for the test.

    Selection sampling within each class: every subset of the wanted size is equally likely, and
    the sizes come out exact. Source: D. E. Knuth, "The Art of Computer Programming", vol. 2,
    3.4.2, algorithm S.
    """
    draw = random.Random(seed)
    left = list(class_counts)
    wanted = list(held_out)
    for label in labels:
        chosen = draw.random() * left[label] < wanted[label]
        left[label] -= 1
        wanted[label] -= chosen
        yield chosen
