"""From clean rows to those to train on and those held out, and how the model measures distances."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.transform import Transform
from split.choose import Choice, choose
from split.duplicates import Duplicates
from split.encode import Encoder, fit_encodings
from split.plan import Plan, State
from split.rows import LabelledRows, Lines, Reader


class Sink(Protocol):
    """Takes the bytes of an object."""

    def write(self, data: bytes, /) -> object:
        """Add to the object."""


def choose_by_sample(
    plan: Plan, state: State, sample: Sequence[Mapping[str, Any]]
) -> tuple[Choice, Transform]:
    """Return what was chosen, by the training rows in a sample of all rows.

    Parameters
    ----------
    sample
        The rows of ``clean/sample.json``.
    """
    schema, settings = plan.schema, plan.settings
    labelled = [row for row in sample if schema.class_of(row["label"]) >= 0]
    text = "".join(f"{row['text']}\n" for row in labelled).encode()
    found = list(Reader(schema).read([text]))
    # Their places in the whole file are known, not those in the sample.
    places = iter(np.split(np.array([r["place"] for r in labelled]), _ends(found)))
    sides = plan.sides(state)
    training = [~sides.held_out(f.rows, f.labels, next(places)) for f in found]
    chosen = np.concatenate(training)
    texts = [row["text"] for row, is_training in zip(labelled, chosen, strict=True) if is_training]
    fields = csv.reader(texts, delimiter=schema.delimiter, skipinitialspace=True)
    columns = [[field.strip() for field in column] for column in zip(*fields, strict=True)]
    by_name = {name: columns[schema.places[name]] for name in schema.features}
    encodings = fit_encodings(schema, settings, by_name)
    encoder = Encoder(schema, Transform(encodings))
    encoded = [encoder.encoded(f.rows.of(t)) for f, t in zip(found, training, strict=True)]
    labels = np.concatenate([f.labels for f in found])[chosen]
    orders = [plan.order(f) for f in found]
    order = None if orders[0] is None else np.concatenate([o for o in orders if o is not None])
    return choose(
        encodings,
        np.ascontiguousarray(np.concatenate(encoded, axis=1).T),
        labels,
        settings,
        None if order is None else order[chosen],
    )


def _ends(found: Sequence[LabelledRows]) -> NDArray[np.intp]:
    """Return where rows of blocks end when they stand one after the other."""
    return np.cumsum([len(each.labels) for each in found])


def write_part(
    plan: Plan,
    state: State,
    part: int,
    chunks: Iterable[bytes],
    transform: Transform,
    sinks: Sequence[Sink],
    *,
    has_missing: bool,
) -> dict[str, NDArray[Any]]:
    """Write the rows of a part to their sides; return what `plan.merged` needs.

    Parameters
    ----------
    sinks
        Where to write lines to train on, lines to test on, and the latter as they were written.
    has_missing
        Whether a feature may be missing.
    """
    classes = len(plan.class_counts)
    counts = np.zeros((2, classes), np.int64)
    duplicates = Duplicates(plan.rows)
    sides = plan.sides(state)
    lines = Lines(plan.schema, transform, has_missing=has_missing)
    for rows in Reader(plan.schema).read(chunks, plan.before(part)):
        held_out = sides.held_out(rows.rows, rows.labels, rows.places)
        train, test, hashes = lines.of(rows, held_out)
        for sink, text in zip(sinks, (train, test, rows.texts(held_out)), strict=True):
            sink.write(text)
        counts[0] += np.bincount(rows.labels[~held_out], minlength=classes)
        counts[1] += np.bincount(rows.labels[held_out], minlength=classes)
        duplicates.add(hashes, held_out)
    return {"sides": counts, **duplicates.arrays()}
