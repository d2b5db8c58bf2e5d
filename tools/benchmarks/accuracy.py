"""The model that the pipeline makes of a file, against scikit-learn's k-NN and gradient boosting.

    python -m tools.benchmarks.accuracy [FILE ...] [--seeds 5] [--weights distance]

Without files it takes those of data/, and breast-cancer from scikit-learn. For each seed another
quarter is held out; all three are asked about the same rows, trained on the same others.
scikit-learn's k-NN is the best that a grid search finds of k, weights, and numbers as they are or
as z-scores. Gradient boosting is `HistGradientBoostingClassifier` with its defaults.

Prints mean accuracies. "not squared" is what the pipeline's would be if the endpoint's distances
were not squared, as they are taken to be. Hastie's table, which is made up, comes after the mean:
the classes are inside and outside of a sphere in ten dimensions, which is hard for k-NN.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, make_hastie_10_2
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from embedded_aws.knn.hyperparameters import parse_hyperparameters
from embedded_aws.knn.model import build_model
from embedded_aws.knn.recordio import read_record_batches
from pipeline.algorithm import index_of, vote
from pipeline.settings import AUTO, Settings
from tools.benchmarks.own_process import ROOT, measure
from tools.benchmarks.preprocess_and_split import OURS

ENDPOINT_MB = 4096


def run_pipeline(source: Path, folder: Path, **settings: Any) -> None:
    """Preprocess and split a file, into the folder."""
    measure(
        "tools.benchmarks.our_preprocess",
        "preprocess",
        str(source),
        str(folder),
        json.dumps(settings),
        path=OURS,
    )
    measure("tools.benchmarks.our_split", "choose", str(folder), path=OURS)
    measure("tools.benchmarks.our_split", "split", str(folder), path=OURS)


def held_out_rows(folder: Path) -> NDArray[np.bool_]:
    """Return which rows Split holds out: they stand in `held_out.csv` in their order."""
    with (folder / "data.csv").open() as rows, (folder / "held_out.csv").open() as held_out:
        wanted = next(held_out, None)
        found = []
        for row in rows:
            found.append(row == wanted)
            if found[-1]:
                wanted = next(held_out, None)
    return np.array(found)


def pipeline_accuracy(
    folder: Path, asked: int | None = None, index_type: str = AUTO
) -> tuple[float, float, dict[str, Any]]:
    """Return the accuracy of the vote on what the endpoint answers, and what was chosen.

    The second number is the accuracy if the answer's distances were not squared.

    Parameters
    ----------
    asked
        How many of the rows held out to ask about, all unless it is given.
    """
    choice = json.loads((folder / "choice.json").read_text())
    training = loaded(folder / "train.pbr")
    test = loaded(folder / "test.pbr")[:asked]
    parameters = {
        "predictor_type": "classifier",
        "k": str(choice["k"]),
        "index_metric": choice["metric"],
        **index_of(
            len(training), training.shape[1] - 1, Settings(index_type=index_type), ENDPOINT_MB
        ),
    }
    model = build_model(parse_hyperparameters(parameters), training[:, 1:], training[:, 0])
    found = model.predict(test[:, 1:])

    def accuracy(distances: NDArray[np.float32]) -> float:
        answers = zip(found.labels.tolist(), distances.tolist(), strict=True)
        voted = [vote(labels, of_row, choice["weights"])[0] for labels, of_row in answers]
        return float(np.mean(voted == test[:, 0]))

    not_squared = accuracy(np.sqrt(np.maximum(found.distances, 0)))
    return accuracy(found.distances), not_squared, parameters | {"map": choice["map"]}


def loaded(path: Path) -> NDArray[np.float32]:
    """Return the rows of a file of records, the label first."""
    with path.open("rb") as file:
        batches = [np.column_stack([y, x]) for x, y in read_record_batches(file, path.name)]
    return np.concatenate(batches)


def other_accuracies(frame: pd.DataFrame, label: str, held_out: NDArray[np.bool_]) -> list[float]:
    """Return the accuracies of scikit-learn's k-NN and of gradient boosting."""
    features, classes = frame.drop(columns=label), frame[label].astype(str)
    texts = make_column_selector(dtype_include=["object", "string", "bool"])
    numbers = make_column_selector(dtype_include="number")
    scaler = StandardScaler()
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        (make_pipeline(SimpleImputer(strategy="median"), scaler), numbers),
    )
    scaled = f"columntransformer__pipeline__{scaler.__class__.__name__.lower()}"
    grid = {
        "kneighborsclassifier__n_neighbors": [1, 3, 5, 7, 9, 13, 21, 31],
        "kneighborsclassifier__weights": ["uniform", "distance"],
        scaled: [StandardScaler(), "passthrough"],
    }
    search = GridSearchCV(make_pipeline(columns, KNeighborsClassifier()), grid, cv=5)
    as_codes = features.apply(
        lambda c: c if c.dtype.kind in "fiu" else c.astype(str).astype("category").cat.codes
    )
    boosting = HistGradientBoostingClassifier(random_state=0)
    return [
        float(
            model.fit(given[~held_out], classes[~held_out]).score(
                given[held_out], classes[held_out]
            )
        )
        for model, given in ((search, features), (boosting, as_codes))
    ]


def compare(source: Path, seeds: int, weights: str) -> tuple[NDArray[np.float64], set[str]]:
    """Return mean accuracies, those of the pipeline's model first, and the maps it chose."""
    frame = pd.read_csv(source)
    found, maps = [], set()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run_pipeline(source, folder, seed=seed, weights=weights)
            label = json.loads((folder / "schema.json").read_text())["label"]
            *ours, chosen = pipeline_accuracy(folder)
            held_out = held_out_rows(folder)
        known = frame[frame[label].notna()].reset_index(drop=True)
        found.append([*ours, *other_accuracies(known, label, held_out)])
        maps.add(chosen["map"])
    return np.mean(found, axis=0), maps


def bundled(folder: Path) -> tuple[Path, Path]:
    """Write a table that scikit-learn brings, and one that it makes up."""
    cancer = load_breast_cancer(as_frame=True)
    frame = cancer.data.assign(label=[cancer.target_names[each] for each in cancer.target])
    frame.to_csv(folder / "breast-cancer.csv", index=False)
    features, classes = make_hastie_10_2(2_000, random_state=0)
    numbers = pd.DataFrame(features, columns=[f"x{place}" for place in range(10)])
    numbers.assign(label=np.where(classes > 0, "outside", "inside")).to_csv(
        folder / "hastie.csv", index=False
    )
    return folder / "breast-cancer.csv", folder / "hastie.csv"


def main() -> None:
    """Compare, and print a line a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE")
    parser.add_argument("--seeds", type=int, default=5, help="ways to hold out, for each file")
    parser.add_argument("--weights", default=AUTO, help="of the pipeline's vote")
    given = parser.parse_args()
    every = []

    def print_line(file: Path) -> None:
        accuracies, maps = compare(file, given.seeds, given.weights)
        every.append(accuracies)
        print(f"{file.stem:<15}{numbers(accuracies)}  {', '.join(sorted(maps))}", flush=True)

    def numbers(accuracies: NDArray[np.float64]) -> str:
        return "".join(f"{each:12.3f}" for each in accuracies)

    with tempfile.TemporaryDirectory() as name:
        cancer, hastie = bundled(Path(name))
        print(f"{'':<15}{'pipeline':>12}{'not squared':>12}{'k-NN':>12}{'boosting':>12}  distance")
        for file in given.files or [*sorted((ROOT / "data").glob("*.csv")), cancer]:
            print_line(file)
        print(f"{'mean':<15}{numbers(np.mean(every, axis=0))}")
        if not given.files:
            print_line(hastie)


if __name__ == "__main__":
    main()
