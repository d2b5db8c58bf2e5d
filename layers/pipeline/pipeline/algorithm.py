"""All that is specific to SageMaker's built-in k-NN: hyperparameters, answers, and the vote.

The state machine's substitution ``Algorithm`` has its image, content type and metric. Sources:
SageMaker developer guide, "k-NN Hyperparameters" and "k-NN inference formats".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.settings import AUTO, Settings

ACCEPT = "application/json; verbose=true"

NEIGHBOR_BYTES = 32
"""Of a neighbour in an answer: a label and a distance of up to twenty digits."""

FLAT_ROWS = 400_000
"""Up to so many rows an index compares a request with all of them; more take an inverted file."""

_SHARE_OF_MEMORY = 0.4
"""Of an endpoint's memory for the index: it is unpacked and copied as it is loaded."""

SQUARED = True
"""Whether an endpoint's `distances` are squared. AWS doesn't say. Its k-NN is built on faiss, whose
L2 distances are (faiss wiki, "MetricType and distances"). If they weren't, a vote by distance would
weigh a neighbour by the root of what it should: docs/model.md has what that costs."""


class Neighbors(NamedTuple):
    """The neighbours of a row, the nearest first: their labels, and their distances."""

    labels: list[float]
    distances: list[float]


def hyperparameters(
    choice: Mapping[str, Any], feature_dim: int, rows: int, settings: Settings, sizes: Sequence[str]
) -> dict[str, str]:
    """Return what to train with on so many rows of `feature_dim` numbers.

    `sizes` are the memory of the endpoint and of the training job, as `memory_mb` takes them.
    """
    return {
        "predictor_type": "classifier",
        "k": str(choice["k"]),
        "feature_dim": str(feature_dim),
        "index_metric": choice["metric"],
        **index_of(rows, feature_dim, settings, min(map(memory_mb, sizes))),
    }


def indexed_rows(rows: int, settings: Settings) -> int:
    """Return how many of the training rows can be neighbours; k must not be greater."""
    return rows if settings.sample_size == AUTO else min(rows, int(settings.sample_size))


def index_of(rows: int, width: int, settings: Settings, memory_mb: int) -> dict[str, str]:
    """Return the hyperparameters that tell which index is built of so many training rows.

    The endpoint has so much memory; the model sees `width` numbers of a row.
    """
    # 32-bit floats: those of a row, and its label.
    most = int(_SHARE_OF_MEMORY * memory_mb * 2**20 / (4 * (width + 1)))
    size = most if settings.sample_size == AUTO else int(settings.sample_size)
    indexed = min(rows, size)
    kind = settings.index_type
    if kind == AUTO:
        kind = "faiss.Flat" if indexed <= FLAT_ROWS else "faiss.IVFFlat"
    return {"sample_size": str(indexed), "index_type": kind}


def sizes_for(
    endpoint_kind: str | None, serverless: str, instance: str, training: str
) -> tuple[str, ...]:
    """Return the memory of what an index has to fit, where the kind of endpoint is known or not."""
    if endpoint_kind is None:
        return serverless, instance, training
    return serverless if endpoint_kind == "serverless" else instance, training


def memory_mb(size: str) -> int:
    """Return megabytes of memory: those that are given, or what an instance type has at least.

    Source: Amazon EC2 instance types: a ``large`` has 2 vCPUs, an ``xlarge`` 4, a ``2xlarge`` 8,
    and compute-optimised ones, which have the least, 2 GiB for each.
    """
    if size.isdecimal():
        return int(size)
    times = re.fullmatch(r"ml\.[^.]+\.(\d*)(x?)large", size)
    if times is None:
        return 4096
    return 4096 if not times[2] else 8192 * int(times[1] or 1)


def parse_answer(answer: bytes) -> list[Neighbors]:
    """Return the neighbours in a verbose answer.

    One asked for by a release before 0.2 has but the predicted label: it stands for all neighbours.
    """
    # It reads the many digits of distances three times as fast as the standard library. It is
    # imported here because Split, which asks no endpoint, does without.
    import orjson

    return [
        Neighbors(row["labels"], row["distances"])
        if "labels" in row
        else Neighbors([row["predicted_label"]], [1.0])
        for row in orjson.loads(answer)["predictions"]
    ]


def lengths(distances: Sequence[float]) -> list[float]:
    """Return the distances in an answer as lengths, which squares are not."""
    return [math.sqrt(max(d, 0.0)) for d in distances] if SQUARED else list(distances)


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
    # Mostly all agree, and then weights don't matter.
    if labels.count(labels[0]) == len(labels):
        agreed = int(labels[0])
        return agreed, {agreed: 1.0}
    votes: Sequence[float] = [1.0] * len(labels)
    if weights == "distance":
        roots = lengths(distances)
        votes = [float(r == 0) for r in roots] if not roots[0] else [1 / r for r in roots]
    total: dict[int, float] = {}
    for label, amount in zip(labels, votes, strict=True):
        total[int(label)] = total.get(int(label), 0.0) + amount
    highest = max(total.values()) * (1 - 1e-9)
    # Classes stand in the order of their nearest neighbours.
    winner = next(label for label, amount in total.items() if amount >= highest)
    whole = math.fsum(total.values())
    return winner, {label: amount / whole for label, amount in total.items() if amount}
