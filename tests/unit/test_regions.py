"""The template's tables of regions against the SDKs, in the environment of SageMaker's."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-sdk/bin/python"
needs_sdk = pytest.mark.skipif(
    not PYTHON.exists(), reason="no .venv-sdk: make test sets it up with the SageMaker SDK"
)


def check(template: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts/regions.py"
    command = [PYTHON, script, "--check", "--template", template]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_sdk
def test_the_template_names_the_account_that_the_sdk_names_for_each_region():
    result = check(ROOT / "template.yaml")
    assert result.returncode == 0, result.stderr


@needs_sdk
def test_an_account_that_differs_from_the_sdk_is_noticed(tmp_path):
    template = tmp_path / "template.yaml"
    text = (ROOT / "template.yaml").read_text()
    assert "382416733822" in text
    template.write_text(text.replace("382416733822", "123456789012"))
    result = check(template)
    assert result.returncode == 1
    assert "make regions" in result.stderr
