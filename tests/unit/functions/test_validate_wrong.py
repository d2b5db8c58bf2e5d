"""Wrong predictions as they are shown, with the nearest training rows, against SciPy."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pipeline.schema import Column, Role, Schema
from validate.wrong import Wrong, described, distances, lines_of

COLUMNS = tuple(Column(n, r, "") for n, r in {"x": Role.NUMBER, "y": Role.LABEL}.items())
SCHEMA = Schema("y", ("x",), ("low", "high"), {}, COLUMNS, ";")
SAMPLE = {
    "columns": ["x", "y"],
    "rows": [["1,0", "low"], ["9", "high"], ["5", "low"], ["4.50", "high"]],
    "mapped": [[-1.0], [1.0], [0.0], [-0.25]],
    "classes": [0, 1, 0, 1],
}


def shown(row: list[str], sample: dict[str, Any] = SAMPLE, **lines: int) -> dict[str, Any]:
    wrong = Wrong(row, [0.125], 0, 1, {1: 0.25, 0: 0.75})
    (found,) = described([wrong], SCHEMA, sample, "L2", {tuple(row): n for n in lines.values()})
    return found


def test_a_wrong_prediction_is_shown_as_it_was_written_with_its_nearest_training_rows():
    assert shown(["6,0", "low"], line=17) == {
        "row": {"x": "6,0", "y": "low"},
        "line": 17,
        "true": "low",
        "predicted": "high",
        "shares": {"low": 0.75, "high": 0.25},
        "nearest": [
            {"row": {"x": "5", "y": "low"}, "class": "low", "distance": 0.125},
            {"row": {"x": "4.50", "y": "high"}, "class": "high", "distance": 0.375},
            {"row": {"x": "9", "y": "high"}, "class": "high", "distance": 0.875},
        ],
    }
    assert list(shown(["6,0", "low"])["shares"]) == ["low", "high"]


def test_a_line_that_is_not_known_is_left_out_and_a_run_without_a_sample_has_no_neighbours():
    found = shown(["6", "low"], {"rows": [], "mapped": []})
    assert found["nearest"] == []
    assert "line" not in found


def test_long_values_are_cut():
    assert shown(["6" * 900, "low"])["row"]["x"] == "6" * 500


@pytest.mark.parametrize(("metric", "scipys"), [("L2", "euclidean"), ("COSINE", "cosine")])
def test_distances_are_scipys(metric, scipys):
    draw = np.random.default_rng(0)
    rows, row = draw.normal(size=(50, 7)), draw.normal(size=7)
    assert distances(rows, row, metric) == pytest.approx(cdist([row], rows, scipys)[0])


def test_a_row_of_zeros_has_no_direction_and_is_at_cosine_distance_1():
    assert distances(np.zeros((1, 2)), np.array([1.0, 2.0]), "COSINE").tolist() == [1]


def test_the_line_of_a_row_is_known_if_the_sample_has_it_once():
    rows = [["1", "a;b"], ["2", "low"], ["3", "low"], ["4", "low"]]
    wrong = [Wrong(row, [0.0], 0, 1, {1: 1.0}) for row in rows]
    texts = ['1;"a;b"', "2;low", '"3"; low', "2;low", "5;low"]
    sample = [{"line": 2 + place, "text": text} for place, text in enumerate(texts)]
    assert lines_of(wrong, SCHEMA, sample) == {("1", "a;b"): 2, ("3", "low"): 4}
