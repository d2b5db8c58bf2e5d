"""Fingerprints of rows, and the training rows that are kept to be shown."""

import csv
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import Column, Role
from split import sample
from tests.unit.functions.splitting import split

KINDS = {
    "label": Role.LABEL,
    "note": Role.TEXT,
    "price": Column("price", Role.NUMBER, "", {"thousands": ",", "dressed": True}),
    "size": Role.NUMBER,
    "paid": Role.BOOLEAN,
    "color": Role.CATEGORY,
}
PLAIN = ["5.1", "12", "yes", "7"]

ROWS = [
    f"{'ab'[n % 2]},note {n},${n},{n / 4},{'yes' if n % 3 else 'no'},c{n % 5}" for n in range(80)
]


def fingerprint(values: list[str], label: str = "a", note: str = "x", **columns: Any) -> int:
    """That of one row, among others that are the same."""
    line = ",".join(f'"{value}"' for value in (label, note, *values))
    others = [f"{name},,1,1,no,red" for name in "ab"] * 4
    result = split([line, *others], columns=KINDS | columns)
    prints = result.train_fingerprints + result.test_fingerprints
    (found,) = (each for each in prints if prints.count(each) == 1)
    return found


@pytest.mark.parametrize(
    "values",
    [
        ["5.10", "12", "yes", "7"],
        ["$5.1", "+12.0", "TRUE", "7.0"],
        [" 5.1 ", "1.2e1", "1", " 7 "],
    ],
)
def test_a_fingerprint_does_not_depend_on_how_values_are_written(values):
    assert fingerprint(values) == fingerprint(PLAIN)


def test_a_fingerprint_depends_neither_on_the_label_nor_on_columns_that_are_no_features():
    assert fingerprint(PLAIN, label="b", note="y") == fingerprint(PLAIN)


def test_a_missing_value_is_the_same_whatever_stands_for_it():
    assert fingerprint(["", "NA", "?", "nan"]) == fingerprint(["NA", "", "", ""])


def test_zero_has_one_fingerprint_whatever_its_sign():
    assert fingerprint(["0", "-0.0", "no", "7"]) == fingerprint(["0", "0", "no", "7"])


@pytest.mark.parametrize(
    "values",
    [
        ["12", "5.1", "yes", "7"],
        ["5.1", "12", "no", "7"],
        ["5.1", "12", "yes", "8"],
        ["5.1", "12", "yes", ""],
        ["", "12", "yes", "7"],
        ["5.1000000000000005", "12", "yes", "7"],
    ],
)
def test_rows_of_other_values_have_other_fingerprints(values):
    assert fingerprint(values) != fingerprint(PLAIN)


def test_fingerprints_stay_what_they_are_from_release_to_release():
    """Else a new release would take all rows for new ones."""
    assert fingerprint(PLAIN) == 12333621984742459838


def test_fingerprints_stand_in_the_order_of_the_rows_on_their_side():
    result = split(ROWS, columns=KINDS, test_fraction=0.5)
    again = split(ROWS[::-1], columns=KINDS, test_fraction=0.5, standardisation="zscore")
    known = dict(zip(again.held_out, again.test_fingerprints, strict=True))
    mine = dict(zip(result.held_out, result.test_fingerprints, strict=True))
    both = mine.keys() & known.keys()
    assert len(both) > 5
    assert all(mine[row] == known[row] for row in both)
    assert len(result.train_fingerprints) == len(result.train)
    assert not set(result.train_fingerprints) & set(result.test_fingerprints)


def test_rows_to_be_shown_are_training_rows_as_written_and_as_the_model_sees_them():
    result = split(ROWS, columns=KINDS, standardisation="zscore")
    assert result.sample["columns"] == list(KINDS)
    held_out = set(result.held_out)
    trained = [row for row in csv.reader(ROWS) if ",".join(row) not in held_out]
    assert result.sample["rows"] == trained
    seen = [
        (label, *row)
        for label, row in zip(*(result.sample[n] for n in ("classes", "mapped")), strict=True)
    ]
    assert seen == result.train


@pytest.mark.parametrize(("values", "rows"), [(200_000, 60), (150, 10), (27, 1), (1, 1)])
def test_few_rows_are_kept_of_wide_ones(monkeypatch, values, rows):
    monkeypatch.setattr(sample, "_MAX_VALUES", values)
    result = split(ROWS, columns=KINDS)
    assert len(result.sample["rows"]) == rows
    assert len(KINDS) + len(result.sample["mapped"][0]) == 14


def test_rows_to_be_shown_are_drawn_by_the_seed_and_of_each_class_its_share(monkeypatch):
    monkeypatch.setattr(sample, "MAX_ROWS", 30)
    rows = [f"{'aab'[n % 3]},{n}" for n in range(300)]
    first, second = (split(rows, seed=seed).sample for seed in (1, 2))
    assert split(rows, seed=1).sample == first
    assert first["rows"] != second["rows"]
    assert np.bincount(first["classes"]).tolist() == [20, 10]


@settings(max_examples=15)
@given(st.integers(2, 6), st.integers(100, 600))
def test_the_same_rows_are_shown_and_have_the_same_fingerprints_however_a_file_is_cut(parts, chunk):
    whole, cut = split(ROWS, columns=KINDS), split(ROWS, columns=KINDS, parts=parts, chunk=chunk)
    assert cut.everything == whole.everything
