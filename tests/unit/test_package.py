"""The command line as it is installed elsewhere: without a checkout, and without a network."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("cli", "functions", "layers/pipeline", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed into."""
    folder = tmp_path_factory.mktemp("package")
    for name in SOURCES:
        target = folder / "project" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, target)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run(
        [*pip, "install", *offline, "--target", folder / "site", folder / "project"], check=True
    )
    return folder / "site"


def knn(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in another folder."""
    # Without the site module nothing leads to the checkout: only the wheel and its requirements.
    return subprocess.run(
        [sys.executable, "-S", installed / "bin/knn", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{installed}{os.pathsep}{sysconfig.get_path('purelib')}",
            "KNN_LOCAL_DIR": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_installed_command_tells_its_version_and_its_commands(installed, tmp_path):
    version = knn(installed, tmp_path, "--version")
    assert version.stdout.startswith("knn, version "), version.stderr
    shown = knn(installed, tmp_path, "--help")
    assert shown.stdout.startswith("Usage: knn "), shown.stderr
    assert " predict " in shown.stdout


def test_what_builds_or_deploys_says_that_it_needs_a_checkout(installed, tmp_path):
    for command in ("up", "run"):
        result = knn(installed, tmp_path, command)
        assert (result.returncode, result.stdout) == (1, "")
        assert "needs a checkout" in result.stderr


def test_an_upload_is_checked_by_the_schema_of_settings_that_is_installed_too(installed, tmp_path):
    result = knn(installed, tmp_path, "drop", "no.csv", "--set", "k=many")
    assert '"k"' in result.stderr
