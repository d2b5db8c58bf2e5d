"""`sam build` and `sam deploy` of the template into the embedded AWS."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import boto3
from botocore.exceptions import ClientError

from cli.errors import Problem
from cli.settings import ROOT, STACK_NAME, Local, checkout, this_command
from cli.stack import stack_resources

SOURCES = (
    "template.yaml",
    "samconfig.toml",
    "api",
    "functions",
    "layers",
    "statemachine",
    "requirements.txt",
)
REST_SECONDS = 300
"""Longer than the embedded AWS takes for a deployment."""

HEALTHY = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


def is_current(local: Local) -> bool:
    """Whether the stack that is deployed is made of today's sources, and whole."""
    try:
        return _deployed_file(local).read_text() == fingerprint() and stack_is_whole()
    except FileNotFoundError:
        return False


def is_built(local: Local) -> bool:
    """Whether what was built is made of today's sources."""
    try:
        return _built_file(local).read_text() == fingerprint()
    except FileNotFoundError:
        return False


def build(local: Local) -> None:
    """Build the functions and the layer."""
    checkout()
    _built_file(local).unlink(missing_ok=True)
    _sam(
        local,
        "build",
        [
            "--build-dir",
            str(_build_folder(local)),
            "--cache-dir",
            str(local.folder / "build-cache"),
        ],
    )
    pack(_build_folder(local))
    _built_file(local).write_text(fingerprint())


def pack(folder: Path) -> None:
    """Zip what was built, and write its template as JSON: once for all deployments.

    `sam deploy` would zip it all again each time, and read the YAML nine times over.
    """
    from samcli.yamlhelper import yaml_parse

    template = yaml_parse((folder / "template.yaml").read_text())
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            artefact = resource.get("Properties", {}).get(name)
            if isinstance(artefact, str) and (folder / artefact).is_dir():
                _zip(folder / artefact, folder / f"{artefact}.zip")
                resource["Properties"][name] = f"{artefact}.zip"
    (folder / "template.json").write_text(json.dumps(template))


def _zip(folder: Path, archive: Path) -> None:
    """Zip a folder: the same files make the same bytes, so that they aren't deployed again."""
    with ZipFile(archive, "w", ZIP_DEFLATED, compresslevel=1) as out:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = ZipInfo(str(file.relative_to(folder)))
            entry.external_attr = (0o100755 if os.access(file, os.X_OK) else 0o100644) << 16
            entry.compress_type = ZIP_DEFLATED
            out.writestr(entry, file.read_bytes(), compresslevel=1)


def build_function(local: Local, function: str) -> Path:
    """Build one function, with its layers, beside what is deployed; return the built template."""
    folder = local.folder / "build-function"
    options = ["--build-dir", str(folder), "--cache-dir", str(local.folder / "build-cache")]
    _sam(local, "build", [*options, f"{function}Function"])
    return folder / "template.yaml"


def deploy(local: Local, overrides: tuple[str, ...] = ()) -> None:
    """Deploy what was built; a stack whose creation had failed is deleted first.

    Raises
    ------
    Problem
        The stack fails to deploy: the message gives the reason of each resource.
    """
    check_parameters(overrides)
    _deployed_file(local).unlink(missing_ok=True)
    wait_until_at_rest()
    if stack_status() in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        cloudformation = boto3.client("cloudformation")
        cloudformation.delete_stack(StackName=STACK_NAME)
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=STACK_NAME, WaiterConfig={"Delay": 1}
        )
    arguments = ["--template-file", str(_build_folder(local) / "template.json"), "--use-json"]
    arguments += ["--parameter-overrides", *_parameters(overrides)]
    try:
        _sam(local, "deploy", arguments)
    except Problem as problem:
        reasons = failures()
        if not reasons:
            raise
        text = "\n".join(f"  {name}: {reason}" for name, reason in reasons)
        raise Problem(
            f"The stack failed to deploy:\n{text}\nCorrect this, then try again: "
            f"{this_command()} up"
        ) from problem
    _deployed_file(local).write_text(fingerprint())


def _parameters(overrides: tuple[str, ...]) -> list[str]:
    """Return what is given, what the stack has, and what samconfig.toml has for a new one.

    SAM forgets what its configuration has as soon as anything is given.
    """
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    defaults = config["local"]["deploy"]["parameters"]["parameter_overrides"].split()
    values = dict(entry.split("=", 1) for entry in defaults)
    values |= {name: now for name, now in _stack_parameters().items() if name in values}
    values |= dict(entry.split("=", 1) for entry in overrides)
    # SAM takes no empty values; what has none stays as it is.
    return [f"{name}={value}" for name, value in values.items() if value]


def check_parameters(overrides: tuple[str, ...]) -> None:
    """Refuse, before anything is done, what CloudFormation would.

    Raises
    ------
    Problem
        The template has no such parameter, or it doesn't take the value.
    """
    known = template_parameters()
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals or not value:
            raise Problem(f'"{override}" has no value. Write --parameter NAME=VALUE.')
        if name not in known:
            raise Problem(
                f"There is no parameter {name}. The parameters are {', '.join(sorted(known))}."
            )
        if allowed := known[name].get("AllowedValues"):
            if value not in map(str, allowed):
                raise Problem(
                    f"{name}={value} is not allowed. Choose one of {', '.join(map(str, allowed))}."
                )
        elif not re.fullmatch(known[name].get("AllowedPattern", "(?s).*"), value):
            must = known[name].get("ConstraintDescription", "does not have the right form.")
            raise Problem(f"{name}={value}: it {must}")


def template_parameters() -> dict[str, dict[str, Any]]:
    """Return the template's parameters by their names."""
    from samcli.yamlhelper import yaml_parse

    parameters: dict[str, dict[str, Any]] = yaml_parse((ROOT / "template.yaml").read_text())[
        "Parameters"
    ]
    return parameters


def fingerprint() -> str:
    """Return a digest of all that a deployment is made of."""
    digest = hashlib.sha256()
    for name in SOURCES:
        path = ROOT / name
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def stack_status(name: str = STACK_NAME) -> str | None:
    """Return the stack's status, or None if there is none."""
    stack = _describe(name)
    return str(stack["StackStatus"]) if stack else None


def _stack_parameters() -> dict[str, str]:
    stack = _describe(STACK_NAME) or {}
    return {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])}


def _describe(name: str) -> Any:
    """Return what CloudFormation says of a stack, or None if there is none."""
    try:
        answer = boto3.client("cloudformation").describe_stacks(StackName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return answer["Stacks"][0]


def wait_until_at_rest() -> None:
    """Wait for a deployment that was interrupted: the embedded AWS goes on with it.

    Raises
    ------
    Problem
        It takes too long.
    """
    deadline = time.monotonic() + REST_SECONDS
    while (status := stack_status()) and status.endswith("_IN_PROGRESS"):
        # A change that was only proposed.
        if status == "REVIEW_IN_PROGRESS":
            return
        if time.monotonic() > deadline:
            raise Problem(f"The stack stays {status}. Begin anew: {this_command()} clean")
        time.sleep(0.5)


def stack_is_whole() -> bool:
    """Whether the stack is deployed and what it needs is there.

    The state of the embedded AWS is saved when it stops; after a crash some of it may be missing.
    """
    if stack_status() not in HEALTHY:
        return False
    ids = stack_resources(STACK_NAME)
    try:
        for bucket in ("InboxBucket", "RunsBucket"):
            boto3.client("s3").head_bucket(Bucket=ids[bucket])
        boto3.client("dynamodb").describe_table(TableName=ids["RegistryTable"])
        boto3.client("lambda").get_function(FunctionName=ids["PreprocessFunction"])
        boto3.client("apigateway").get_api_key(apiKey=ids["PredictionsApiApiKey"])
        boto3.client("stepfunctions").describe_state_machine(
            stateMachineArn=ids["TrainDeployValidate"]
        )
    except (ClientError, KeyError):
        return False
    return True


def failures() -> list[tuple[str, str]]:
    """Return the resources that failed last, with the reasons, the first cause first."""
    try:
        events = boto3.client("cloudformation").describe_stack_events(StackName=STACK_NAME)
    except ClientError:
        return []
    return [
        (event["LogicalResourceId"], event.get("ResourceStatusReason", "no reason was given"))
        for event in reversed(events["StackEvents"])
        if event["ResourceStatus"].endswith("_FAILED")
    ]


def _sam(local: Local, command: str, arguments: list[str]) -> None:
    """Run the SAM CLI quietly; what it says goes to a log, which is shown if it fails."""
    bin_folder = Path(sys.executable).parent
    log = local.folder / f"sam-{command}.log"
    environment = {
        **os.environ,
        # functions/Makefile calls python3.13, which must be that of this environment.
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        # Seconds; AWS takes longer.
        "SAM_CLI_POLL_DELAY": "0.3",
    }
    config = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"]
    with log.open("wb") as output:
        result = subprocess.run(
            [bin_folder / "sam", command, *config, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if result.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise Problem(
            f"sam {command} failed. The end of its log, {log}:\n{end}\nTry again: "
            f"{this_command()} up"
        )


def built_template(local: Local) -> Path:
    """Return the template that was built."""
    return _build_folder(local) / "template.yaml"


def _build_folder(local: Local) -> Path:
    return local.folder / "build"


def _built_file(local: Local) -> Path:
    return local.folder / "built"


def _deployed_file(local: Local) -> Path:
    return local.folder / "deployed"
