"""The live model of a dataset on the held-out rows of a new one, as far as both are new to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import batched, chain
from typing import Any

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray

from pipeline import layout
from pipeline.algorithm import vote
from pipeline.endpoint import AsyncPredictionFailed
from pipeline.handling import logger
from pipeline.schema import Schema
from pipeline.transform import BadValue, Transform
from validate.features import Features
from validate.files import RunFiles
from validate.held_out import HeldOut, NoAnswerInTime
from validate.metrics import scores

FEWEST_ROWS = 20
MAX_ROWS = 10_000

_MAPPED_AT_ONCE = 500

_NO_ANSWER = (
    *(BotoCoreError, ClientError, OSError, AsyncPredictionFailed, NoAnswerInTime),
    # It has answered something else.
    *(ValueError, KeyError),
)


def compare(
    run: RunFiles,
    live: RunFiles,
    held_out: HeldOut,
    true: Sequence[int],
    predicted: Sequence[int],
) -> dict[str, Any]:
    """Return how the live model does on held-out rows that neither model was trained on.

    If it can't be told, a ``reason`` says why; whatever goes wrong with the live model, the run
    goes on.

    Parameters
    ----------
    held_out
        Asks the live run's endpoint.
    true, predicted
        Classes of the run's held-out rows, and what its own model says.
    """
    try:
        return _compared(run, live, held_out, true, predicted)
    except BadValue:
        return {"reason": "OtherFeatures"}
    except _NO_ANSWER as error:
        # Not its message: it may quote what the endpoint was asked.
        logger.warning("the live model has not answered", extra={"error": type(error).__name__})
        return {"reason": "NoAnswer"}


def _compared(
    run: RunFiles,
    live: RunFiles,
    held_out: HeldOut,
    true: Sequence[int],
    predicted: Sequence[int],
) -> dict[str, Any]:
    schema = Schema.from_dict(run.read(layout.SCHEMA))
    features, theirs = Features(schema), Features(Schema.from_dict(live.read(layout.SCHEMA)))
    if list(features.roles.items()) != list(theirs.roles.items()):
        return {"reason": "OtherFeatures"}
    of_live = live.fingerprints(layout.FINGERPRINTS)
    first, prints = next(of_live, None), list(run.fingerprints(layout.HELD_OUT_FINGERPRINTS))
    if first is None or not prints:
        return {"reason": "NoFingerprints"}
    trained = chain(run.fingerprints(layout.FINGERPRINTS), [first], of_live)
    new = new_rows(np.concatenate(prints), held_out.in_time(trained))
    if len(new) < FEWEST_ROWS:
        return {"reason": "FewRows", "rows": len(new)}
    transform = Transform.from_dict(live.read(layout.TRANSFORM))
    choice = live.read(layout.CHOICE)

    def asked() -> Iterator[tuple[float, ...]]:
        wanted = set(new)
        rows = (row for place, row in enumerate(run.held_out(schema)) if place in wanted)
        for some in batched(zip(rows, new, strict=True), _MAPPED_AT_ONCE, strict=False):
            seen = transform.apply([features.of(row) for row, _ in some])
            for of_row, (_, place) in zip(seen, some, strict=True):
                yield *of_row, true[place]

    answers = held_out.neighbors(asked(), choice["k"])
    said = [vote(*neighbors, choice["weights"])[0] for _, neighbors in answers]
    labels, ours = [true[place] for place in new], [predicted[place] for place in new]
    right = [(a == label, b == label) for a, b, label in zip(ours, said, labels, strict=True)]
    return {
        "rows": len(new),
        **scores(labels, said),
        "this": scores(labels, ours),
        "better": right.count((True, False)),
        "worse": right.count((False, True)),
    }


def new_rows(
    held_out: NDArray[np.uint64], trained: Iterable[NDArray[np.uint64]], most: int = MAX_ROWS
) -> list[int]:
    """Return the places of held-out rows that no model was trained on, by their fingerprints.

    Of very many, those with the lowest fingerprints: as good as drawn at random.
    """
    different, places = np.unique(held_out, return_inverse=True)
    is_new = np.ones(len(different), np.bool_)
    for some in trained:
        found = np.minimum(np.searchsorted(different, some), len(different) - 1)
        is_new[found[different[found] == some]] = False
    new = np.flatnonzero(is_new[places])
    lowest = np.argsort(held_out[new], kind="stable")[:most]
    return sorted(new[lowest].tolist())
