"""What is built for Lambda runs with only itself, its layers and what Lambda brings."""

import json
import re
from importlib.metadata import distributions
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

from cli.events import function_of
from tests.artefacts import (
    AS_ON_LAMBDA,
    RUNTIME_BRINGS,
    Artefact,
    artefacts,
    gather,
    isolated,
    normal,
    tops,
)
from tests.deployed import ROOT, Build
from tests.reachable_imports import reachable_imports, sources

pytestmark = pytest.mark.e2e

FUNCTIONS = [
    name
    for name, resource in yaml_parse((ROOT / "template.yaml").read_text())["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
]

IMPORT = """
import importlib, json
missing = []
for wanted in json.load(sys.stdin):
    module, _, name = wanted.partition(":")
    try:
        found = importlib.import_module(module)
        if name and not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")
    except ImportError as error:
        missing.append(f"{wanted}: {error}")
print(json.dumps(missing))
"""

# The last line gives, for each event, why it couldn't be handled, if it couldn't.
HANDLE = """
import importlib, json, os, traceback, types
module, _, name = os.environ["_HANDLER"].rpartition(".")
handler = getattr(importlib.import_module(module), name)
context = types.SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=128,
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:function",
    aws_request_id="00000000-0000-0000-0000-000000000000",
    log_stream_name="stream",
    get_remaining_time_in_millis=lambda: 60000,
)
outcomes = {}
for event, sent in json.load(sys.stdin).items():
    try:
        json.dumps(handler(sent, context))
        outcomes[event] = None
    except Exception as error:
        outcomes[event] = "".join(traceback.format_exception(error))
print("\\n" + json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what Lambda's Python runtime brings."""
    folder = tmp_path_factory.mktemp("runtime")
    gather(RUNTIME_BRINGS, folder)
    return folder


@pytest.fixture(scope="module")
def built(build: Build) -> dict[str, Artefact]:
    return {artefact.logical_id: artefact for artefact in artefacts(build.artefacts)}


def own_folder(artefact: Artefact) -> Path:
    """The folder of functions/ that a function was built from."""
    return ROOT / "functions" / artefact.handler.partition(".")[0]


def missing_imports(artefact: Artefact, path: list[Path], runtime: Path) -> list[str]:
    """What a function may import and can't, from a path that stands for its own."""
    folder = own_folder(artefact)
    own = {
        name: file for name, file in sources(folder.parent).items() if file.is_relative_to(folder)
    }
    layers = {
        name: file
        for layer in (ROOT / "layers").glob("*/")
        for name, file in sources(layer).items()
    }
    start = artefact.handler.rpartition(".")[0]
    wanted = json.dumps([start, *sorted(reachable_imports(start, own, layers))])
    result = isolated(IMPORT, [*path, runtime], artefact.variables | AS_ON_LAMBDA, wanted)
    assert result.returncode == 0, result.stderr
    found: list[str] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_everything_that_a_function_may_import_is_there(built, runtime, function):
    artefact = built[function]
    assert missing_imports(artefact, artefact.path, runtime) == []


def test_python_takes_the_bytecode_that_is_deployed_whatever_time_its_sources_get(built):
    # Source: the Python reference, "Cached bytecode invalidation", and PEP 552.
    unchecked = MAGIC_NUMBER + (1).to_bytes(4, "little")
    folders = {folder for artefact in built.values() for folder in artefact.path}
    # SAM's own builder makes the pipeline's layer, which is small.
    sources = [
        file
        for folder in folders
        if folder.parent.name != "PipelineLayer"
        for file in folder.rglob("*.py")
    ]
    assert len(sources) > 1000
    stale = [
        file
        for file in sources
        if not (cached := Path(cache_from_source(file))).exists()
        or not cached.read_bytes().startswith(unchecked)
    ]
    assert stale == []


def declared_packages(artefact: Artefact) -> set[str]:
    """The packages of what a function's requirements.in asks for, X-Ray's SDK by an extra."""
    lines = (own_folder(artefact) / "requirements.in").read_text().splitlines()
    names = {normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines} | {"aws-xray-sdk"}
    return {
        top
        for distribution in distributions(path=[str(artefact.folder)])
        if normal(distribution.metadata["Name"]) in names
        for top in tops(distribution)
        if not top.endswith(".dist-info") and top != "bin"
    }


def without(path: list[Path], package: str, into: Path) -> list[Path]:
    """The same import path, whose first folder lacks a package."""
    into.mkdir()
    for there in path[0].iterdir():
        if there.name != package:
            (into / there.name).symlink_to(there)
    return [into, *path[1:]]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_package_that_a_function_declares_could_be_left_out(built, runtime, function, tmp_path):
    artefact = built[function]
    packages = declared_packages(artefact)
    assert {"aws_lambda_powertools", "aws_xray_sdk"} <= packages
    for package in packages:
        missing = missing_imports(
            artefact, without(artefact.path, package, tmp_path / package), runtime
        )
        assert any(f"No module named '{package}" in line for line in missing), package


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_event_makes_a_function_import_what_is_not_there(deployed, built, runtime, function):
    # As recorded and with names that nothing has, so that nothing comes of it.
    sent = {
        path.stem: json.loads(path.read_text())
        for path in (ROOT / "events").glob("*-*.json")
        if f"{function_of(path.stem)}Function" == function
    }
    for event in sent.values():
        if "ResponseURL" in event:
            event["ResponseURL"] = f"{deployed.endpoint_url}/nobody/listens"
    artefact = built[function]
    environment = {
        **artefact.variables,
        **AS_ON_LAMBDA,
        "AWS_ENDPOINT_URL": deployed.endpoint_url,
        "_HANDLER": artefact.handler,
    }
    result = isolated(HANDLE, [*artefact.path, runtime], environment, json.dumps(sent))
    assert result.returncode == 0, result.stderr
    outcomes: dict[str, str | None] = json.loads(result.stdout.splitlines()[-1])
    assert outcomes.keys() == sent.keys()
    for event, problem in outcomes.items():
        assert not re.search("ImportError|ModuleNotFoundError", problem or ""), (event, problem)
