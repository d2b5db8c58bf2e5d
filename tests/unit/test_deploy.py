"""What `make deploy` does with the settings of samconfig.toml, as far as it can be told unrun."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from samtranslator.translator.logical_id_generator import LogicalIdGenerator

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())


def commands(config: str, *variables: str) -> str:
    """What `make deploy` would run, after a build that is up to date unless variables are given."""
    built = [] if variables else ["--assume-old=build"]
    command = ["make", "--dry-run", *built, "deploy", f"CONFIG={config}", *variables]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_prod_is_protected_from_deletion_and_others_are_not():
    assert "update_termination_protection" in commands("prod").partition("sam deploy")[2]
    for config in CONFIG.keys() - {"version", "prod"}:
        assert "update_termination_protection" not in commands(config)


def test_each_deployment_is_told_from_others_and_keeps_what_is_configured():
    for config in ("default", "prod"):
        given = commands(config).partition("--parameter-overrides")[2]
        assert re.search(r"\sFunctionRevision=\d{10}\b", given)
        configured = CONFIG[config]["deploy"]["parameters"].get("parameter_overrides", "")
        assert configured in given


def test_prod_is_tagged_for_cost_allocation_as_what_its_runs_make():
    stack = CONFIG["prod"]["global"]["parameters"]["stack_name"]
    tags = CONFIG["prod"]["deploy"]["parameters"]["tags"].split()
    assert f"Application={stack}" in tags


@pytest.mark.parametrize(
    ("given", "machine"), [(None, "x86_64"), ("x86_64", "x86_64"), ("arm64", "aarch64")]
)
@pytest.mark.parametrize(
    ("folder", "target"),
    [
        (".", "PredictFunction"),
        ("layers/numeric", "NumericLayer"),
        ("layers/learning", "LearningLayer"),
        ("layers/plotting", "PlottingLayer"),
    ],
)
def test_wheels_are_those_of_the_processor_that_is_asked_for(folder, target, given, machine):
    makefile = ROOT / (folder if folder != "." else "functions") / "Makefile"
    command = ["make", "--dry-run", "-f", str(makefile), f"build-{target}", "ARTIFACTS_DIR=built"]
    asked = os.environ | ({"ARCHITECTURE": given} if given else {})
    run = subprocess.run(command, cwd=ROOT / folder, env=asked, capture_output=True, check=True)
    platforms = re.findall(r"--platform (\S+)", run.stdout.decode())
    assert platforms == [f"manylinux2014_{machine}", f"manylinux_2_28_{machine}"]


def test_functions_are_built_and_deployed_for_the_same_processor():
    for architecture in ("x86_64", "arm64"):
        text = commands("default", f"ARCHITECTURE={architecture}")
        build, deploy = text.partition("sam deploy")[::2]
        for command in (build.partition("sam build")[2], deploy):
            assert f" Architecture={architecture} " in command.replace("\n", " ")
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(["make", "wrong-architecture"], cwd=ROOT, capture_output=True, check=True)
    refused = commands("default", "PARAMETERS=Architecture=arm64")
    assert "make deploy ARCHITECTURE=arm64" in refused.partition("sam build")[0]


def test_two_deployments_publish_two_versions():
    """SAM takes ten characters of what tells them apart for the name of a version."""
    ids = {LogicalIdGenerator("Version", data_hash=given).gen() for given in revisions()}
    assert len(ids) == 2


def revisions() -> list[str]:
    """What `make deploy` gives now, and what it will give a second later."""
    given = re.findall(r"FunctionRevision=(\w+)", commands("default"))
    return [given[0], str(int(given[0]) + 1)]
