"""Report's own functions on the predictions of a folder, and what one would do by hand."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

from pipeline.schema import Column, Role, Schema

NAMES = ("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width")
CLASSES = ("setosa", "versicolor", "virginica")
SCHEMA = Schema(
    label="Species",
    features=NAMES,
    classes=CLASSES,
    columns=(*(Column(n, Role.NUMBER, "") for n in NAMES), Column("Species", Role.LABEL, "")),
)


class Folder:
    """A bucket's objects, by their names in a folder."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def get_object(self, **asked: str) -> dict[str, Any]:
        """Return a part of a file, as S3 does."""
        path = self._path / asked["Key"]
        first, last = map(int, asked["Range"].removeprefix("bytes=").split("-"))
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(last - first + 1)
        size = path.stat().st_size
        return {"Body": io.BytesIO(data), "ContentRange": f"bytes {first}-{last}/{size}"}


def report(folder: str) -> None:
    """Read the predictions, draw all pictures, write page and email: twice."""
    from pipeline.registry import Status
    from report.facts import Facts
    from report.pictures import draw
    from report.render import mail, page
    from report.sample import read_table, sample_of

    metrics, choice = (read(folder, name) for name in ("metrics.json", "choice.json"))
    facts = Facts("iris-1", "iris", Status.LIVE, "s3://i/iris.csv", "s3://r/", metrics=metrics)
    took = []
    for _ in range(2):
        began = time.perf_counter()
        table = read_table(Folder(folder), "bucket", "predictions.csv")  # type: ignore[arg-type]
        pictures = draw(metrics, choice, sample_of(table, SCHEMA, NAMES))
        written = [form(facts, pictures) for form in (page, mail)]
        took.append(time.perf_counter() - began)
        assert all(written)
    (Path(folder) / "took.json").write_text(json.dumps(took))


def by_hand(folder: str) -> None:
    """Draw the introduction's scatter matrix and a confusion matrix of all predictions."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    import pandas as pd
    from sklearn.metrics import ConfusionMatrixDisplay

    table = pd.read_csv(Path(folder) / "predictions.csv")
    colours = table["Species"].map(dict(zip(CLASSES, ("C0", "C1", "C2"), strict=True)))
    pd.plotting.scatter_matrix(table[list(NAMES)], color=colours, figsize=(6, 6))
    plt.savefig(Path(folder) / "scatter_matrix.png", dpi=200)
    ConfusionMatrixDisplay.from_predictions(table["Species"], table["Prediction"])
    plt.savefig(Path(folder) / "confusion_matrix.png", dpi=200)


def read(folder: str, name: str) -> Any:
    """Return what a JSON file holds."""
    return json.loads((Path(folder) / name).read_text())
