"""The datasets of data/, and some files that nobody should drop, as their user sees them."""

import csv
import io
import json

import pytest

from tests.deployed import ROOT, Deployed, wait_for
from tests.hostile_files import HOSTILE, HostileFile, Refused

pytestmark = pytest.mark.e2e


def drop(deployed: Deployed, name: str, shown: str = "") -> str:
    """Drop a dataset of data/ by the command line, which shows this; return its run."""
    result = deployed.cli("drop", str(ROOT / f"data/{name}.csv"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert shown in result.stdout
    return deployed.runs(name)[-1]["run"]


def metrics_of(deployed: Deployed, run: str) -> dict:
    return json.loads(deployed.read(run, "validation/metrics.json"))


def test_wine_is_scaled_for_its_model_and_shown_as_it_is(deployed):
    run = drop(deployed, "wine")
    assert metrics_of(deployed, run)["accuracy"] > 0.9
    assert json.loads(deployed.read(run, "choice.json"))["map"] != "none"
    with (ROOT / "data/wine.csv").open() as file:
        written = list(csv.DictReader(file))
    shown = list(csv.DictReader(io.StringIO(deployed.read(run, "validation/predictions.csv"))))
    added = ["Prediction", "Result", "Confidence"]
    assert list(shown[0]) == [*written[0], *added]
    rows = [{name: row[name] for name in written[0]} for row in shown]
    assert all(row in written for row in rows)
    # A class of the API's answer, to values as they are in the file.
    instance = {name: float(value) for name, value in rows[0].items() if name != "class"}
    answer = deployed.call(
        "POST", "/datasets/wine/predictions", json.dumps({"instances": [instance]})
    )
    (prediction,) = answer.body["predictions"]
    assert prediction["label"] == shown[0]["Prediction"]
    confidence = prediction["probabilities"][prediction["label"]]
    assert f"{confidence:.4f}" == shown[0]["Confidence"]


def test_a_live_endpoint_that_is_gone_is_deployed_again(deployed):
    run = drop(deployed, "wine")
    assert "Everything is as the registry says." in deployed.cli("sweep", "--dry-run").stdout
    deployed.client("sagemaker").delete_endpoint(EndpointName=run)
    row = (ROOT / "data/wine.csv").read_text().splitlines()[1].rpartition(",")[0].split(",")
    body = json.dumps({"instances": [[float(value) for value in row]]})
    missing = wait_for(
        lambda: (a := deployed.call("POST", "/datasets/wine/predictions", body)).status != 200 and a
    )
    assert (missing.status, missing.body["error"]["code"]) == (503, "EndpointMissing")
    assert f"{run}: it is live, and no endpoint serves it" in deployed.cli("sweep").stdout
    answer = wait_for(
        lambda: (a := deployed.call("POST", "/datasets/wine/predictions", body)).status == 200 and a
    )
    assert answer.body["run"] != run
    told = "repaired, its endpoint was gone"
    wait_for(lambda: any(told in mail["Subject"] for mail in deployed.mails()))


def test_penguins_become_a_model_as_they_are_words_and_missing_values_and_all(deployed):
    run = drop(deployed, "penguins")
    assert metrics_of(deployed, run)["accuracy"] > 0.95
    profile = json.loads(deployed.read(run, "clean/profile.json"))
    assert profile["rows"] == {"read": 344, "kept": 344, "rejected": 0}
    columns = json.loads(deployed.read(run, "clean/schema.json"))["columns"]
    roles = {column["name"]: column["role"] for column in columns}
    assert (roles["species"], roles["island"], roles["sex"]) == ("label", "category", "category")
    instance = {
        "island": "Torgersen",
        "bill_length_mm": 39.1,
        "bill_depth_mm": 18.7,
        "flipper_length_mm": None,
        "body_mass_g": 3750,
        "sex": None,
        "year": 2007,
    }
    answer = deployed.call(
        "POST", "/datasets/penguins/predictions", json.dumps({"instances": [instance]})
    )
    assert [each["label"] for each in answer.body["predictions"]] == ["Adelie"]


def test_digits_keep_their_64_columns_and_integer_classes(deployed):
    run = drop(deployed, "digits")
    metrics = metrics_of(deployed, run)
    assert metrics["classes"] == [str(digit) for digit in range(10)]
    assert metrics["accuracy"] > 0.95


CHOSEN = (
    "truncated gzip",
    "a quote never closed",
    "Latin-1",
    "a line break in quotes, and the right line after it",
    "markup as labels",
    "row numbers in front without a name",
)


@pytest.fixture(scope="module")
def dropped(deployed: Deployed) -> dict[str, tuple[HostileFile, str]]:
    """Hostile files, all dropped at once, each as a dataset of its own."""
    chosen = {file.name: file for file in HOSTILE if file.name in CHOSEN}
    keys = {}
    for number, (name, file) in enumerate(chosen.items()):
        keys[name] = (file, f"hostile-{number}")
        deployed.client("s3").put_object(
            Bucket=deployed.output("InboxBucketName"),
            Key=f"hostile-{number}/{file.key}",
            Body=file.data,
        )
    return keys


@pytest.mark.parametrize("name", CHOSEN)
def test_a_hostile_file_ends_as_a_model_or_as_a_mail_that_says_why_not(deployed, dropped, name):
    file, dataset = dropped[name]

    def ended() -> dict | None:
        runs = deployed.runs(dataset)
        return runs[0] if runs and runs[0]["status"] not in ("Preparing", "Training") else None

    run = wait_for(ended)
    mail = wait_for(lambda: [m for m in deployed.mails() if run["run"] in m["BodyText"]])[0]
    if isinstance(file.outcome, Refused):
        assert (run["status"], run["error"]["code"]) == ("Refused", file.outcome.code)
        assert file.outcome.says in mail["BodyText"]
        assert "What to do:" in mail["BodyText"]
        return
    profile = json.loads(deployed.read(run["run"], "clean/profile.json"))
    assert profile["rows"]["kept"] == file.outcome.kept
    assert "<script>" not in mail["BodyHtml"]


@pytest.mark.parametrize("key", ["a b+c%2B/r 1.csv", "Größe.csv"])
def test_a_key_that_names_no_dataset_is_refused_with_one_that_does(deployed, key):
    bucket = deployed.output("InboxBucketName")
    deployed.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x,label\n1,a\n")
    mail = wait_for(lambda: [m for m in deployed.mails() if f"{bucket}/{key}" in m["BodyText"]])[0]
    assert "can't be the name of a dataset" in mail["BodyText"]


def test_a_schema_by_itself_starts_nothing_and_a_wrong_one_is_refused_by_its_field(
    deployed, tmp_path
):
    schema = tmp_path / "schema.json"
    schema.write_text('{"standardization": "zscore"}')
    deployed.client("s3").upload_file(
        str(schema), deployed.output("InboxBucketName"), "typo/schema.json"
    )
    drop = ("drop", str(ROOT / "data/iris.csv"), "--dataset", "typo")
    for command, runs in (((*drop, "--schema", str(schema)), 0), (drop, 1)):
        result = deployed.cli(*command)
        assert result.returncode == 1
        said = result.stdout + result.stderr
        assert 'typo/schema.json: there is no setting "standardization"' in said
        assert len(deployed.runs("typo")) == runs
