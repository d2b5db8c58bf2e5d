from copy import deepcopy
from typing import Any

import pytest

from data_notes import data_notes
from message import MANY_CLASSES, Facts, html, subject, text
from pipeline.registry import Status

PROFILE: dict[str, Any] = {
    "rows": {"read": 105, "kept": 100, "rejected": 5},
    "rejects": {},
    "features": {
        "length": {"std": 1.0, "missing": 0},
        "width": {"std": 2.0, "missing": 0},
    },
}
SCHEMA: dict[str, Any] = {"ignored": [], "missing": "refuse", "standardisation": "none"}
SPLIT: dict[str, Any] = {
    "by": "class",
    "rows": {"train": 75, "test": 25},
    "classes": {"a": {"train": 40, "test": 10}, "b": {"train": 35, "test": 15}},
    "duplicates": {"held_out_rows_in_training": 0, "is_exact": True},
}


def notes(**changes: dict[str, Any]) -> str:
    profile, schema, split = deepcopy((PROFILE, SCHEMA, SPLIT))
    profile |= changes.get("profile", {})
    schema |= changes.get("schema", {})
    split |= changes.get("split", {})
    return "\n".join(data_notes("flowers", profile, schema, split))


def test_of_plain_data_there_is_nothing_to_say():
    assert notes() == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"profile": {"rejects": {"missing value": 4, "not a number": 1}}},
            "Rows were set aside for: missing value (4), not a number (1)",
        ),
        ({"schema": {"ignored": ["id", "note"]}}, "Columns that were not used: id, note."),
        (
            {"schema": {"ignored": [f"c{n}" for n in range(900)]}},
            "c0, c1, c2, c3, c4 and 895 more",
        ),
        (
            {
                "schema": {"missing": "median"},
                "profile": {"features": {"length": {"std": 1, "missing": 7}}},
            },
            "Missing values were replaced by the median of the training rows: length (7).",
        ),
        (
            {"profile": {"features": {"m": {"std": 0.01}, "kg": {"std": 5}, "one": {"std": 0}}}},
            '"kg" varies 500 times as much as "m"',
        ),
        ({"schema": {"standardisation": "zscore"}}, "Features were standardised (zscore)"),
        (
            {"split": {"duplicates": {"held_out_rows_in_training": 3, "is_exact": True}}},
            "3 of the 25 held-out rows are in the training rows too",
        ),
        (
            {"split": {"duplicates": {"held_out_rows_in_training": 3000, "is_exact": False}}},
            "About 3,000 of the 25",
        ),
        ({"split": {"by": "group"}, "schema": {"group": "who"}}, 'Rows of one "who" are all on'),
        ({"split": {"by": "time"}, "schema": {"time": "at"}}, 'last by "at" are held out'),
        ({"split": {"by": "text"}}, "Rows that are the same are all on one side"),
        (
            {"split": {"classes": {"a": {"train": 9, "test": 1}, "new": {"train": 0, "test": 9}}}},
            "Classes with rows on one side of the split only: new.",
        ),
    ],
)
def test_what_metrics_rest_on_is_said(changes, says):
    assert says in notes(**changes)


def test_scales_are_no_matter_once_standardised():
    features = {"m": {"std": 0.01, "missing": 0}, "kg": {"std": 5, "missing": 0}}
    told = notes(profile={"features": features}, schema={"standardisation": "minmax"})
    assert "differ in scale" not in told


FACTS = Facts(
    run="flowers-1",
    dataset="flowers",
    status=Status.LIVE,
    source="s3://inbox/flowers/rows.csv",
    folder="s3://runs/runs/flowers-1/",
    profile=PROFILE,
    notes=('Columns that were not used: <b>"x"</b>.',),
)


def test_notes_are_in_the_mail_and_escaped_in_html():
    assert '- Columns that were not used: <b>"x"</b>.' in text(FACTS)
    assert "&lt;b&gt;" in html(FACTS)


def test_a_subject_has_one_line_whatever_the_file_is_called():
    facts = Facts(
        "r", "d", Status.REFUSED, "s3://inbox/a\r\nBcc: x\n.csv", "s3://runs/", problem={}
    )
    assert subject(facts).isprintable()
    assert len(subject(Facts("r", "d" * 300, Status.REFUSED, "s3://i/k", "s3://r/"))) <= 200


def test_of_many_classes_the_mail_shows_the_worst():
    classes = [f"class {n:03}" for n in range(300)]
    metrics = {
        "rows": 900,
        "accuracy": 0.9,
        "macro_f1": 0.9,
        "classes": classes,
        "confusion_matrix": [[int(i == j) for j in range(300)] for i in range(300)],
        "per_class": {
            name: {"precision": 1, "recall": 1, "f_score": 1 - n / 300, "support": 3}
            for n, name in enumerate(classes)
        },
        "notes": [f"note {n}" for n in range(100)],
    }
    metrics["confusion_matrix"][0][1] = 7
    told = text(Facts(**{**FACTS.__dict__, "metrics": metrics}))
    assert f"the {MANY_CLASSES} of 300 with the lowest F-score" in told
    assert "class 299" in told
    assert "class 100" not in told
    assert "class 000  class 001  7" in " ".join(told.split("\n"))
    assert "And 80 more such notes." in told
    assert len(told) < 10_000
