"""The introduction's own first step, by pandas, against ours."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lines import read_lines
from prepare import clean_lines, survey
from rows import read_rows

IRIS = Path(__file__).parents[3] / "data/iris.csv"


def rows(content: bytes):
    import io

    return read_rows(read_lines(io.BytesIO(content), gzipped=False))


def prepared(content: bytes) -> str:
    surveyed = survey(rows(content), lambda reject: None)
    return "".join(clean_lines(rows(content), surveyed))


def by_hand() -> str:
    frame = pd.read_csv(IRIS)
    frame = frame[["Species", *frame.columns[:4]]]
    frame["Species"] = frame["Species"].map({"setosa": 0, "versicolor": 1, "virginica": 2})
    return frame.to_csv(index=False, header=False)


def test_iris_becomes_what_the_introduction_makes_of_it_by_hand():
    assert prepared(IRIS.read_bytes()) == by_hand()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Species", '"Species"').replace("setosa", '"setosa"'),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
    ],
    ids=["quoted", "crlf", "bom"],
)
def test_quotes_line_ends_and_a_byte_order_mark_change_nothing(change):
    assert prepared(change(IRIS.read_text()).encode()) == by_hand()


def test_the_profile_agrees_with_pandas():
    profile = survey(rows(IRIS.read_bytes()), lambda reject: None).profile.as_dict()
    frame = pd.read_csv(IRIS)
    assert profile["classes"] == frame["Species"].value_counts().to_dict()
    for name, of_feature in profile["features"].items():
        expected = [frame[name].min(), frame[name].max(), frame[name].mean(), frame[name].std()]
        np.testing.assert_allclose(list(of_feature.values()), expected, rtol=1e-12)


def test_mean_and_deviation_stay_exact_far_from_zero():
    text = "x,label\n" + "".join(f"{10**9 + i},{'ab'[i % 2]}\n" for i in range(100))
    profile = survey(rows(text.encode()), lambda reject: None).profile.as_dict()
    assert profile["features"]["x"]["std"] == pytest.approx(np.std(range(100), ddof=1), rel=1e-9)
