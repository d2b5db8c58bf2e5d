"""What a large file takes: parts, time and money, worked out from what one part takes here.

    python -m tools.benchmarks.large_file_costs [--megabytes 128] [--concurrency 100]

Scans, surveys and splits one part of iris-shaped rows on this machine's processor, adds the time
that S3 takes to hand bytes over, and multiplies; what cross-validation takes is added once. Prices
are those of us-east-1.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.iris_rows import write_iris_rows
from tools.benchmarks.own_process import measure

CODE = ("layers/pipeline", "layers/numeric", "functions")

ROW_BYTES = 25.3
"""Bytes of an iris-shaped row."""

# Source: aws.amazon.com/lambda/pricing, /step-functions/pricing, /s3/pricing; us-east-1, x86.
GIGABYTE_SECOND = 0.0000166667
INVOCATION = 0.20 / 1e6
TRANSITION = 0.025 / 1e3
PUT, GET = 0.005 / 1e3, 0.0004 / 1e3
STORED_GIGABYTE_MONTH = 0.023

FUNCTION_GIGABYTES = 1769 / 1024
REQUEST_MEGABYTES = 8.4
"""Of a ranged read, and of a part of a multipart upload."""

S3_MEGABYTES_PER_SECOND = 70
"""A function's share of the network: an assumption, some 600 Mbit/s whatever its memory."""

OVERHEAD_SECONDS = 1.0
"""Of an invocation: its start, small files of the run's folder, the child execution around it."""

MERGED_PER_SECOND = 100
"""Parts' results read and put together in a second, by one invocation."""

ASKS, MERGES, MAPS = 5, 3, 3
"""Of a split by class: two functions are asked five times what is next, three times of them with
results to put together, those of scan, survey and write."""


@dataclass(frozen=True)
class Part:
    """Seconds of computing for a part, and the megabytes of clean rows that become of it."""

    megabytes: float
    scan: float
    survey: float
    choose: float
    write: float
    clean_megabytes: float

    @property
    def seconds(self) -> float:
        """Seconds of all functions together, S3's share included, one thing after the other."""
        moved = 2 * self.megabytes + 3.3 * self.clean_megabytes
        computed = self.scan + self.survey + self.write
        return computed + moved / S3_MEGABYTES_PER_SECOND + MAPS * OVERHEAD_SECONDS

    @property
    def dollars(self) -> float:
        """What the functions, requests and transitions of a part cost."""
        gets = (2 * self.megabytes + self.clean_megabytes) / REQUEST_MEGABYTES + 10
        # Each object takes three requests more: clean rows, rejects, train, test, held-out rows,
        # fingerprints of either side, three of findings.
        puts = 2.75 * self.clean_megabytes / REQUEST_MEGABYTES + 10 * 3
        return (
            self.seconds * FUNCTION_GIGABYTES * GIGABYTE_SECOND
            + MAPS * (INVOCATION + 2 * TRANSITION)
            + gets * GET
            + puts * PUT
        )


def measured(megabytes: float) -> Part:
    """Return what a part of so many megabytes takes on this machine."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "rows.csv"
        write_iris_rows(source, int(megabytes * 1e6 / ROW_BYTES))
        size = source.stat().st_size / 1e6
        scan, survey, choose, write = (
            measure(f"tools.benchmarks.our_{module}", function, *arguments, path=CODE).seconds
            for module, function, arguments in (
                ("preprocess", "scan_all", [str(source)]),
                ("preprocess", "preprocess", [str(source), str(folder)]),
                ("split", "choose", [str(folder)]),
                ("split", "split", [str(folder)]),
            )
        )
        clean = (folder / "data.csv").stat().st_size / 1e6
    return Part(size, scan, survey, choose, write, clean)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=128, help="of a part")
    parser.add_argument("--concurrency", type=int, default=100, help="parts worked on at a time")
    arguments = parser.parse_args()
    part = measured(arguments.megabytes)
    print(
        f"A part of {part.megabytes:.0f} MB: scan {part.scan:.2f} s, survey {part.survey:.2f} s, "
        f"write {part.write:.2f} s of computing, and once {part.choose:.1f} s to choose;\n"
        f"{part.seconds:.1f} s of functions and "
        f"${part.dollars:.5f} with S3 at {S3_MEGABYTES_PER_SECOND} MB/s each."
    )
    print("| file | parts | wall time | function time | cost of preparing it | stored, a month |")
    print("|---|---|---|---|---|---|")
    for gigabytes in (5, 100, 1000):
        parts = math.ceil(gigabytes * 1000 / part.megabytes)
        waves = math.ceil(parts / arguments.concurrency)
        merging = MERGES * parts / MERGED_PER_SECOND
        wall = waves * part.seconds + part.choose + merging + ASKS * OVERHEAD_SECONDS
        stored = gigabytes * (1 + 2.3 * part.clean_megabytes / part.megabytes)
        print(
            f"| {gigabytes} GB | {parts:,} | {_time(wall)} | {_time(parts * part.seconds)} "
            f"| ${parts * part.dollars:,.2f} | ${stored * STORED_GIGABYTE_MONTH:,.2f} |"
        )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


if __name__ == "__main__":
    main()
