"""What `make deploy` does with the settings of samconfig.toml, as far as it can be told unrun."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())


def commands(config: str) -> str:
    """What `make deploy` would run."""
    command = ["make", "--dry-run", "--assume-old=build", "deploy", f"CONFIG={config}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_prod_is_protected_from_deletion_and_others_are_not():
    assert "update_termination_protection" in commands("prod").partition("sam deploy")[2]
    for config in CONFIG.keys() - {"version", "prod"}:
        assert "update_termination_protection" not in commands(config)


def test_each_deployment_is_told_from_others_and_keeps_what_is_configured():
    for config in ("default", "prod"):
        given = commands(config).partition("--parameter-overrides")[2]
        assert re.search(r" FunctionRevision=\d{8}T\d{6}Z", given)
        configured = CONFIG[config]["deploy"]["parameters"].get("parameter_overrides", "")
        assert configured in given


def test_prod_is_tagged_for_cost_allocation_as_what_its_runs_make():
    stack = CONFIG["prod"]["global"]["parameters"]["stack_name"]
    tags = CONFIG["prod"]["deploy"]["parameters"]["tags"].split()
    assert f"Application={stack}" in tags
