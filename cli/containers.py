"""`sam local`: a function, or the API, in a container as on Lambda, against the embedded AWS."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli import deploy, relay
from cli.errors import Problem
from cli.settings import ROOT, Local

HOST = "host.docker.internal"
"""What containers call the machine that they run on."""

RUNTIME, ARCHITECTURE = "python3.13", "x86_64"


def endpoint_url(local: Local) -> str:
    """Return where containers reach the embedded AWS."""
    return f"http://{HOST}:{local.port}"


def check_engine() -> str:
    """Return the kind of system that the Docker engine says it runs on.

    Raises
    ------
    Problem
        There is none, or it doesn't answer.
    """
    if shutil.which("docker") is None:
        raise Problem("This needs Docker, which we didn't find. See docs.docker.com/get-docker")
    asked = _docker("info", "--format", "{{.OperatingSystem}}")
    if asked.returncode:
        raise Problem(f"Docker is not running: {asked.stderr.strip()}. Start it and try again.")
    return asked.stdout.strip()


def base_image() -> str:
    """Return Lambda's image of the runtime, as SAM CLI names it."""
    from samcli.local.docker.lambda_image import LambdaImage, Runtime

    name = Runtime.get_image_name_tag(RUNTIME, ARCHITECTURE)
    return f"{LambdaImage._INVOKE_REPO_PREFIX}/{name}"


def has_base_image() -> bool:
    """Whether the engine has Lambda's image of the runtime."""
    return _docker("image", "inspect", base_image()).returncode == 0


def pull_base_image() -> None:
    """Fetch Lambda's image of the runtime.

    Raises
    ------
    Problem
        It can't be had.
    """
    pulled = _docker("pull", "--quiet", base_image())
    if pulled.returncode:
        raise Problem(
            f"We could not pull {base_image()}: {pulled.stderr.strip()}. Try again "
            "when the network is there."
        )


@contextmanager
def reachable(local: Local, system: str) -> Iterator[list[str]]:
    """Let containers reach the embedded AWS; yield the options that `sam local` needs for that.

    Docker Desktop leads to the loopback of its host by itself; an engine on Linux doesn't.
    Source: Docker manual, "Networking on Docker Desktop".
    """
    if platform.system() != "Linux" or system == "Docker Desktop":
        yield []
        return
    # In a place of its own, since the path of a socket file must be short.
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        port = str(local.port)
        here = [sys.executable, relay.__file__, "from-file", f"{folder}/socket", port]
        there = [
            *("docker", "run", "--rm", "--interactive", "--entrypoint", "python3"),
            *("--volume", f"{folder}:/relay"),
            *("--volume", f"{relay.__file__}:/relay.py:ro"),
            base_image(),
            *("/relay.py", "to-file", "/relay/socket", port),
        ]
        with _relay(here), _relay(there) as address:
            yield ["--add-host", f"{HOST}:{address}"]


@contextmanager
def _relay(command: list[str]) -> Iterator[str]:
    """Run one end of the relay; yield its address once it listens.

    The end of its input ends it, even where this process is killed.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        address = process.stdout.readline().strip() if process.stdout else ""
        if not address:
            raise Problem(
                f"The relay to containers did not start: {process.communicate()[1]}. See "
                "that Docker runs: docker info"
            )
        yield address


def template(local: Local, function: str) -> Path:
    """Return a template of what was built of today's sources, this function at least.

    `sam local` passes on environment variables that the template declares, so this one declares
    how to reach the embedded AWS besides; it is nothing for AWS.
    """
    from samcli.yamlhelper import yaml_dump, yaml_parse

    if deploy.is_built(local):
        built = deploy.built_template(local)
    else:
        built = deploy.build_function(local, function)
    content = yaml_parse(built.read_text())
    names = json.loads((ROOT / "events/local.env.json").read_text())["Parameters"]
    content["Globals"]["Function"]["Environment"]["Variables"].update(dict.fromkeys(names, ""))
    api = content["Resources"]["PredictionsApi"]["Properties"]
    document = built.parent / api["DefinitionBody"]["Fn::Transform"]["Parameters"]["Location"]
    api["DefinitionBody"] = _routed_to_the_function(yaml_parse(document.read_text()))
    target = built.with_name("sam-local.yaml")
    target.write_text(yaml_dump(content))
    return target


def _routed_to_the_function(part: Any) -> Any:
    """Return a part of the API's document as `sam local` reads it: it knows no alias by condition.

    Source: SAM CLI, "samcli/commands/local/lib/swagger/integration_uri.py".
    """
    if isinstance(part, list):
        return [_routed_to_the_function(each) for each in part]
    if not isinstance(part, dict):
        return part
    routed = {name: _routed_to_the_function(each) for name, each in part.items()}
    if "uri" in routed:
        uri, _ = routed["uri"]["Fn::Sub"]
        routed["uri"] = {"Fn::Sub": uri.replace("${Function}", "${PredictFunction.Arn}")}
    return routed


def invoke(options: list[str], function: str, event: Path) -> Any:
    """Return a function's answer to an event; what it logs goes to standard error.

    Raises
    ------
    Problem
        It gave none.
    """
    result = subprocess.run(
        sam("invoke", options, f"{function}Function", "--event", str(event)),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        check=False,
    )
    if result.returncode or not result.stdout.strip():
        raise Problem(f"{function} returned nothing. What it logged, above, says why.")
    return json.loads(result.stdout)


def serve_api(options: list[str], port: int) -> None:
    """Serve the API on a port of 127.0.0.1, until it is interrupted."""
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--warm-containers", "LAZY"]
    with subprocess.Popen(
        sam("start-api", options, *arguments), cwd=ROOT, env=environment()
    ) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            # It was interrupted too, and clears its containers away.
            process.wait()


def sam(command: str, options: list[str], *arguments: str) -> list[str]:
    """Return the command line of `sam local`."""
    sam_cli = str(Path(sys.executable).parent / "sam")
    config = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"]
    return [sam_cli, "local", command, *arguments, *config, "--skip-pull-image", *options]


def environment() -> dict[str, str]:
    """Return the environment of `sam local`."""
    return {**os.environ, "SAM_CLI_TELEMETRY": "0"}


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
