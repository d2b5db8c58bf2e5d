"""The introduction's split of iris."""

import csv
from pathlib import Path

import numpy as np

IRIS = Path(__file__).with_name("iris.csv")
CLASSES = ("setosa", "versicolor", "virginica")


def introduction_split() -> tuple[bytes, bytes]:
    """Train (112 rows) and test (38), label first, as CSV.

    As scikit-learn's ``train_test_split(shuffle=True, random_state=0)`` splits: the first
    quarter, rounded up, of ``RandomState(0).permutation(150)`` is the test set.
    """
    with IRIS.open(newline="") as file:
        _, *rows = csv.reader(file)
    lines = [",".join([str(CLASSES.index(row[4])), *row[:4]]) for row in rows]
    order = np.random.RandomState(0).permutation(len(lines))
    test, train = order[:38], order[38:]
    return (
        "\n".join(lines[i] for i in train).encode() + b"\n",
        "\n".join(lines[i] for i in test).encode() + b"\n",
    )
