"""The pictures: of any names and any values, and of a bounded sample of the rows."""

import csv
import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.schema import Column, Role, Schema
from report import pictures, sample
from report.pictures import Picture, draw, font_families
from report.sample import MAX_ROWS, instance_of, read_table, sample_of, telling_features

NAMES = ("北京", "بطريق $x^2$", "🐧 पेंगुइन\n한국어")
SCHEMA = Schema(
    label="art",
    features=("größe", "tel", "farbe", "alt"),
    classes=NAMES,
    columns=(
        Column("größe", Role.NUMBER, "", {"decimal": ","}),
        Column("id", Role.IDENTIFIER, ""),
        Column("tel", Role.NUMBER, ""),
        Column("farbe", Role.CATEGORY, ""),
        Column("alt", Role.BOOLEAN, ""),
        Column("art", Role.LABEL, ""),
    ),
)


def predictions(count: int, *, wrong: int) -> bytes:
    """What ``validation/predictions.csv`` holds of so many rows."""
    draws, out = random.Random(1), io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*(c.name for c in SCHEMA.columns), "Prediction", "Result", "Confidence"])
    for row in range(count):
        true = row % 3
        predicted = (true + 1) % 3 if row < wrong else true
        size = f"{true + draws.random():.2f}".replace(".", ",")
        cells = [size, row, draws.choice(["", "7", "1e3"]), draws.choice(["rot", "blau", "NA"])]
        cells += [draws.choice(["yes", "No", ""]), NAMES[true]]
        table.writerow([*cells, NAMES[predicted], true == predicted, "0.9"])
    return out.getvalue().encode()


class Bucket:
    """An S3 client of one object."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read = 0

    def get_object(self, **asked: str) -> dict[str, Any]:
        first, last = map(int, asked["Range"].removeprefix("bytes=").split("-"))
        part = self.data[first : last + 1]
        self.read += len(part)
        return {"Body": io.BytesIO(part), "ContentRange": f"bytes 0-1/{len(self.data)}"}


def sample_from(count: int, wrong: int) -> sample.Sample:
    table = read_table(Bucket(predictions(count, wrong=wrong)), "b", "k")
    return sample_of(table, SCHEMA, SCHEMA.features)


METRICS = {
    "classes": list(NAMES),
    "confusion_matrix": [[5, 1, 0], [0, 1234, 0], [0, 2, 3]],
}
SCORES = [
    {"map": name, "metric": "L2", "weights": "uniform", "k": k, "accuracy": {"mean": m, "std": 0.1}}
    for name, m in (("none", 0.8), ("nca", 0.95))
    for k in (1, 3, 9)
]
CHOICE = {
    "map": "nca", "metric": "L2", "weights": "uniform", "k": 3, "by": "cross-validation",
    "scores": SCORES, "columns": {"größe": 0.7, "tel": 0.2, "farbe": 0.1},
}  # fmt: skip


def opened(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.png))


def test_each_picture_is_drawn_in_any_script_and_tells_what_it_shows():
    drawn = draw(METRICS, CHOICE, sample_from(90, wrong=4))
    assert [picture.name for picture in drawn] == [
        "confusion_matrix", "column_weights", "accuracy_by_k", "scatter_matrix", "histograms",
    ]  # fmt: skip
    for picture in drawn:
        assert opened(picture).size == (2 * 600, 2 * picture.height)
        assert picture.alt.isprintable()
        assert len(picture.png) < 400_000
    alt = {picture.name: picture.alt for picture in drawn}
    assert "1,242 of 1,245 held-out rows are on the diagonal" in alt["confusion_matrix"]
    assert "größe 70.0 %" in alt["column_weights"]
    assert "95.0 % at the chosen k = 3" in alt["accuracy_by_k"]
    assert "4 wrong predictions among 90 rows" in alt["scatter_matrix"]


def test_a_run_has_the_pictures_of_what_it_has_come_to():
    assert draw(None, None, None) == []
    assert [p.name for p in draw(None, CHOICE, None)] == ["column_weights", "accuracy_by_k"]
    many = {"classes": list(map(str, range(50))), "confusion_matrix": [[1] * 50] * 50}
    assert draw(many, None, None) == []


def test_a_feature_with_one_value_or_none_is_drawn_all_the_same():
    of = sample_from(30, wrong=0)
    values = {"one": np.ones(30), "none": np.full(30, np.nan)}
    odd = sample.Sample(of.label, of.classes, of.true, of.predicted, values, {})
    assert [p.name for p in draw(None, None, odd)] == ["scatter_matrix", "histograms"]


def test_the_ends_of_an_axis_are_called_as_people_write_numbers_and_what_is_missing():
    of = sample_from(30, wrong=0)
    values = {"order": np.array([20250001.0, 20250240.0]), "size": np.array([0.5, 1234.5])}
    values["color"] = np.array([0.0, 1.0])
    words = {"color": ["", "red"]}
    odd = sample.Sample(of.label, of.classes, of.true[:2], of.predicted[:2], values, words)
    assert pictures._axis_of(odd, "order")[1] == ("20,250,001", "20,250,240")
    assert pictures._axis_of(odd, "size")[1] == ("0.5", "1234")
    assert pictures._axis_of(odd, "color")[1] == ("missing", "red")


def test_fonts_that_come_along_write_any_script_and_no_more_are_used_than_needed():
    assert font_families("setosa") == ["DejaVu Sans"]
    assert font_families("Größe ελληνικά кириллица עברית ქართული") == ["DejaVu Sans"]
    for text in ("漢字かな", "한국어", "हिन्दी", "বাংলা", "தமிழ்", "ไทย", "አማርኛ", "བོད", "🐧"):
        assert len(font_families(text)) == 2, text
    known = set().union(*(characters for _, characters in pictures._fonts().values()))
    assert {ord(c) for c in "عربي සිංහල မြန်မာ ខ្មែរ ᠮᠣᠩᠭᠣᠯ ߒߞߏ ܣܘܪܝܝܐ ދިވެހި" if c != " "} <= known


def test_values_are_read_as_the_file_writes_them():
    of = sample_from(300, wrong=10)
    assert of.wrong.sum() == 10
    assert 0 <= np.nanmin(of.values["größe"]) < np.nanmax(of.values["größe"]) < 3
    assert set(of.values["tel"][~np.isnan(of.values["tel"])]) == {7.0, 1000.0}
    assert of.words == {"farbe": ["", "blau", "rot"]}
    assert set(of.values["alt"][~np.isnan(of.values["alt"])]) == {0.0, 1.0}
    assert np.isnan(of.values["alt"]).any()
    table = read_table(Bucket(predictions(9, wrong=0)), "b", "k")
    example = instance_of(table, SCHEMA)
    assert isinstance(example[0], float)
    assert example[1:] == [
        None if cell in ("", "NA") else float(cell) if place == 2 else cell
        for place, cell in zip((2, 3, 4), table.iloc[0][[2, 3, 4]], strict=True)
    ]


def test_of_many_rows_a_sample_is_drawn_with_every_wrong_prediction():
    of = sample_from(5000, wrong=100)
    assert len(of.true) == MAX_ROWS
    assert of.wrong.sum() == 100
    assert sample_from(5000, wrong=4000).wrong.mean() == pytest.approx(0.8, abs=0.05)


def test_of_a_large_file_parts_are_read(monkeypatch):
    monkeypatch.setattr(sample, "_MAX_BYTES", 64 * 1024)
    bucket = Bucket(predictions(20_000, wrong=0))
    table = read_table(bucket, "b", "k")
    assert bucket.read < 200 * 1024 < len(bucket.data)
    rows = table[1].astype(int)
    assert rows.min() == 0
    assert rows.max() > 15_000
    assert sample_of(table, SCHEMA, SCHEMA.features).wrong.sum() == 0


def test_the_most_telling_features_come_first():
    of = sample_from(300, wrong=0)
    assert telling_features(of, {})[0] == "größe"
    assert telling_features(of, {"tel": 0.9, "größe": 0.1, "farbe": 0.0, "alt": 0.0})[0] == "tel"


@pytest.mark.parametrize(
    ("row", "instance"),
    [
        ('id,7.5,"$1,234.50", yes ,New York', [7.5, 1234.5, "yes", "New York"]),
        ('id,,-,NA,""', [None, None, None, None]),
        ('id,1e3,($12),0,"a\n""b"""', [1000.0, -12.0, "0", 'a\n"b"']),
    ],
)
def test_a_held_out_row_becomes_what_the_api_takes(row, instance):
    money = {"thousands": ",", "dressed": True, "missing": ["-"]}
    columns = (
        Column("id", Role.IDENTIFIER, ""),
        Column("age", Role.NUMBER, ""),
        Column("fare", Role.NUMBER, "", money),
        Column("alone", Role.BOOLEAN, ""),
        Column("city", Role.CATEGORY, ""),
        Column("label", Role.LABEL, ""),
    )
    schema = Schema("label", ("age", "fare", "alone", "city"), ("a",), columns=columns)
    header = "id,age,fare,alone,city,label,Prediction,Result,Confidence"
    table = read_table(Bucket(f"{header}\n{row},a,a,True,1.0\n".encode()), "b", "k")
    assert instance_of(table, schema) == instance
