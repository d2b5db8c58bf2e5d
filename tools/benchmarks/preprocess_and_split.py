"""Preprocess and split against what the introduction does with pandas, in one run.

    python -m tools.benchmarks.preprocess_and_split [--rows 10000000] [--repeat 3]

Prints seconds, ratios and memory. Both read the same file from the same disk and write to it; a
process of its own does each, so that memory is its own. The best of several runs counts. The
introduction scales nothing and chooses nothing, so ours is told not to, but for what says "by
default": then numbers are scaled and written anew. What choosing by cross-validation takes is
printed by itself, it doesn't grow with the file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.iris_rows import write_iris_rows
from tools.benchmarks.own_process import Measured, measure
from tools.benchmarks.written_rows import KINDS, write_rows

OURS = ("layers/pipeline", "layers/numeric", "functions")

AS_BY_HAND = '{"standardisation": "none", "k": 5, "weights": "uniform", "metric": "L2"}'


@dataclass(frozen=True)
class Compared:
    """The introduction, Preprocess and Split, on the same rows; and what was chosen."""

    by_hand: Measured
    prepared: Measured
    divided: Measured
    choice: dict[str, object]

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.by_hand.seconds / (self.prepared.seconds + self.divided.seconds)

    @property
    def megabytes(self) -> float:
        """The most memory that ours takes."""
        return max(self.prepared.megabytes, self.divided.megabytes)


def best(runs: list[Measured]) -> Measured:
    """Return the least time and the most memory of several runs."""
    return Measured(
        min(run.seconds for run in runs),
        min(run.import_seconds for run in runs),
        max(run.megabytes for run in runs),
    )


def compare(folder: Path, source: Path, repeat: int, settings: str = AS_BY_HAND) -> Compared:
    """Return the introduction, Preprocess and Split, run in turn on the same rows."""
    by_hand: list[Measured] = []
    prepared: list[Measured] = []
    divided: list[Measured] = []
    for _ in range(repeat):
        by_hand.append(
            measure(
                "tools.benchmarks.introduction", "preprocess_and_split", str(source), str(folder)
            )
        )
        prepared.append(
            measure(
                "tools.benchmarks.our_preprocess",
                "preprocess",
                str(source),
                str(folder),
                settings,
                path=OURS,
            )
        )
        if len(divided) == 0:
            chosen = measure("tools.benchmarks.our_split", "choose", str(folder), path=OURS)
        divided.append(measure("tools.benchmarks.our_split", "split", str(folder), path=OURS))
    choice = json.loads((folder / "choice.json").read_text())
    return Compared(
        best(by_hand),
        best(prepared),
        best(divided),
        {
            "by": choice["by"],
            "map": choice["map"],
            "k": choice["k"],
            "seconds": choice["seconds"],
            "megabytes": chosen.megabytes,
        },
    )


def report(title: str, found: Compared) -> None:
    """Print a comparison."""
    print(title)
    for name, measured in (
        ("introduction (pandas)", found.by_hand),
        ("Preprocess", found.prepared),
        ("Split", found.divided),
    ):
        print(f"  {name:<22} {measured.seconds:7.2f} s   {measured.megabytes:7.0f} MB")
    print(f"  ratio of time, introduction to Preprocess and Split: {found.ratio:.1f}")
    print(f"  ratio of memory: {found.by_hand.megabytes / found.megabytes:.1f}")
    choice = found.choice
    if choice["by"] == "cross-validation":
        print(
            f"  chosen by cross-validation: {choice['map']}, k {choice['k']}, in "
            f"{choice['seconds']:.1f} s and {choice['megabytes']:.0f} MB"
        )


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
        small = compare(folder, source, 1)
        write_iris_rows(source, rows)
        found = compare(folder, source, repeat)
        report(f"{rows:,} iris-shaped rows, {source.stat().st_size / 1e6:,.0f} MB", found)
        print(
            f"  memory at {rows:,} rows against {rows // 10:,}: {found.megabytes:.0f} MB against "
            f"{small.megabytes:.0f} MB"
        )
        report("the same by default", compare(folder, source, repeat, "{}"))
        write_iris_rows(source, rows, with_texts=True)
        report(f"{rows:,} rows with two columns of text", compare(folder, source, repeat))
        report("the same by default", compare(folder, source, repeat, "{}"))
        write_iris_rows(source, rows // 10, spoiled=0.01)
        spoiled = compare(folder, source, repeat)
        report(f"{rows // 10:,} rows, a value missing in 1 % of them", spoiled)
        for kind in KINDS:
            write_rows(source, rows // 10, kind)
            report(f"{rows // 10:,} rows, {kind}", compare(folder, source, repeat))


if __name__ == "__main__":
    main()
