"""A uniform sample of fixed size from a stream of unknown length, in one pass."""

from collections.abc import Iterable

import numpy as np

from embedded_aws.knn.rows import Batch, Matrix, Vector

SEED = 0


def reservoir_sample(batches: Iterable[Batch], sample_size: int) -> tuple[Matrix, Vector]:
    """Keep ``min(n, sample_size)`` of n rows, each equally likely, in memory for no more.

    While the data is not larger than the sample, order is kept. The seed is fixed, so that the
    same data gives the same model. Algorithm R: J. S. Vitter, "Random sampling with a
    reservoir" (1985).

    Returns ``(m, d) float32`` features and ``(m,) float32`` labels; ``(0, 0)`` without data.
    """
    random = np.random.default_rng(SEED)
    features = np.empty((0, 0), np.float32)
    labels = np.empty(0, np.float32)
    filled, seen = 0, 0
    for x, y in batches:
        take = min(sample_size - filled, len(x))
        if filled + take > len(features):
            # Grown by half: sample_size may be far larger than the data.
            room = min(sample_size, max(len(features) * 3 // 2, filled + take))
            features = grown(features, filled, (room, x.shape[1]))
            labels = grown(labels, filled, (room,))
        features[filled : filled + take] = x[:take]
        labels[filled : filled + take] = y[:take]
        filled += take
        if take < len(x):
            position = np.arange(seen + take, seen + len(x))
            slot = random.integers(0, position + 1)
            kept = np.flatnonzero(slot < sample_size)
            # A slot drawn twice within a batch keeps the later row, as one by one.
            features[slot[kept]] = x[take + kept]
            labels[slot[kept]] = y[take + kept]
        seen += len(x)
    return features[:filled], labels[:filled]


def grown(array: Matrix, filled: int, shape: tuple[int, ...]) -> Matrix:
    """A larger array that begins with what the smaller one holds."""
    larger = np.empty(shape, np.float32)
    if filled:
        larger[:filled] = array[:filled]
    return larger
