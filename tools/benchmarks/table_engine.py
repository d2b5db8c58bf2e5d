"""How fast `tabular` is on one thread: a million rows of four short numbers and a word.

``python -m tools.benchmarks.table_engine`` compares it with the csv module.
"""

from __future__ import annotations

import csv
import io
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tabular.blocks import Rows, read_blocks
from tabular.numbers import NumberFormat, read_numbers
from tabular.words import Vocabulary

ROWS = 1_000_000
WORDS = ("ash", "birch", "oak")
FORMATS = [NumberFormat()] * 4


def main() -> None:
    """Print what each step takes, the best of five times."""
    draw = random.Random(1)
    fields = ([f"{draw.uniform(0.1, 9):.1f}" for _ in FORMATS] for _ in range(ROWS))
    data = "".join(f"{','.join(row)},{draw.choice(WORDS)}\n" for row in fields).encode()
    every = list(rows_of(data))
    vocabulary = Vocabulary(WORDS.index)

    def by_csv_module() -> None:
        for row in csv.reader(io.StringIO(data.decode(), newline=""), strict=True):
            for number in row[:4]:
                float(number)
            WORDS.index(row[4])

    steps: dict[str, Callable[[], object]] = {
        "csv module: records, numbers, words": by_csv_module,
        "read_blocks": lambda: list(rows_of(data)),
        "read_numbers": lambda: [numbers_of(rows) for rows in every],
        # Rows keep the hashes of their words, which are to be counted in each time.
        "Vocabulary": lambda: [vocabulary.numbers(replace(rows, hashes={}), 4) for rows in every],
    }
    for name, step in steps.items():
        seconds = min(_timed(step) for _ in range(5))
        print(f"{name:36}{seconds:6.2f} s{len(data) / seconds / 1e6:6,.0f} MB/s")


def rows_of(data: bytes) -> Iterator[Rows]:
    """Yield the rows of each block."""
    for block in read_blocks([data], delimiter=",", width=5):
        yield block.rows


def numbers_of(rows: Rows) -> object:
    """Return the numbers of rows."""
    return read_numbers(rows.array, *rows.bounds([0, 1, 2, 3]), FORMATS)


def _timed(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
