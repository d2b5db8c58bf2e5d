"""The introduction's own first step, by pandas, against ours."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.unit.functions.preprocessing import prepared

IRIS = Path(__file__).parents[3] / "data/iris.csv"


def by_hand() -> str:
    frame = pd.read_csv(IRIS)
    frame = frame[["Species", *frame.columns[:4]]]
    frame["Species"] = frame["Species"].map({"setosa": 0, "versicolor": 1, "virginica": 2})
    return frame.to_csv(index=False, header=False)


def test_iris_becomes_what_the_introduction_makes_of_it_by_hand():
    assert prepared(IRIS.read_bytes()).clean == by_hand()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Species", '"Species"').replace("setosa", '"setosa"'),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text.replace(",", ", "),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", "|"),
        lambda text: text.replace("\n", "\r"),
    ],
    ids=["quoted", "crlf", "bom", "no end", "spaces", "semicolons", "tabs", "bars", "cr"],
)
def test_quotes_marks_spaces_delimiters_and_line_ends_change_nothing(change):
    assert prepared(change(IRIS.read_text()).encode()).clean == by_hand()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings_change_nothing(encoding):
    assert prepared(IRIS.read_text().encode(encoding)).clean == by_hand()


def test_the_profile_agrees_with_pandas():
    profile = prepared(IRIS.read_bytes()).as_dict()
    frame = pd.read_csv(IRIS)
    assert profile["classes"] == frame["Species"].value_counts().to_dict()
    for name, of_feature in profile["features"].items():
        expected = [frame[name].min(), frame[name].max(), frame[name].mean(), frame[name].std()]
        found = [of_feature[key] for key in ("min", "max", "mean", "std")]
        np.testing.assert_allclose(found, expected, rtol=1e-15)
        for rank, key in {0.25: "q25", 0.5: "median", 0.75: "q75"}.items():
            assert of_feature[key] == pytest.approx(frame[name].quantile(rank), abs=0.1)


def test_the_same_bytes_give_the_same_profile_and_rows():
    first, again = prepared(IRIS.read_bytes()), prepared(IRIS.read_bytes())
    assert (first.clean, first.as_dict()) == (again.clean, again.as_dict())
