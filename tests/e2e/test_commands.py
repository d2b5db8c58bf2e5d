"""The command line on a dataset from its first file to its deletion."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.deployed import ROOT, Deployed, wait_for

pytestmark = pytest.mark.e2e
NAMED = ("Sepal.Length=5.1", "Petal.Width=0.2", "Sepal.Width=3.5", "Petal.Length=1.4")


@pytest.fixture(scope="module")
def dropped(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer to the drop of a file whose name is no dataset's."""
    file = tmp_path_factory.mktemp("files") / "My Flowers.csv"
    shutil.copy(ROOT / "data/iris.csv", file)
    result = deployed.cli("drop", str(file), "--json")
    assert "The dataset is my-flowers" in result.stderr, result.stderr
    assert "✓ Train" in result.stderr
    return json.loads(result.stdout)


def answered(deployed: Deployed, *arguments: str) -> Any:
    result = deployed.cli(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_drop_says_how_it_ended(deployed, dropped):
    assert (dropped["dataset"], dropped["status"]) == ("my-flowers", "Live")
    assert "my-flowers" in Path(dropped["report"]).read_text()
    assert answered(deployed, "show", "my-flowers") == dropped


def test_lists_tell_how_good_and_when(deployed, dropped):
    (run,) = answered(deployed, "runs", "my-flowers")["runs"]
    assert (run["run"], run["accuracy"]) == (dropped["run"], dropped["accuracy"])
    line = deployed.cli("runs", "my-flowers").stdout.splitlines()[-1]
    assert f"{100 * dropped['accuracy']:.1f} %" in line
    assert run["dropped"].partition("T")[0] in line
    listed = {each["dataset"]: each for each in answered(deployed, "datasets")["datasets"]}
    assert listed["my-flowers"]["live"] == dropped["run"]
    columns = answered(deployed, "schema", "my-flowers")["columns"]
    assert [column["role"] for column in columns] == ["number"] * 4 + ["label"]


def test_a_status_has_the_end_of_the_key_only_unless_it_is_asked_for(deployed, dropped):
    key = deployed.cli("key").stdout.strip()
    shown = deployed.cli("status").stdout
    assert key not in shown
    assert key[-4:] in shown
    told = answered(deployed, "status", "--show-key")
    assert (told["key"], told["live"]["my-flowers"]) == (key, dropped["accuracy"])


def test_values_names_and_files_are_predicted(deployed, dropped):
    by_name = json.loads(deployed.cli("predict", "my-flowers", *NAMED).stdout)
    assert [each["label"] for each in by_name["predictions"]] == ["setosa"]
    iris = ROOT / "data/iris.csv"
    predicted = deployed.cli("predict", "my-flowers", str(iris)).stdout
    rows = list(csv.DictReader(io.StringIO(predicted)))
    assert [row["Species"] for row in rows] == [
        row["Species"] for row in csv.DictReader(iris.open())
    ]
    assert sum(row["Prediction"] == row["Species"] for row in rows) > 140


def test_a_row_that_cannot_be_predicted_is_named(deployed, dropped, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("5.1,3.5,1.4,0.2\n" * 1200 + "5.1,wide,1.4,0.2\n")
    result = deployed.cli("predict", "my-flowers", str(file))
    assert result.returncode == 1
    assert "Row 1,201" in result.stderr
    assert len(result.stdout.splitlines()) == 1000


def test_a_file_is_scored_and_fetched(deployed, dropped, tmp_path):
    file, result = tmp_path / "new flowers.csv", tmp_path / "scored.csv"
    rows = list(csv.DictReader((ROOT / "data/iris.csv").open()))
    with file.open("w", newline="") as out:
        names = [name for name in rows[0] if name != "Species"]
        writer = csv.DictWriter(out, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows[:20])
    told = answered(deployed, "score", "my-flowers", str(file), "--to", str(result))
    assert (told["status"], told["scored"], told["result"]) == ("Scored", 20, str(result))
    assert {row["Prediction"] for row in csv.DictReader(result.open())} == {"setosa"}
    again = deployed.cli("score", "my-flowers", str(file), "--to", str(result))
    assert "is there already" in again.stderr
    batch = answered(deployed, "score", "my-flowers", "--batch", told["batch"], "--to", f"{file}.2")
    assert Path(batch["result"]).read_text() == result.read_text()


def test_logs_are_the_newest_lines(deployed, dropped):
    lines = deployed.cli("logs", "Report", "--lines", "3").stdout.splitlines()
    assert len(lines) == 3
    assert "REPORT RequestId" in lines[-1]
    about = deployed.cli("logs", "--run", dropped["run"]).stdout
    assert "INFO reported" in about


def test_a_key_is_added_for_a_client_and_revoked(deployed, dropped):
    key = deployed.cli("keys", "add", "shop").stdout.strip()
    try:
        wait_for(lambda: deployed.call("GET", "/datasets/my-flowers", key=key).status == 200)
        assert key not in deployed.cli("keys", "list").stdout
        assert key in deployed.cli("keys", "list", "--values").stdout
        assert 'a key "shop" already' in deployed.cli("keys", "add", "shop").stderr
    finally:
        result = deployed.cli("keys", "revoke", "shop", "--yes")
    assert result.returncode == 0, result.stderr
    assert deployed.call("GET", "/datasets/my-flowers", key=key).status == 403
    own = deployed.output("ApiKeyId")
    assert "the last key" in deployed.cli("keys", "revoke", own, "--yes").stderr


def test_nobody_is_asked_where_nobody_sits(deployed, dropped):
    result = deployed.cli("delete", "my-flowers", "--json")
    assert (result.returncode, result.stdout) == (2, "")
    assert "add --yes" in result.stderr
    assert deployed.call("GET", "/datasets/my-flowers").status == 200


def test_a_deleted_dataset_leaves_nothing_even_if_its_deletion_was_cut_short(deployed, dropped):
    # What an interruption leaves: the pointer is gone, all else is there.
    table = deployed.output("RegistryTableName")
    key = {"dataset": {"S": "my-flowers"}, "sort": {"S": "live"}}
    deployed.client("dynamodb").delete_item(TableName=table, Key=key)
    told = answered(deployed, "delete", "my-flowers", "--files", "--yes")
    assert (told["deleted"]["runs"], told["deleted"]["endpoints"]) == (1, 1)
    assert told["deleted"]["file_versions"] > 1
    assert deployed.call("GET", "/datasets/my-flowers").status == 404
    assert deployed.runs("my-flowers") == []
    sagemaker, s3 = deployed.client("sagemaker"), deployed.client("s3")
    names = [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]
    names += [each["ModelName"] for each in sagemaker.list_models()["Models"]]
    assert dropped["run"] not in names
    for bucket in ("InboxBucketName", "RunsBucketName"):
        for prefix in (
            "my-flowers/",
            "score/my-flowers/",
            "batches/my-flowers/",
            "runs/my-flowers-",
        ):
            found = s3.list_object_versions(Bucket=deployed.output(bucket), Prefix=prefix)
            assert not found.get("Versions"), found
    result = deployed.cli("delete", "my-flowers", "--files", "--yes")
    assert (result.returncode, result.stdout) == (1, "")
    assert 'There is no dataset "my-flowers"' in result.stderr
