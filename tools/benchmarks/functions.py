"""Sizes of the functions and layers, and their cold init, against what one would use otherwise.

Builds what is to be deployed, as ``sam build`` does. A cold init is a new process, which imports
the handler's module and makes its clients, from the built folder, its layers and what Lambda's
runtime brings, and nothing else; here without the start of the micro-VM, which is the same for
all. Prints seconds of CPU, and the median of ratios of those taken in turn, in rounds. What one
would use otherwise has the versions that this project pins for its own use; the SageMaker SDK is
left out unless ``make test`` has set it up. ``python -m tools.benchmarks.functions`` takes two
minutes.
"""

import argparse
import io
import os
import resource
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cli import deploy
from cli.settings import Local
from tests.artefacts import AS_ON_LAMBDA, RUNTIME_BRINGS, artefacts, gather, isolated, layer_folders
from tools.benchmarks.knn import PROJECT, ratio, say

UNZIPPED_LIMIT = 250 * 2**20
"""Bytes of a function with its layers. Source: Lambda developer guide, "Lambda quotas"."""

SDK_V2 = PROJECT / ".venv-sdk-v2/lib/python3.13/site-packages"

CLIENTS = """
import boto3
boto3.client("s3"); boto3.client("stepfunctions"); boto3.resource("dynamodb")
"""


API = """
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
Logger("any"); Tracer("any"); Metrics("any"); APIGatewayRestResolver()
"""


@dataclass(frozen=True)
class Otherwise:
    """What one would write a function with, without this project."""

    name: str
    distributions: tuple[str, ...]
    program: str
    site_packages: Path | None = None


OTHERWISE = (
    Otherwise("boto3 alone", (), CLIENTS),
    Otherwise("Powertools", ("aws-lambda-powertools", "aws-xray-sdk"), CLIENTS + API),
    Otherwise("pandas", ("pandas",), CLIENTS + "import pandas\n"),
    Otherwise("scikit-learn", ("scikit-learn",), CLIENTS + "import sklearn.metrics\n"),
    Otherwise(
        "SageMaker SDK 2",
        ("sagemaker",),
        CLIENTS + "import sagemaker.predictor\n",
        site_packages=SDK_V2,
    ),
)


def main() -> int:
    """Run all measurements."""
    parser = argparse.ArgumentParser("python -m tools.benchmarks.functions", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="rounds of measurement")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("sam build")
        deploy.build(Local(folder, 0))
        build, runtime = folder / "build", folder / "runtime"
        runtime.mkdir()
        gather(RUNTIME_BRINGS, runtime)
        others = {}
        for other in OTHERWISE:
            if other.site_packages is None or other.site_packages.exists():
                others[other] = folder / other.name
                gather_besides(runtime, other, others[other])
        measure_sizes(build, others)
        measure_init(build, runtime, others, given.repeats)
    return 0


def gather_besides(runtime: Path, other: Otherwise, into: Path) -> None:
    """Link what a function would have to bring itself, which is what the runtime doesn't."""
    into.mkdir()
    for distribution in other.distributions:
        gather(distribution, into, other.site_packages)
    for there in runtime.iterdir():
        (into / there.name).unlink(missing_ok=True)


def measure_sizes(build: Path, others: dict[Otherwise, Path]) -> None:
    """Bytes as Lambda unpacks them, and as they are uploaded."""
    layers = {layer: size(layer) for layer in layer_folders(build)}
    sizes = {other: size(folder) for other, folder in others.items()}
    reference = next(unpacked for other, (unpacked, _) in sizes.items() if other.name == "pandas")
    print("Size: unpacked with layers, of that the function itself, zipped")
    for function in artefacts(build):
        own, packed = size(function.folder)
        whole = own + sum(layers[layer.parent][0] for layer in function.path[1:])
        print(
            f"  {function.logical_id:24} {whole / 1e6:7.2f} MB {own / 1e6:7.2f} MB"
            f" {packed / 1e6:7.2f} MB   / pandas {whole / reference:.2f}"
            f"   of Lambda's limit {whole / UNZIPPED_LIMIT:.1%}"
        )
    for layer, (unpacked, packed) in layers.items():
        print(f"  {layer.name:24} {unpacked / 1e6:7.2f} MB {'':10} {packed / 1e6:7.2f} MB")
    for other, (unpacked, packed) in sizes.items():
        if unpacked:
            print(
                f"  {other.name:24} {unpacked / 1e6:7.2f} MB {'':10} {packed / 1e6:7.2f} MB"
                f"   / pandas {unpacked / reference:.2f}"
                f"   of Lambda's limit {unpacked / UNZIPPED_LIMIT:.1%}"
            )


def measure_init(build: Path, runtime: Path, others: dict[Otherwise, Path], repeats: int) -> None:
    """Seconds of CPU from the start of a process until its handler could be called."""

    def init(code: str, path: list[Path], environment: dict[str, str]) -> Callable[[], float]:
        def run() -> float:
            before = cpu_of_children()
            ended = isolated(code, [*path, runtime], environment)
            if ended.returncode:
                raise SystemExit(f"{code}\n{ended.stderr}")
            return cpu_of_children() - before

        return run

    ways: dict[str, Callable[[], float]] = {}
    for function in artefacts(build):
        module = function.handler.rpartition(".")[0]
        environment = {**function.variables, **AS_ON_LAMBDA}
        ways[function.logical_id] = init(f"import {module}", function.path, environment)
    for other, folder in others.items():
        ways[other.name] = init(other.program, [folder], AS_ON_LAMBDA)
    for way in ways.values():
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        say(f"cold inits, {repeat + 1} of {repeats}")
        for name, way in ways.items():
            times[name].append(way())
    print("\nCold init, seconds of CPU")
    for name, seconds in times.items():
        against = "   ".join(
            f"/ {other.name} {ratio(seconds, times[other.name])}"
            for other in others
            if other.name != name
        )
        print(f"  {name:24} {median(seconds):6.3f} s   {against}")


def cpu_of_children() -> float:
    """Return the seconds of CPU that ended child processes have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def size(folder: Path) -> tuple[int, int]:
    """Bytes of a folder's files, and of a zip file of them; links are what they lead to."""
    unpacked = 0
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for parent, _, names in os.walk(folder, followlinks=True):
            for name in names:
                path = Path(parent) / name
                unpacked += path.stat().st_size
                archive.write(path, path.relative_to(folder))
    return unpacked, packed.tell()


if __name__ == "__main__":
    sys.exit(main())
