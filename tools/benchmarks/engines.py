"""Engines that Preprocess might have been built on: time, memory, size and import, side by side.

    python -m tools.benchmarks.engines [--rows 2000000]

Needs benchmarks/requirements.txt besides requirements-dev.txt; what is not installed is left out.
Each engine runs in a process of its own, on one thread where it can be told.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tools.benchmarks.iris_rows import write_iris_rows
from tools.benchmarks.own_process import Measured, measure
from tools.benchmarks.preprocess_and_split import OURS


@dataclass(frozen=True)
class Engine:
    """An engine: its job, and the packages that it would bring into a function."""

    name: str
    module: str
    function: str
    packages: tuple[str, ...]
    imports: str


ENGINES = [
    Engine("csv module", "tools.benchmarks.engine_jobs", "by_csv_module", (), "csv"),
    Engine(
        "pandas chunks",
        "tools.benchmarks.engine_jobs",
        "by_pandas_chunks",
        ("pandas", "numpy"),
        "pandas",
    ),
    Engine("pyarrow", "tools.benchmarks.engine_jobs", "by_pyarrow", ("pyarrow",), "pyarrow.csv"),
    Engine(
        "polars",
        "tools.benchmarks.engine_jobs",
        "by_polars",
        ("polars", "polars-runtime-32"),
        "polars",
    ),
    Engine("duckdb", "tools.benchmarks.engine_jobs", "by_duckdb", ("duckdb",), "duckdb"),
    Engine(
        "numpy blocks",
        "tools.benchmarks.our_preprocess",
        "preprocess",
        ("numpy",),
        "numpy",
    ),
]


def megabytes_of(packages: tuple[str, ...]) -> float:
    """Return the size of installed packages, as a function would unpack them.

    Raises
    ------
    PackageNotFoundError
        One of them is not installed.
    """
    files = [
        Path(str(found.locate_file(path)))
        for name in packages
        for found in [distribution(name)]
        for path in found.files or ()
        if path.suffix != ".pyc"
    ]
    return sum(file.stat().st_size for file in files if file.exists()) / 1e6


def import_seconds(module: str) -> float:
    """Return what it takes a new process to import a module: a share of a cold start."""
    script = (
        f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        for _ in range(3)
    ]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    rows = parser.parse_args().rows
    found: dict[str, tuple[Measured, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "iris.csv"
        write_iris_rows(source, rows)
        for engine in ENGINES:
            try:
                size = megabytes_of(engine.packages)
            except PackageNotFoundError:
                print(f"{engine.name} is not installed")
                continue
            path = OURS if engine.module.endswith("our_preprocess") else ()
            runs = [
                measure(engine.module, engine.function, str(source), folder, path=path)
                for _ in range(3)
            ]
            best = min(runs, key=lambda run: run.seconds)
            found[engine.name] = replace(best, import_seconds=import_seconds(engine.imports)), size
    base = found["csv module"][0].seconds
    print(f"{rows:,} iris-shaped rows, best of 3")
    print("engine          seconds  times csv   memory MB  import s   packages MB")
    for name, (run, size) in found.items():
        print(
            f"{name:<15} {run.seconds:7.2f} {base / run.seconds:10.1f} {run.megabytes:11.0f} "
            f"{run.import_seconds:9.2f} {size:13.0f}"
        )


if __name__ == "__main__":
    main()
