"""What was done with the data and how the model was made, in plain words."""

from copy import deepcopy
from itertools import chain
from typing import Any

import pytest

from report.data_notes import columns_table, data_notes, tried_table

PROFILE: dict[str, Any] = {
    "rows": {"read": 105, "kept": 100, "rejected": 5},
    "rejects": {},
    "first_lines": {},
    "features": {"length": {"missing": 0}, "alone": {"missing": 0}, "port": {"missing": 0}},
    "settings": {"upload": []},
}
SCHEMA: dict[str, Any] = {
    "columns": [
        {"name": "", "role": "identifier", "reason": "counts the rows"},
        {"name": "length", "role": "number", "reason": "holds numbers"},
        {"name": "alone", "role": "boolean", "reason": "holds true and false"},
        {"name": "port", "role": "category", "reason": "has 3 frequent values"},
        {"name": "species", "role": "label", "reason": "is called as labels are"},
    ],
    "spellings": {},
}
SETTINGS: dict[str, Any] = {"label": "species", "missing": "median", "seed": 0}
SPLIT: dict[str, Any] = {
    "by": "class",
    "rows": {"train": 75, "test": 25},
    "classes": {"a": {"train": 40, "test": 10}, "b": {"train": 35, "test": 15}},
    "duplicates": {"held_out_rows_in_training": 0, "is_exact": True},
    "hyperparameters": {"sample_size": "75", "index_type": "faiss.Flat"},
}


def score(name: str, k: int, accuracy: float, brier: float) -> dict[str, Any]:
    """What cross-validation measured of a candidate."""
    return {
        "map": name,
        "metric": "L2",
        "weights": "uniform",
        "k": k,
        "accuracy": {"mean": accuracy, "std": 0.0123},
        "brier": {"mean": brier, "std": 0.02},
    }


NONE, WORSE, NCA = (
    score("none", 1, 0.94, 0.11),
    score("none", 5, 0.9, 0.2),
    score("nca", 3, 0.95, 0.1),
)
CHOICE: dict[str, Any] = {
    "map": "nca",
    "metric": "L2",
    "weights": "uniform",
    "k": 3,
    "by": "cross-validation",
    "rows": 75,
    "folds": 5,
    "best": {"map": "nca", "metric": "L2", "weights": "uniform", "k": 3},
    "columns": {"length": 0.62, "alone": 0.05, "port": 0.33},
    "scores": [NONE, WORSE, NCA],
}
SIMPLER = {name: NONE[name] for name in ("map", "metric", "weights", "k")}


def notes(**changes: dict[str, Any]) -> str:
    """The notes on a run whose files differ in what is given."""
    profile, schema, settings, split = deepcopy((PROFILE, SCHEMA, SETTINGS, SPLIT))
    profile |= changes.get("profile", {})
    schema |= changes.get("schema", {})
    settings |= changes.get("settings", {})
    split |= changes.get("split", {})
    choice = changes.get("choice")
    return "\n".join(chain(*data_notes(profile, schema, settings, split, choice)))


def test_of_plain_data_there_is_nothing_to_say():
    assert notes() == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {
                "profile": {
                    "rejects": {"missing label": 4, "not a number": 1},
                    "first_lines": {"missing label": [3, 7, 1009], "not a number": [12]},
                }
            },
            "Rows were set aside: missing label (4: lines 3, 7, 1,009, …); "
            "not a number (1: line 12). clean/rejects.csv has each with line and reason.",
        ),
        (
            {"profile": {"features": {"length": {"missing": 7}, "alone": {"missing": 0}}}},
            "Missing values are imputed by the median of the training rows: length (7).",
        ),
        (
            {
                "settings": {"missing": "mean"},
                "profile": {"features": {"length": {"missing": 1200}}},
            },
            "by the mean of the training rows: length (1,200).",
        ),
        (
            {"profile": {"features": {"alone": {"missing": 2}}}},
            "Missing values are imputed by what most training rows have: alone (2).",
        ),
        (
            {"profile": {"features": {"port": {"missing": 3}}}},
            "Missing values are imputed by a category of their own: port (3).",
        ),
        (
            {"schema": {"spellings": {"1.0": "1", "Red": "red"}}},
            'Some classes are written in more than one way: "1.0" is "1", "Red" is "red".',
        ),
        (
            {"profile": {"settings": {"upload": ["label"]}}},
            "The upload itself sets label=species.",
        ),
        (
            {"split": {"duplicates": {"held_out_rows_in_training": 3, "is_exact": True}}},
            "3 of the 25 held-out rows equal a training row in all that the model sees",
        ),
        (
            {"split": {"duplicates": {"held_out_rows_in_training": 3000, "is_exact": False}}},
            "About 3,000 of the 25",
        ),
        ({"split": {"by": "group"}, "settings": {"group": "who"}}, 'Rows with the same "who"'),
        ({"split": {"by": "time"}, "settings": {"time": "at"}}, 'last rows by "at" are held out'),
        ({"split": {"by": "text"}}, "Equal rows are on the same side"),
        (
            {"split": {"classes": {"a": {"train": 9, "test": 1}, "new": {"train": 0, "test": 9}}}},
            "Classes with rows on one side of the split only: new.",
        ),
        (
            {"split": {"hyperparameters": {"sample_size": "60", "index_type": "faiss.Flat"}}},
            "The index holds 60 of the 75 training rows, drawn at random; 15 were left out.",
        ),
        (
            {"split": {"hyperparameters": {"sample_size": "75", "index_type": "faiss.IVFFlat"}}},
            "The index is an inverted file",
        ),
        (
            {"choice": CHOICE},
            "The 3 nearest neighbours vote. Distances are Euclidean, of Neighbourhood Components "
            "Analysis (NCA).",
        ),
        (
            {"choice": CHOICE},
            "chosen by 5-fold cross-validation on 75 training rows: accuracy 0.9500 ± 0.0123 "
            "over the folds, Brier score 0.1000 (lower is better).",
        ),
        ({"choice": CHOICE}, "The model looks most at length (62 %), port (33 %), alone (5 %)."),
        (
            {"choice": CHOICE | SIMPLER},
            "The nearest neighbour decides. Distances are Euclidean, of raw values.",
        ),
        (
            {"choice": CHOICE | SIMPLER},
            "The best Brier score, 0.1000, is that of Neighbourhood Components Analysis (NCA); it "
            "is better by less than one standard error",
        ),
        (
            {"choice": CHOICE | {"by": "settings", "weights": "distance", "metric": "COSINE"}},
            "The 3 nearest neighbours vote, weighted by distance. Distances are one minus the "
            "cosine, of Neighbourhood Components Analysis (NCA). The settings ask for this.",
        ),
        (
            {"choice": CHOICE | {"by": "default"}},
            "There are too few training rows to choose by cross-validation.",
        ),
    ],
)
def test_what_was_done_is_said(changes, says):
    assert says in notes(**changes)


def test_settings_of_an_earlier_upload_are_told_with_their_values_where_the_upload_has_none():
    schema = {
        "key": "flowers/schema.json",
        "since": "2026-11-24 12:00:00+00:00",
        "settings": ["label", "ignore", "allow_changes", "k"],
    }
    told = notes(
        profile={"settings": {"upload": ["label"], "schema": schema}},
        settings={"ignore": ["id", "note"], "allow_changes": True, "k": 5},
    )
    assert told.splitlines() == [
        "flowers/schema.json, which was uploaded on 2026-11-24 12:00 UTC, applies: it sets "
        "ignore=id;note, allow_changes=true, k=5.",
        "The upload itself sets label=species.",
    ]


def test_long_lists_are_cut_with_the_number_of_the_rest():
    features = {f"c{place}": {"missing": 1} for place in range(900)}
    told = notes(profile={"features": features})
    assert told.endswith("c0 (1), c1 (1), c2 (1), c3 (1), c4 (1) and 895 more.")


def test_a_file_refused_before_its_columns_were_told_has_its_rejects_told():
    profile = PROFILE | {"rejects": {"not a number": 60}, "first_lines": {"not a number": [2, 3]}}
    ((told,), _) = data_notes(profile, {}, {}, None, None)
    assert "not a number (60: lines 2, 3, …)" in told


def test_each_column_is_listed_with_role_reason_and_share():
    assert columns_table(SCHEMA, CHOICE["columns"]) == [
        ["column", "role", "why", "share of the distance"],
        ["(no name)", "identifier", "counts the rows", ""],
        ["length", "number", "holds numbers", "62.0 %"],
        ["alone", "boolean", "holds true and false", "5.0 %"],
        ["port", "category", "has 3 frequent values", "33.0 %"],
        ["species", "label", "is called as labels are", ""],
    ]


def test_the_best_of_each_kind_that_was_tried_is_listed_the_best_first():
    assert [row[1:] for row in tried_table(CHOICE)[1:]] == [
        ["3", "uniform", "L2", "0.9500 ± 0.0123", "0.1000 ± 0.0200"],
        ["1", "uniform", "L2", "0.9400 ± 0.0123", "0.1100 ± 0.0200"],
    ]
