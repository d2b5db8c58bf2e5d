"""Settings from the command line, and the command that settles which column is the label."""

import json
import random
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.deployed import ROOT, Deployed

pytestmark = pytest.mark.e2e


def ambiguous(folder: Path) -> Path:
    """A file in a folder with a space, with two columns that could be the label."""
    (folder / "my data").mkdir(exist_ok=True)
    file = folder / "my data" / "two.csv"
    rng = random.Random(0)
    lines = ["shape,tint (RAL),x,y"]
    for row in range(120):
        shape, tint = row % 3, row // 3 % 2
        x, y = shape + rng.gauss(0, 0.1), tint + rng.gauss(0, 0.1)
        lines.append(f"{'abc'[shape]},{'de'[tint]},{x:.3f},{y:.3f}")
    file.write_text("\n".join(lines))
    return file


def pasted(deployed: Deployed, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that was shown, in the shell that it was shown in."""
    return deployed._run(["sh", "-c", command])


def test_the_command_that_a_refusal_shows_works_as_it_stands(deployed, tmp_path):
    result = deployed.cli("drop", str(ambiguous(tmp_path)))
    assert result.returncode == 1
    assert "AmbiguousLabel" in result.stdout
    (command,) = (line for line in result.stdout.splitlines() if " drop " in line)
    assert "aws s3 cp" not in result.stdout
    again = pasted(deployed, command)
    assert again.returncode == 0, again.stdout + again.stderr
    run = max(item["run"] for item in deployed.runs("two"))
    schema = json.loads(deployed.read(run, "clean/schema.json"))
    assert schema["label"] == shlex.split(command)[-1] == "tint (RAL)"
    mail = next(m for m in deployed.mails() if "two.csv was refused" in m["BodyText"])
    lines = mail["BodyText"].splitlines()
    assert "    knn drop two.csv --label 'tint (RAL)'" in lines
    inbox = deployed.output("InboxBucketName")
    metadata = "'label=tint (RAL)'"
    assert f"    aws s3 cp two.csv s3://{inbox}/two.csv --metadata {metadata}" in lines


def test_make_drop_takes_a_label(deployed, tmp_path):
    file = ambiguous(tmp_path)
    result = deployed.make("drop", f"CSV={file}", "LABEL=shape", "DATASET=made")
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = deployed.runs("made")
    assert json.loads(deployed.read(run["run"], "clean/schema.json"))["label"] == "shape"


def test_settings_of_a_dataset_are_shown_set_and_removed_and_hold_for_its_files(deployed, tmp_path):
    assert deployed.cli("settings", "kept").stdout == "{}\n"
    given = ("--set", "label=shape", "--set", "k=7", "--set", "ignore=tint (RAL)")
    assert deployed.cli("settings", "kept", *given).returncode == 0
    shown = json.loads(deployed.cli("settings", "kept").stdout)
    assert shown == {"label": "shape", "k": 7, "ignore": ["tint (RAL)"]}
    result = deployed.cli("drop", str(ambiguous(tmp_path)), "--dataset", "kept", "--set", "k=5")
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = deployed.runs("kept")
    settings = json.loads(deployed.read(run["run"], "clean/settings.json"))
    assert (settings["label"], settings["k"]) == ("shape", 5)
    told = " ".join(result.stdout.split())
    assert "kept/schema.json, which was uploaded on" in told
    assert "it sets label=shape, ignore=tint (RAL)." in told
    assert "The upload itself sets k=5." in told
    assert deployed.cli("settings", "kept", "--remove", "k").returncode == 0
    assert "k" not in json.loads(deployed.cli("settings", "kept").stdout)


def test_a_wrong_setting_is_said_before_anything_is_uploaded(deployed):
    result = deployed.cli(
        "drop", str(ROOT / "data/iris.csv"), "--dataset", "typo-here", "--set", "kk=5"
    )
    assert result.returncode == 1
    assert 'there is no setting "kk"' in result.stderr
    assert deployed.runs("typo-here") == []


def test_values_are_predicted_as_they_stand_in_the_file(deployed, tmp_path):
    file = tmp_path / "passengers.csv"
    rows = [
        f"{age},{'yes' if alone else 'no'},{port},{'drowned' if alone else 'saved'}"
        for age in range(20, 60)
        for alone, port in ((True, "Southampton"), (False, "Cherbourg"))
    ]
    file.write_text("\n".join(["age,alone,port,outcome", *rows]))
    result = deployed.cli("drop", str(file))
    assert result.returncode == 0, result.stdout + result.stderr
    for alone, label in (("yes", "drowned"), ("FALSE", "saved")):
        port = "Southampton" if alone == "yes" else "Cherbourg"
        answer = json.loads(deployed.cli("predict", "passengers", "NA", alone, port).stdout)
        assert answer["predictions"][0]["label"] == label
