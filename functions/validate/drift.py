"""How far the rows of a file have moved from those that the live model was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import layout
from pipeline.schema import Role, Schema
from pipeline.transform import BOOLEANS, Value, category_of
from validate.features import Features
from validate.files import RunFiles

_DECILES = np.arange(1, 10) / 10
_MOST_VALUES = 20
"""Values of a category that have a bin each; the others share one."""

Counts = NDArray[np.float64]


def drift(live: RunFiles, run: RunFiles) -> dict[str, Any] | None:
    """Return how features and classes have moved, None if a run has no sample of its rows.

    Features are compared by samples of both runs' training rows, the shares of classes by all of
    them.
    """
    runs = (live, run)
    samples = [each.read_if_there(layout.TRAINING_SAMPLE) for each in runs]
    if None in samples:
        return None
    found = [Features(Schema.from_dict(each.read(layout.SCHEMA))) for each in runs]
    columns = [
        dict(zip(each.roles, zip(*map(each.of, sample["rows"]), strict=True), strict=True))
        for each, sample in zip(found, samples, strict=True)
    ]
    before, now = columns
    indices, by_chance = {}, {}
    for name, role in found[0].roles.items():
        if found[1].roles.get(name) is role:
            counts = binned(role, before[name], now[name])
            indices[name], by_chance[name] = stability_index(*counts), index_by_chance(*counts)
    trained = [each.read(layout.SPLIT)["classes"] for each in runs]
    return {
        "psi": indices,
        "by_chance": by_chance,
        "classes": {
            name: [_share(each, name) for each in trained]
            for name in dict.fromkeys([*trained[0], *trained[1]])
        },
    }


def _share(classes: Mapping[str, Mapping[str, int]], name: str) -> float:
    rows = sum(each["train"] for each in classes.values())
    return classes[name]["train"] / rows if name in classes else 0.0


def binned(role: Role, before: Sequence[Value], now: Sequence[Value]) -> tuple[Counts, Counts]:
    """Return how many values of a feature are in each bin, before and now.

    Numbers have ten, between the deciles of what was before; others one for each value. Missing
    values have one of their own.
    """
    if role is Role.NUMBER:
        values = [np.array(each, float) for each in (before, now)]
        present = values[0][~np.isnan(values[0])]
        # Deciles are equal if a tenth of the values or more are: then there are fewer bins.
        edges = np.unique(np.quantile(present, _DECILES)) if len(present) else np.zeros(0)
        bins = [
            np.where(np.isnan(each), len(edges) + 1, np.searchsorted(edges, each))
            for each in values
        ]
    else:
        read = _boolean if role is Role.BOOLEAN else category_of
        texts = [list(map(read, each)) for each in (before, now)]
        frequent = [text for text, _ in Counter(texts[0]).most_common(_MOST_VALUES)]
        # A missing value is an empty text.
        places = {text: place for place, text in enumerate(dict.fromkeys([*frequent, ""]))}
        bins = [np.array([places.get(text, len(places)) for text in each]) for each in texts]
    size = 1 + max(int(each.max()) for each in bins)
    first, second = (np.bincount(each, minlength=size).astype(float) for each in bins)
    return first, second


def _boolean(value: Value) -> str:
    return str(BOOLEANS.get(str(value).lower(), ""))


def stability_index(before: Counts, now: Counts) -> float:
    """Return the population stability index of counts by bin: 0 if the shares are the same.

    It is the sum of (p - q) ln(p / q) over the bins, with p and q the shares before and now. An
    empty bin counts as half a row. Source: N. Siddiqi, "Credit Risk Scorecards" (2006); below 0.1
    nothing has changed, from 0.25 on much has.
    """
    p, q = (np.maximum(each, 0.5) / each.sum() for each in _in_use(before, now))
    return float(((p - q) * np.log(p / q)).sum())


def index_by_chance(before: Counts, now: Counts) -> float:
    """Return what one index in twenty is above by chance, if nothing has changed.

    Then it is about chi-squared with one degree of freedom less than bins, times the sum of one
    over the rows of either side. Sources: B. Yurdakul, J. Naranjo, "Statistical properties of the
    population stability index" (2020); the quantile is that of E. Wilson and M. Hilferty (1931).
    """
    first, second = _in_use(before, now)
    free = len(first) - 1
    if not free:
        return 0.0
    spread = 2 / (9 * free)
    chi_squared = free * (1 - spread + NormalDist().inv_cdf(0.95) * spread**0.5) ** 3
    return float(chi_squared * (1 / first.sum() + 1 / second.sum()))


def _in_use(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    """Return the bins that have a row before or now."""
    used = before + now > 0
    return before[used], now[used]
