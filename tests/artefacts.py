"""What `sam build` has made, as Lambda imports it: with layers and what the runtime brings."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

RUNTIME_BRINGS = "boto3"
"""And what it needs. Source: Lambda developer guide, "Building Lambda functions with Python"."""

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

AS_ON_LAMBDA = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    # So that X-Ray's SDK is used: Powertools imports it only where there is tracing.
    "LAMBDA_TASK_ROOT": "/var/task",
    "_X_AMZN_TRACE_ID": TRACE,
}


@dataclass(frozen=True)
class Artefact:
    """A function as it was built. `path` is where it imports from: its folder, then its layers."""

    logical_id: str
    handler: str
    path: list[Path]
    variables: dict[str, str]

    @property
    def folder(self) -> Path:
        """What is uploaded for the function itself."""
        return self.path[0]


def artefacts(build: Path) -> list[Artefact]:
    """Return all functions of a built template."""
    template = yaml_parse((build / "template.yaml").read_text())
    general = template["Globals"]["Function"]
    defaults = {
        name: parameter["Default"]
        for name, parameter in template["Parameters"].items()
        if "Default" in parameter
    }
    found = []
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        own = resource["Properties"]
        layers = [
            build / layer["Ref"] / "python"
            for layer in (*general.get("Layers", []), *own.get("Layers", []))
        ]
        variables = {
            **general.get("Environment", {}).get("Variables", {}),
            **own.get("Environment", {}).get("Variables", {}),
        }
        found.append(
            Artefact(
                logical_id=name,
                handler=own.get("Handler") or general["Handler"],
                path=[build / name, *layers],
                variables={key: value_of(value, defaults) for key, value in variables.items()},
            )
        )
    return found


def layer_folders(build: Path) -> list[Path]:
    """Return what is uploaded for each layer of a built template."""
    template = yaml_parse((build / "template.yaml").read_text())
    return [
        build / name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::LayerVersion"
    ]


def value_of(value: Any, defaults: Mapping[str, Any]) -> str:
    """Return what a variable may be: what it says, its parameter's default, else some name."""
    if not isinstance(value, Mapping):
        return str(value)
    if isinstance(text := value.get("Fn::Sub"), str):
        return re.sub(r"\$\{([^}]+)\}", lambda name: str(defaults.get(name[1], "name")), text)
    return str(defaults.get(value.get("Ref", ""), "name"))


def gather(name: str, into: Path, site_packages: Path | None = None) -> None:
    """Link an installed distribution, with all that it needs, into a folder of the import path."""
    where = [str(site_packages)] if site_packages else sys.path
    installed = {normal(found.metadata["Name"]): found for found in distributions(path=where)}
    waiting, seen = [name], set[str]()
    while waiting:
        name = normal(waiting.pop())
        # What isn't installed is for other systems.
        if name in seen or name not in installed:
            continue
        seen.add(name)
        for top in tops(installed[name]):
            if not (into / top).exists():
                (into / top).symlink_to(str(installed[name].locate_file(top)))
        needed = [need for need in installed[name].requires or () if "extra ==" not in need]
        waiting += [re.split(r"[^\w.-]", need, maxsplit=1)[0] for need in needed]


def tops(distribution: Distribution) -> set[str]:
    """Return the files and folders of a distribution, as they lie in a folder of the path."""
    return {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}


def normal(name: str) -> str:
    """Return the normal form of a distribution's name. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def isolated(
    code: str,
    path: Iterable[Path],
    environment: Mapping[str, str] | None = None,
    sent: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run code that can import from this path only, without any site-packages."""
    before = f"import sys; sys.path[:0] = {[str(folder) for folder in path]!r}\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", before + code],
        input=sent,
        env={**(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
