"""`make events`: the recorded events with a living stack's names in them."""

import json

import pytest

from cli.events import RECORDED_RUN
from tests.deployed import ROOT, Deployed

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def printed(deployed: Deployed) -> str:
    """What the command prints where a model of iris is live."""
    if "Live" not in {run["status"] for run in deployed.runs("iris")}:
        result = deployed.cli("drop", str(ROOT / "data/iris.csv"))
        assert result.returncode == 0, result.stdout + result.stderr
    result = deployed.make("events")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_each_event_is_filled_or_it_is_said_what_is_missing(deployed, printed):
    lines = [line.split(maxsplit=2) for line in printed.splitlines() if line[:1] in ("✓", "✗")]
    filled = {path.stem for path in (deployed.folder / "events").glob("*-*.json")}
    assert {name for mark, name, *_ in lines if mark == "✓"} == filled
    without = {name.removesuffix(":"): why for mark, name, *why in lines if mark == "✗"}
    assert all(without.values())
    recorded = {path.stem for path in (ROOT / "events").glob("*-*.json")}
    assert filled | without.keys() == recorded
    assert {"preprocess-iris", "split-manifest", "predict-json", "teardown-create"} <= filled


def test_a_filled_event_names_nothing_but_the_stack(deployed, printed):
    for path in (deployed.folder / "events").glob("*-*.json"):
        text = path.read_text()
        assert [name for name in ('"INBOX"', '"RUNS"', RECORDED_RUN) if name in text] == [], path


def test_a_filled_event_is_about_an_object_that_is_there(deployed, printed):
    for name in ("preprocess-iris", "split-manifest"):
        detail = json.loads((deployed.folder / f"events/{name}.json").read_text())["detail"]
        described = detail["object"]
        head = deployed.client("s3").head_object(
            Bucket=detail["bucket"]["name"], Key=described["key"], VersionId=described["version-id"]
        )
        assert head["ContentLength"] == described["size"]
        assert head["ETag"] == f'"{described["etag"]}"'
