"""Rows in batches that an endpoint takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipeline.transform import Transform

MAX_BYTES = 1024 * 1024
"""Well under the 4 MB that a serverless endpoint takes, the least of the three kinds.
Source: SageMaker developer guide, "Serverless endpoints: feature limits" and "InvokeEndpoint"."""

MAX_ROWS = 10_000
"""Narrow rows grow in the answer: a prediction takes 25 bytes of JSON, whatever the row."""


@dataclass
class Batch:
    """Held-out rows: the true classes, the features as they were written, and as they are asked."""

    labels: list[int] = field(default_factory=list)
    features: list[list[str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def body(self) -> bytes:
        """The request's body: ``text/csv`` without label and header."""
        return "".join(self.lines).encode()


def batches(
    lines: Iterable[str],
    transform: Transform | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    max_rows: int = MAX_ROWS,
) -> Iterator[Batch]:
    """Yield label-first lines as batches of at most so many bytes and rows, one row at least."""
    batch = Batch()
    for line in lines:
        label, *features = line.rstrip("\n").split(",")
        asked = ",".join(transform.apply(features) if transform else features) + "\n"
        if batch.lines and (batch.size + len(asked) > max_bytes or len(batch.lines) == max_rows):
            yield batch
            batch = Batch()
        batch.labels.append(int(label))
        batch.features.append(features)
        batch.lines.append(asked)
        batch.size += len(asked)
    if batch.lines:
        yield batch
