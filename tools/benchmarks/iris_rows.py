"""Any number of rows that look like iris: its classes, means, deviations and one decimal."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_HEADER = "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width,Species\n"
_MEANS = np.array([[5.01, 3.43, 1.46, 0.25], [5.94, 2.77, 4.26, 1.33], [6.59, 2.97, 5.55, 2.03]])
_DEVIATIONS = np.array(
    [[0.35, 0.38, 0.17, 0.11], [0.52, 0.31, 0.47, 0.20], [0.64, 0.32, 0.55, 0.27]]
)
_CLASSES = ("setosa", "versicolor", "virginica")
_COLOURS = ("blue", "purple", "violet", "white")
_SITES = ("bog", "lake shore", "meadow", "marsh", "riverbank", "wood")
_AT_ONCE = 200_000


def write_iris_rows(
    path: Path, rows: int, *, spoiled: float = 0.0, with_texts: bool = False
) -> None:
    """Write a CSV of so many rows, in random order.

    Parameters
    ----------
    spoiled
        Share of the rows that have ``NA`` for a value.
    with_texts
        Whether there are two more columns, of words.
    """
    draw = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(("Colour,Site," if with_texts else "") + _HEADER)
        for start in range(0, rows, _AT_ONCE):
            count = min(_AT_ONCE, rows - start)
            classes = draw.integers(0, 3, count)
            noise = draw.normal(size=(count, 4)) * _DEVIATIONS[classes]
            tenths = np.maximum(np.rint((_MEANS[classes] + noise) * 10), 1).astype(int)
            bad = draw.random(count) < spoiled
            texts = [""] * count
            if with_texts:
                colours, sites = draw.integers(0, 4, count), draw.integers(0, 6, count)
                texts = [f"{_COLOURS[c]},{_SITES[s]}," for c, s in zip(colours, sites, strict=True)]
            file.writelines(
                f"{text}{a // 10}.{a % 10},{'NA' if is_bad else f'{b // 10}.{b % 10}'},"
                f"{c // 10}.{c % 10},{d // 10}.{d % 10},{_CLASSES[label]}\n"
                for text, (a, b, c, d), label, is_bad in zip(
                    texts, tenths.tolist(), classes.tolist(), bad.tolist(), strict=True
                )
            )
