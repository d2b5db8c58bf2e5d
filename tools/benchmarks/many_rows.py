"""The pipeline's k-NN on many rows of many columns, against scikit-learn's on all of them.

    python -m tools.benchmarks.many_rows [--rows 500000] [--indexed 500000 2000000]

The rows have the shape of covtype: 10 columns of numbers, 44 of 0 and 1, 7 classes. They are drawn
from a smooth landscape, so that a class has many small areas, and neighbours tell it. Prints the
accuracy on the same held-out rows of scikit-learn's best plain k-NN, fitted on all training rows,
and of the endpoint's answers, with the weighted vote on them, from a flat index and from an
inverted file. Then the recall of the inverted
index that larger files get: the share of a held-out row's neighbours in a flat index that it finds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from embedded_aws.knn.hyperparameters import parse_hyperparameters
from embedded_aws.knn.model import build_model
from tools.benchmarks.accuracy import held_out_rows, pipeline_accuracy, run_pipeline

NUMBERS, AREAS, SOILS, CLASSES = 10, 4, 40, 7
ASKED = 5_000
SEED = 0

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


def landscape(rows: int) -> tuple[Matrix, Labels]:
    """Return rows of covtype's shape and their classes, the same at each call."""
    random = np.random.default_rng(SEED)
    places = random.uniform(size=(rows, 2))

    def field(waves: int, finest: float) -> Matrix:
        """Return the height of a smooth surface at each place."""
        directions = random.normal(scale=finest, size=(2, waves))
        phases = random.uniform(0, 2 * np.pi, waves)
        height = np.zeros(rows)
        for wave in range(waves):
            height += np.sin(places @ directions[:, wave] + phases[wave])
        return np.asarray(height / np.sqrt(waves))

    height = field(8, 6)
    numbers = [field(8, 6) for _ in range(NUMBERS - 1)]
    columns = [np.round(2800 + 300 * height), *(np.round(500 + 200 * each) for each in numbers)]
    areas = np.digitize(field(4, 3), [-0.6, 0, 0.6])
    soils = np.argmax([field(8, 12) for _ in range(SOILS)], axis=0)
    kinds = np.argmax([field(12, 18) + 0.8 * height * turn for turn in range(CLASSES)], axis=0)
    kinds[random.uniform(size=rows) < 0.03] = 1
    binary = np.hstack([np.eye(AREAS)[areas], np.eye(SOILS)[soils]])
    return np.column_stack([*columns, binary]), kinds + 1


def write_landscape(path: Path, features: Matrix, classes: Labels) -> None:
    """Write such rows with a header, the class last."""
    names = [*(f"feature_{place + 1}" for place in range(features.shape[1])), "class"]
    table = np.column_stack([features, classes]).astype(np.int64)
    np.savetxt(path, table, fmt="%d", delimiter=",", header=",".join(names), comments="")


def plain_accuracy(features: Matrix, classes: Labels, held_out: NDArray[np.bool_]) -> float:
    """Return the best accuracy of scikit-learn's k-NN in the usual ways, on all training rows."""
    best = 0.0
    asked = np.flatnonzero(held_out)[:ASKED]
    for scaler in (FunctionTransformer(), StandardScaler()):
        train = scaler.fit_transform(features[~held_out])
        test = scaler.transform(features[asked])
        for k in (1, 5, 15):
            model = KNeighborsClassifier(k, weights="distance", algorithm="brute")
            model.fit(train, classes[~held_out])
            best = max(best, float(model.score(test, classes[asked])))
    return best


def recall(rows: int, width: int, k: int) -> float:
    """Return the share of the neighbours in a flat index that an inverted one finds.

    The rows are drawn around many centres, as the learned distance leaves them.
    """
    random = np.random.default_rng(SEED)
    centres = random.normal(size=(200, width))
    drawn = centres[random.integers(len(centres), size=rows + ASKED)]
    vectors = (drawn + random.normal(scale=0.5, size=drawn.shape)).astype(np.float32)
    training, asked = vectors[:rows], vectors[rows:]
    found = []
    for kind in ("faiss.Flat", "faiss.IVFFlat"):
        parameters = parse_hyperparameters(
            {
                "k": str(k),
                "sample_size": str(rows),
                "predictor_type": "classifier",
                "index_type": kind,
            }
        )
        # Rows are their own labels, to tell which are found. 32-bit floats hold 16,777,216.
        numbers = np.arange(rows, dtype=np.float32)
        found.append(build_model(parameters, training, numbers).predict(asked).labels)
    shared = [len(set(a) & set(b)) for a, b in zip(*(f.tolist() for f in found), strict=True)]
    return sum(shared) / (k * ASKED)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="rows of covtype's shape")
    parser.add_argument(
        "--indexed", type=int, nargs="*", default=[500_000, 2_000_000], help="rows of an index"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        features, classes = landscape(arguments.rows)
        write_landscape(folder / "rows.csv", features, classes)
        run_pipeline(folder / "rows.csv", folder)
        ours, _, chosen = pipeline_accuracy(folder, ASKED)
        inverted, _, _ = pipeline_accuracy(folder, ASKED, "faiss.IVFFlat")
        plain = plain_accuracy(features, classes, held_out_rows(folder))
        print(
            f"{arguments.rows:,} rows of covtype's shape, {ASKED:,} of those held out asked about"
        )
        print(f"  the pipeline: {ours:.4f} ({chosen})")
        print(f"  the pipeline with an inverted file: {inverted:.4f}")
        print(f"  scikit-learn's k-NN on all training rows: {plain:.4f}")
    for rows in arguments.indexed:
        for width in (4, 12, 54):
            print(f"{rows:,} rows of {width} numbers: recall {recall(rows, width, 5):.3f}")


if __name__ == "__main__":
    main()
