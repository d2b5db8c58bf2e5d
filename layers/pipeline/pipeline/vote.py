"""The vote of the nearest neighbours on a row's class."""

from __future__ import annotations

import math
from collections.abc import Sequence

SQUARED = True
"""Whether an endpoint's `distances` are squared. AWS doesn't say. Its k-NN is built on faiss, whose
L2 distances are (faiss wiki, "MetricType and distances"). If they weren't, a vote by distance would
weigh a neighbour by the root of what it should: docs/model.md has what that costs."""


def vote(
    labels: Sequence[float], distances: Sequence[float], weights: str
) -> tuple[int, dict[int, float]]:
    """Return the class that a row's neighbours vote for, and the share of the vote of each class.

    With ``uniform`` weights each neighbour has one vote; with ``distance`` it has one over its
    distance, and if some are at no distance only they vote. A tie goes to the class of the nearest
    neighbour among those that tie. Source: scikit-learn user guide, "Nearest Neighbors
    Classification", `weights`.

    Labels and distances are those of the neighbours, the nearest first, as endpoints give them.
    """
    votes: Sequence[float] = [1.0] * len(labels)
    if weights == "distance":
        roots = [math.sqrt(max(d, 0.0)) for d in distances] if SQUARED else distances
        votes = [float(r == 0) for r in roots] if not roots[0] else [1 / r for r in roots]
    total: dict[int, float] = {}
    for label, amount in zip(labels, votes, strict=True):
        total[int(label)] = total.get(int(label), 0.0) + amount
    highest = max(total.values()) * (1 - 1e-9)
    # Classes stand in the order of their nearest neighbours.
    winner = next(label for label, amount in total.items() if amount >= highest)
    whole = math.fsum(total.values())
    return winner, {label: amount / whole for label, amount in total.items() if amount}
