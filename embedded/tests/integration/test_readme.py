"""That the programs of the README do what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from embedded_aws.testing import EmbeddedAws

README = (Path(__file__).parents[2] / "README.md").read_text()
PROGRAM, TEST = re.findall(r"```python\n(.+?)```", README, re.DOTALL)


def test_the_program_trains_a_model_and_calls_it(
    embedded_aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (
        ("AWS_ENDPOINT_URL", embedded_aws.endpoint_url),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    exec(PROGRAM, {})
    assert capsys.readouterr().out.strip() == PROGRAM.rstrip().rpartition("# ")[2]


def test_the_test_passes(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_each_link_leads_to_a_file() -> None:
    pages = Path(__file__).parents[2]
    for page in (pages / "README.md", *pages.glob("docs/*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"
