"""Records that SageMaker trains on, read and written by what is no part of Split or Validate."""

from __future__ import annotations

import io

import numpy as np

from embedded.tests.unit.knn.test_recordio import dense_records
from embedded_aws.knn.recordio import read_record_batches


def rows_in(records: bytes) -> list[tuple[float, ...]]:
    """The rows of records, the class first."""
    batches = read_record_batches(io.BytesIO(records), "train.pbr")
    return [(y, *x) for xs, ys in batches for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]


def as_records(lines: bytes) -> bytes:
    """The records of lines of CSV that have the class first."""
    table = np.loadtxt(io.BytesIO(lines), np.float32, delimiter=",", ndmin=2)
    return dense_records(table[:, 1:], table[:, 0])
