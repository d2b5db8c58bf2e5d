"""The sample of a file's rows: bounded, and the same whether it is read whole or in parts."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess import profile
from preprocess.profile import RowSample, SampledRow


def rows_of(count: int, seed: int) -> list[SampledRow]:
    draw = random.Random(seed)
    labels = draw.choices(["often", "less", "seldom"], [90, 9, 1], k=count)
    return [
        SampledRow(line, label, 0, "x" * draw.choice([1, 2, 30]))
        for line, label in enumerate(labels, 2)
    ]


def sampled(parts: list[list[SampledRow]]) -> list[SampledRow]:
    """What is kept of parts, each sampled by itself and then put together."""
    whole = RowSample(0)
    for rows in parts:
        part = RowSample(0)
        for row in rows:
            part.merge([row], lambda label: 0)
        whole.merge(part.rows(), lambda label: 0)
    return whole.rows()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Bounds that a few rows reach."""
    monkeypatch.setattr(profile, "SAMPLE_ROWS", 40)
    monkeypatch.setattr(profile, "SAMPLE_BYTES", 300)
    monkeypatch.setattr(profile, "ROWS_OF_CLASS", 3)


@given(st.integers(1, 600), st.integers(0, 99), st.lists(st.integers(0, 600), max_size=6))
def test_parts_give_the_sample_of_the_whole_wherever_they_are_cut(count, seed, places):
    rows = rows_of(count, seed)
    cuts = [0, *sorted(min(place, count) for place in places), count]
    parts = [rows[a:b] for a, b in pairwise(cuts)]
    assert sampled(parts) == sampled([rows])


def test_a_sample_is_bounded_and_has_rows_of_each_class():
    kept = sampled([rows_of(5000, 1)])
    labels = [row.label for row in kept]
    assert all(labels.count(label) >= 3 for label in ("often", "less", "seldom"))
    # The last row may be larger than what is left.
    assert len(kept) <= 40 + 3 * 3
    assert sum(len(row.text) for row in kept) <= 300 + 30 + 3 * 3 * 30


def test_a_sample_is_put_together_from_any_rows_alike():
    means = [np.mean([row.line for row in sampled([rows_of(5000, seed)])]) for seed in range(20)]
    assert np.mean(means) == pytest.approx(2500, abs=250)
