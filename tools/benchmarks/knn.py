"""k-NN against plain faiss and scikit-learn: training, a served batch, memory.

Prints the median of ratios of times that were taken in turn, in rounds, so that whatever else the
machine does slows both sides. ``python -m tools.benchmarks.knn`` takes some minutes and, for the
file of a million rows, 0.6 GB of disk.
"""

import argparse
import io
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from embedded_aws.knn import recordio
from embedded_aws.knn.artefact import read_folder
from embedded_aws.knn.hyperparameters import Hyperparameters
from embedded_aws.knn.inference import answer
from embedded_aws.knn.model import Model, build_model
from embedded_aws.knn.rows import Matrix

PROJECT = Path(__file__).resolve().parents[2]
BATCH_ROWS = 1000
SMALL_ROWS = 10_000
RECORDIO_ROWS = 20_000

# What one would write without this project. Each is a whole process, as training is.
READ_WITH_PANDAS = """
import pandas
table = pandas.read_csv(path, header=None).to_numpy("float32")
"""
READ_WITH_NUMPY = """
import numpy
table = numpy.loadtxt(path, delimiter=",", dtype="float32")
"""
BUILD_FAISS = """
import faiss, numpy
index = faiss.IndexFlatL2(table.shape[1] - 1)
index.add(numpy.ascontiguousarray(table[:, 1:]))
"""
FIT_SCIKIT_LEARN = """
from sklearn.neighbors import KNeighborsClassifier
KNeighborsClassifier(k, algorithm="brute").fit(table[:, 1:], table[:, 0])
"""


def main() -> int:
    """Run all measurements."""
    parser = argparse.ArgumentParser("python -m tools.benchmarks.knn", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5, help="rounds of measurement")
    parser.add_argument(
        "--single-predictions", type=int, default=10_000, help="to look for a leak with"
    )
    given = parser.parse_args()
    print(f"{given.rows} x {given.features}, k = {given.k}, {os.process_cpu_count()} processors")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_training(folder, given.rows, given.features, given.k, given.repeats)
        model = read_folder(folder / "model")
        small = build_model(
            Hyperparameters(model.k, model.predictor_type, SMALL_ROWS),
            model.index.reconstruct_n(0, min(SMALL_ROWS, model.index.ntotal)),
            model.labels[:SMALL_ROWS],
        )
        measure_recordio(min(given.rows, RECORDIO_ROWS), given.features, given.repeats)
        measure_batch(model, given.repeats)
        measure_batch(small, given.repeats)
        measure_memory(small, given.single_predictions)
    return 0


def measure_training(folder: Path, rows: int, features: int, k: int, repeats: int) -> None:
    """Training end to end, from a CSV file and from a pipe, against reading it and building."""
    path = folder / "input/data/train/train.csv"
    path.parent.mkdir(parents=True)
    (folder / "input/config").mkdir()
    (folder / "output").mkdir()
    (folder / "model").mkdir()
    write_csv(path, rows, features)
    say(f"wrote {path.stat().st_size / 1e6:.0f} MB of CSV")
    hyperparameters = {"k": str(k), "sample_size": str(rows), "predictor_type": "classifier"}
    (folder / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters))

    def plain(*steps: str) -> Callable[[], None]:
        script = "".join((f"path, k = {str(path)!r}, {k}\n", *steps))
        return lambda: run([sys.executable, "-W", "ignore", "-c", script])

    ways = {
        "embedded_aws.knn train, File mode": lambda: train(folder, path, "File"),
        "embedded_aws.knn train, Pipe mode": lambda: train(folder, path, "Pipe"),
        "pandas and faiss": plain(READ_WITH_PANDAS, BUILD_FAISS),
        "numpy and faiss": plain(READ_WITH_NUMPY, BUILD_FAISS),
        "pandas and scikit-learn": plain(READ_WITH_PANDAS, FIT_SCIKIT_LEARN),
    }
    times = in_turn(ways, repeats)
    file_mode, pipe_mode, pandas, numpy, scikit_learn = times.values()
    plain_faiss = [min(pair) for pair in zip(pandas, numpy, strict=True)]
    print("\nTraining: process start, reading the CSV, building a flat index; ours also saves it")
    show(times)
    print(f"  File mode / plain faiss  {ratio(file_mode, plain_faiss)}   (goal: at most 1.3)")
    print(f"  Pipe mode / plain faiss  {ratio(pipe_mode, plain_faiss)}   (goal: at most 1.3)")
    print(f"  File mode / scikit-learn {ratio(file_mode, scikit_learn)}")


def measure_recordio(rows: int, features: int, repeats: int) -> None:
    """Reading RecordIO as training does, against parsing one message after the other."""
    table = random_features(np.random.default_rng(1), rows, features)
    data = b"".join(framed_record(row) for row in table.tolist())
    ways: dict[str, Callable[[], Any]] = {
        "embedded_aws.knn": lambda: list(recordio.read_record_batches(io.BytesIO(data), "data")),
        "protobuf, message by message": lambda: [
            list(record.features["values"].float32_tensor.values)
            for record in recordio.split_records(data, "data")
        ],
    }
    times = in_turn(ways, repeats)
    print(f"\nReading {rows} records of RecordIO-protobuf")
    show(times)
    print(f"  embedded_aws.knn / protobuf            {ratio(*times.values())}")


def framed_record(row: list[float]) -> bytes:
    """A record as the SageMaker SDK writes it."""
    record = recordio.Record()
    record.features["values"].float32_tensor.values.extend(row)
    record.label["values"].float32_tensor.values.append(1.0)
    body: bytes = record.SerializeToString()
    return struct.pack("<II", recordio.MAGIC, len(body)) + body + bytes(-len(body) % 4)


def measure_batch(model: Model, repeats: int) -> None:
    """A request of 1000 rows, answered in JSON, against faiss's search for the same rows."""
    from sklearn.neighbors import KNeighborsClassifier

    rows = random_features(np.random.default_rng(1), BATCH_ROWS, model.feature_dim)
    text = "\n".join(",".join(map(repr, row)) for row in rows.tolist()).encode()
    instances = [{"features": row} for row in rows.tolist()]
    document = json.dumps({"instances": instances}).encode()
    vectors = model.index.reconstruct_n(0, model.index.ntotal)
    reference = KNeighborsClassifier(model.k, algorithm="brute").fit(vectors, model.labels)
    accept = "application/json"
    ways: dict[str, Callable[[], Any]] = {
        "text/csv": lambda: answer(model, text, "text/csv", accept),
        "application/json": lambda: answer(model, document, "application/json", accept),
        "faiss search": lambda: model.index.search(rows, model.k),
        "scikit-learn predict": lambda: reference.predict(rows),
    }
    times = in_turn(ways, repeats)
    csv, from_json, search, scikit_learn = times.values()
    print(f"\nA batch of {BATCH_ROWS} rows against {model.index.ntotal}, JSON out")
    show(times)
    print(f"  text/csv / faiss search         {ratio(csv, search)}   (goal: at most 1.5)")
    print(f"  application/json / faiss search {ratio(from_json, search)}   (goal: at most 1.5)")
    print(f"  text/csv / scikit-learn         {ratio(csv, scikit_learn)}")


def measure_memory(model: Model, predictions: int) -> None:
    """Memory before and after many predictions of one row."""
    rows = random_features(np.random.default_rng(1), 100, model.feature_dim)
    bodies = [",".join(map(repr, row)).encode() for row in rows.tolist()]

    def predict(times: int) -> None:
        for number in range(times):
            answer(model, bodies[number % len(bodies)], "text/csv", "application/json")

    predict(min(predictions, 1000))
    before = resident_bytes()
    predict(predictions)
    grown = resident_bytes() - before
    print(f"\nMemory before {predictions} single predictions: {before / 1e6:.1f} MB")
    print(f"  grown by {grown / 1e3:.0f} kB after")


def train(folder: Path, path: Path, mode: str) -> None:
    """Run the algorithm as SageMaker does, on a folder laid out as /opt/ml."""
    channel = {"train": {"ContentType": "text/csv", "TrainingInputMode": mode}}
    (folder / "input/config/inputdataconfig.json").write_text(json.dumps(channel))
    command = [sys.executable, "-m", "embedded_aws.knn", "train", str(folder)]
    if mode == "File":
        return run(command)
    with fed_pipe(folder / "input/data/train_0", path):
        return run(command)


@contextmanager
def fed_pipe(pipe: Path, path: Path) -> Iterator[None]:
    """A named pipe that gives a file's content to whoever opens it."""
    os.mkfifo(pipe)

    def feed() -> None:
        with path.open("rb") as source, pipe.open("wb") as sink:
            while block := source.read(1 << 20):
                sink.write(block)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield
        feeder.join()
    finally:
        pipe.unlink()


def run(command: list[str]) -> None:
    """Run a process to its end; what it says is shown if it fails."""
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}\n{ended.stdout}{ended.stderr}")


def in_turn(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds that each way took, in rounds in which all are tried in turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
            say(f"{repeat + 1}/{repeats}  {name}: {times[name][-1]:.3f} s")
    return times


def ratio(ours: list[float], others: list[float]) -> str:
    """The median of the rounds' ratios."""
    return f"{median(a / b for a, b in zip(ours, others, strict=True)):.2f}"


def show(times: dict[str, list[float]]) -> None:
    """A line for each way, with the median of its times."""
    for name, seconds in times.items():
        print(f"  {name:28} {median(seconds):8.3f} s")


def say(message: str) -> None:
    """Progress, beside the results."""
    print(f"    {message}", file=sys.stderr, flush=True)


def random_features(random: np.random.Generator, rows: int, features: int) -> Matrix:
    """Numbers from 0 to 10 with six decimals."""
    return (random.integers(0, 10**7, (rows, features)) / 10**6).astype(np.float32)


def write_csv(path: Path, rows: int, features: int) -> None:
    """Write labels from 0 to 9 and numbers from 0 to 10 with six decimals."""
    random = np.random.default_rng(0)
    powers = 10 ** np.arange(6, -1, -1)
    with path.open("wb") as file:
        for start in range(0, rows, 50_000):
            n = min(50_000, rows - start)
            numbers = random.integers(0, 10**7, (n, features, 1))
            digits = (numbers // powers % 10 + ord("0")).astype(np.uint8)
            cells = np.empty((n, features, 9), np.uint8)
            cells[:, :, 0] = ord(",")
            cells[:, :, 1], cells[:, :, 2] = digits[:, :, 0], ord(".")
            cells[:, :, 3:] = digits[:, :, 1:]
            lines = np.empty((n, features * 9 + 2), np.uint8)
            lines[:, 0] = random.integers(0, 10, n) + ord("0")
            lines[:, 1:-1] = cells.reshape(n, -1)
            lines[:, -1] = ord("\n")
            file.write(lines.tobytes())


def resident_bytes() -> int:
    """Memory that this process occupies."""
    # /proc is Linux's own; elsewhere the greatest size so far must do, which grows just as well.
    if sys.platform != "linux":
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
