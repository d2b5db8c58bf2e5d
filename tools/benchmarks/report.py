"""How long a report takes, beside two of its five pictures drawn by hand with pandas.

``python -m tools.benchmarks.report [--rows 1000000]``: rows of the file, a quarter of which are
held out, and iris.
"""

from __future__ import annotations

import csv
import json
import random
import tempfile
from pathlib import Path

import click

from tools.benchmarks.iris_rows import write_iris_rows
from tools.benchmarks.our_report import CLASSES
from tools.benchmarks.own_process import measure

PACKAGES = ("functions", "layers/pipeline", "layers/numeric", "layers/plotting")


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of the larger file.")
def main(rows: int) -> None:
    """Print seconds and megabytes of both."""
    for count in (152, rows):
        with tempfile.TemporaryDirectory() as folder:
            write_predictions(Path(folder), count // 4)
            ours = measure("tools.benchmarks.our_report", "report", folder, path=PACKAGES)
            theirs = measure("tools.benchmarks.our_report", "by_hand", folder, path=PACKAGES)
            first, warm = json.loads((Path(folder) / "took.json").read_text())
        ratio = theirs.seconds / first
        click.echo(f"{count:,} rows, {count // 4:,} held out")
        click.echo(f"  report, the first time  {first:6.2f} s  {ours.megabytes:6.0f} MB")
        click.echo(f"  report, warm            {warm:6.2f} s")
        click.echo(f"  two pictures by hand    {theirs.seconds:6.2f} s  {theirs.megabytes:6.0f} MB")
        click.echo(f"  ratio of time, by hand to the first report: {ratio:.1f}")


def write_predictions(folder: Path, rows: int) -> None:
    """Write what Report reads of so many held-out rows, one in twenty of them wrong."""
    write_iris_rows(folder / "rows.csv", rows)
    draws, counts = random.Random(0), [[0] * 3 for _ in CLASSES]
    with (folder / "rows.csv").open() as source, (folder / "predictions.csv").open("w") as into:
        table, out = csv.reader(source), csv.writer(into, lineterminator="\n")
        out.writerow([*next(table), "Prediction", "Result", "Confidence"])
        for row in table:
            true = CLASSES.index(row[-1])
            predicted = (true + 1) % 3 if draws.random() < 0.05 else true
            counts[true][predicted] += 1
            out.writerow([*row, CLASSES[predicted], true == predicted, "0.9"])
    (folder / "metrics.json").write_text(json.dumps(metrics_of(counts)))
    (folder / "choice.json").write_text(json.dumps(CHOICE))


def metrics_of(counts: list[list[int]]) -> dict[str, object]:
    """Return what of the metrics is drawn and told."""
    rows = sum(map(sum, counts))
    each = {"precision": 0.95, "recall": 0.95, "f_score": 0.95, "support": rows // 3}
    right = sum(counts[n][n] for n in range(3)) / rows
    return {
        "rows": rows, "accuracy": right, "macro_f1": right, "classes": CLASSES,
        "confusion_matrix": counts, "per_class": dict.fromkeys(CLASSES, each), "notes": [],
    }  # fmt: skip


CHOICE = {
    "map": "none", "metric": "L2", "weights": "uniform", "k": 3, "by": "cross-validation",
    "columns": {"Petal.Length": 0.6, "Petal.Width": 0.2, "Sepal.Length": 0.1, "Sepal.Width": 0.1},
    "scores": [
        {"map": name, "metric": "L2", "weights": "uniform", "k": k,
         "accuracy": {"mean": 0.95, "std": 0.01}}
        for name in ("none", "zscore", "nca") for k in (1, 3, 5, 9, 19, 41)
    ],
}  # fmt: skip


if __name__ == "__main__":
    main()
