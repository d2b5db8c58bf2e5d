"""Preprocess and split against what the introduction does with pandas, in one run.

    python -m benchmarks.preprocess_and_split [--rows 10000000] [--repeat 3]

Prints seconds, ratios and memory. Both read the same file from the same disk and write to it; a
process of its own does each, so that memory is its own. The best of several runs counts.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.iris_rows import write_iris_rows
from benchmarks.own_process import Measured, measure
from benchmarks.written_rows import KINDS, write_rows

OURS = ("layers/pipeline", "functions/preprocess")
OUR_SPLIT = ("layers/pipeline", "functions/split")


def best(runs: list[Measured]) -> Measured:
    """Return the least time and the most memory of several runs."""
    return Measured(
        min(run.seconds for run in runs),
        min(run.import_seconds for run in runs),
        max(run.megabytes for run in runs),
    )


def compare(folder: Path, source: Path, repeat: int) -> tuple[Measured, Measured, Measured]:
    """Return the introduction, Preprocess and Split, run in turn on the same rows."""
    by_hand, prepared, divided = [], [], []
    for _ in range(repeat):
        by_hand.append(
            measure("benchmarks.introduction", "preprocess_and_split", str(source), str(folder))
        )
        prepared.append(
            measure("benchmarks.our_preprocess", "preprocess", str(source), str(folder), path=OURS)
        )
        divided.append(measure("benchmarks.our_split", "split", str(folder), path=OUR_SPLIT))
    return best(by_hand), best(prepared), best(divided)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the large file")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the best counts")
    arguments = parser.parse_args()
    rows, repeat = arguments.rows, arguments.repeat
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "rows.csv"
        write_iris_rows(source, rows // 10)
        _, small, small_split = compare(folder, source, 1)
        write_iris_rows(source, rows)
        by_hand, prepared, divided = compare(folder, source, repeat)
        megabytes = source.stat().st_size / 1e6
        write_iris_rows(source, rows, spoiled=0.01)
        spoiled = best(
            [
                measure("benchmarks.our_preprocess", "preprocess", *paths, path=OURS)
                for paths in [(str(source), str(folder))] * repeat
            ]
        )
        standardised = best(
            [
                measure("benchmarks.our_split", "split", str(folder), "zscore", path=OUR_SPLIT)
                for _ in range(repeat)
            ]
        )
        kinds = []
        for kind in KINDS:
            write_rows(source, rows // 10, kind)
            kinds.append((kind, source.stat().st_size / 1e6, *compare(folder, source, repeat)))
    ours = prepared.seconds + divided.seconds
    memory = max(prepared.megabytes, divided.megabytes)
    small_memory = max(small.megabytes, small_split.megabytes)
    print(f"{rows:,} iris-shaped rows, {megabytes:,.0f} MB, best of {repeat}")
    print(f"  introduction (pandas)  {by_hand.seconds:7.2f} s   {by_hand.megabytes:7.0f} MB")
    print(f"  Preprocess             {prepared.seconds:7.2f} s   {prepared.megabytes:7.0f} MB")
    print(f"  Split                  {divided.seconds:7.2f} s   {divided.megabytes:7.0f} MB")
    print(f"ratio of time, introduction to Preprocess and Split: {by_hand.seconds / ours:.1f}")
    print(f"  ({megabytes / prepared.seconds:,.0f} MB/s in Preprocess)")
    print(f"ratio of memory: {by_hand.megabytes / memory:.1f}")
    print(
        f"memory at {rows:,} rows against {rows // 10:,}: {memory:.0f} MB against "
        f"{small_memory:.0f} MB, ratio {memory / small_memory:.2f}"
    )
    print(
        f"Preprocess with a value missing in 1 % of the rows: {spoiled.seconds:.2f} s; Split of "
        f"those kept, standardised: {standardised.seconds:.2f} s"
    )
    print(f"{rows // 10:,} rows as they may be written, best of {repeat}:")
    for kind, size, theirs, *steps in kinds:
        seconds = sum(step.seconds for step in steps)
        print(
            f"  {kind:<22} {size:4.0f} MB  introduction {theirs.seconds:6.2f} s  Preprocess "
            f"{steps[0].seconds:5.2f} s  Split {steps[1].seconds:5.2f} s  ratio "
            f"{theirs.seconds / seconds:4.1f}"
        )


if __name__ == "__main__":
    main()
