"""Rows of four numbers and a class, as files have them: few digits or many, quotes or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_NAMES = ("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width", "Species")
_CLASSES = ("setosa", "versicolor", "virginica")
_AT_ONCE = 100_000


def _tenths(draw: np.random.Generator, rows: int) -> NDArray[np.float64]:
    return np.round(draw.uniform(0, 9.9, (rows, 4)), 1)


def _thousandths(draw: np.random.Generator, rows: int) -> NDArray[np.float64]:
    return np.round(draw.normal(0, 100, (rows, 4)), 3)


def _floats(draw: np.random.Generator, rows: int) -> NDArray[np.float64]:
    return draw.normal(size=(rows, 4))


KINDS: dict[str, tuple[Callable[[np.random.Generator, int], NDArray[np.float64]], str, str]] = {
    "one decimal": (_tenths, ".1f", ""),
    "quoted labels": (_tenths, ".1f", '"'),
    "three decimals, signs": (_thousandths, ".3f", ""),
    "floats of 17 digits": (_floats, "", ""),
}
"""What numbers are drawn, the format that they are written in, and what is around words."""


def write_rows(path: Path, rows: int, kind: str) -> None:
    """Write a CSV of so many rows of a kind."""
    numbers, form, quote = KINDS[kind]
    draw = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join(f"{quote}{name}{quote}" for name in _NAMES) + "\n")
        for start in range(0, rows, _AT_ONCE):
            count = min(_AT_ONCE, rows - start)
            labels = draw.integers(0, 3, count).tolist()
            file.writelines(
                f"{a:{form}},{b:{form}},{c:{form}},{d:{form}},{quote}{_CLASSES[label]}{quote}\n"
                for (a, b, c, d), label in zip(numbers(draw, count).tolist(), labels, strict=True)
            )
