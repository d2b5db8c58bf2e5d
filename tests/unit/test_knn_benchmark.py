"""The benchmark runs, small."""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SMALL = ["--rows", "500", "--repeats", "1", "--single-predictions", "100"]


def test_the_benchmark_prints_its_ratios() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tools.benchmarks.knn", *SMALL],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    ratios = re.findall(r"^  (.+ / .+?) +\d+\.\d\d\b", ended.stdout, re.MULTILINE)
    assert ratios == [
        "File mode / plain faiss",
        "Pipe mode / plain faiss",
        "File mode / scikit-learn",
        "embedded_aws.knn / protobuf",
        *["text/csv / faiss search", "application/json / faiss search", "text/csv / scikit-learn"]
        * 2,
    ]
    assert re.search(r"^  grown by -?\d+ kB after$", ended.stdout, re.MULTILINE)
