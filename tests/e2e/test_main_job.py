"""A file dropped, the mail read, the prediction made; then a file that is no use."""

import csv
import io
import json
import re
import shutil
import urllib.request

import pytest

from pipeline.wording import percent
from tests.deployed import ROOT, Answer, Deployed, wait_for
from tests.records import rows_in

pytestmark = pytest.mark.e2e
IRIS = ROOT / "data/iris.csv"
SETOSA = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'


@pytest.fixture(scope="module")
def iris(deployed: Deployed) -> dict:
    """The run of data/iris.csv, dropped and followed by the command line."""
    result = deployed.cli("drop", str(IRIS))
    assert result.returncode == 0, result.stdout + result.stderr
    return {"output": result.stdout, **deployed.runs("iris")[-1]}


def test_following_a_drop_shows_each_stage_and_the_metrics(iris):
    stages = ("Drop", "Preprocess", "Split", "Train", "Validate", "Promote", "Report")
    assert all(f"✓ {stage} " in iris["output"] for stage in stages)
    assert "right on 38 held-out rows" in iris["output"]
    assert "Confusion matrix" in iris["output"]


def test_the_mail_says_that_the_model_is_live_and_how_good_it_is(deployed, iris):
    metrics = json.loads(deployed.read(iris["run"], "validation/metrics.json"))
    mail = next(m for m in deployed.mails() if iris["run"] in m["BodyText"])
    assert mail["To"] == ["you@example.com"]
    assert mail["Subject"].startswith(f"iris: live, {percent(metrics['accuracy'])} right")
    for part in (mail["BodyText"], mail["BodyHtml"]):
        assert f"{metrics['macro_f1']:.3f}" in part
        assert "versicolor" in part


def test_the_pictures_are_in_the_page_and_attached_to_the_mail(deployed, iris):
    mail = next(m for m in deployed.mails() if iris["run"] in m["BodyText"])
    page = deployed.read(iris["run"], "report/report.html")
    names = ("confusion_matrix", "column_weights", "scatter_matrix")
    assert all(f'src="cid:{name}"' in mail["BodyHtml"] for name in names)
    attached = {each["ContentId"] for each in mail["Attachments"]}
    assert attached == set(re.findall(r'src="cid:(\w+)"', mail["BodyHtml"]))
    assert page.count('src="data:image/png;base64,') == 5
    assert "http://" not in re.sub(r"http://[^/]*/_aws/|http://127\.0\.0\.1", "", page)


def test_the_clean_rows_are_those_of_the_file_as_they_were_written(deployed, iris):
    assert deployed.read(iris["run"], "clean/data.csv") == IRIS.read_text().partition("\n")[2]
    head = deployed.client("s3").head_object(
        Bucket=deployed.output("RunsBucketName"), Key=f"runs/{iris['run']}/clean/data.csv"
    )
    assert head["ContentType"] == "text/csv"


def test_the_split_holds_out_a_quarter_of_each_class(deployed, iris):
    train, test = (
        rows_in(deployed.read_bytes(iris["run"], f"{channel}/{channel}.pbr"))
        for channel in ("train", "test")
    )
    assert (len(train), len(test)) == (112, 38)
    assert [sum(row[0] == label for row in test) for label in range(3)] == [13, 13, 12]


def test_each_held_out_row_has_a_prediction_and_a_result(deployed, iris):
    rows = list(
        csv.DictReader(io.StringIO(deployed.read(iris["run"], "validation/predictions.csv")))
    )
    metrics = json.loads(deployed.read(iris["run"], "validation/metrics.json"))
    assert len(rows) == metrics["rows"] == 38
    right = [row["Result"] == "True" for row in rows]
    assert right == [row["Species"] == row["Prediction"] for row in rows]
    assert sum(right) / len(rows) == metrics["accuracy"]


def test_the_introductions_model_is_as_good_as_the_training_job_saw(deployed):
    """Where all five neighbours have one vote each, as in the job's own test."""
    asked = ("k=5", "standardisation=none", "weights=uniform", "metric=L2")
    options = [option for setting in asked for option in ("--set", setting)]
    result = deployed.cli("drop", str(IRIS), "--dataset", "introduction", *options)
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = (item["run"] for item in deployed.runs("introduction"))
    job = deployed.client("sagemaker").describe_training_job(TrainingJobName=run)
    assert job["HyperParameters"]["k"] == "5"
    seen = {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]}
    metrics = json.loads(deployed.read(run, "validation/metrics.json"))
    assert seen["test:accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-6)


def labels(answer: Answer) -> list[str]:
    """The classes that were predicted."""
    return [prediction["label"] for prediction in answer.body["predictions"]]


def test_the_api_predicts_from_json_and_csv(deployed, iris):
    path = "/datasets/iris/predictions"
    expected = deployed.call("POST", path, SETOSA).body
    assert expected["run"] == iris["run"]
    (prediction,) = expected["predictions"]
    assert prediction["label"] == "setosa"
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)
    by_name = {"Sepal.Length": 5.1, "Sepal.Width": 3.5, "Petal.Length": 1.4, "Petal.Width": 0.2}
    assert deployed.call("POST", path, json.dumps({"instances": [by_name]})).body == expected
    answer = deployed.call("POST", path, "5.1,3.5,1.4,0.2\n", content_type="text/csv")
    assert answer.body == expected


def test_the_api_describes_the_live_model(deployed, iris):
    body = deployed.call("GET", "/datasets/iris").body
    assert body["live"]["run"] == iris["run"]
    assert body["schema"]["classes"] == ["setosa", "versicolor", "virginica"]
    listed = {d["dataset"]: d["run"] for d in deployed.call("GET", "/datasets").body["datasets"]}
    assert listed["iris"] == iris["run"]


def test_what_the_api_says_of_a_model_is_enough_to_ask_it(deployed, iris):
    told = deployed.call("GET", "/datasets/iris").body
    assert [each["name"] for each in told["features"]] == told["schema"]["features"]
    for each, value in zip(told["features"], told["example"], strict=True):
        assert each["role"] == "number"
        assert each["minimum"] <= value <= each["maximum"]
        assert each["nullable"]
    body = json.dumps({"instances": [told["example"]]})
    path = f"/datasets/iris/predictions?neighbors={told['k'] + 5}"
    (prediction,) = deployed.call("POST", path, body).body["predictions"]
    near = prediction["neighbors"]
    assert len(near) == told["k"]
    assert {each["label"] for each in near} <= set(told["classes"])
    assert sorted(each["distance"] for each in near) == [each["distance"] for each in near]


def test_the_api_tells_what_became_of_each_file(deployed, iris):
    listed = deployed.call("GET", "/datasets/iris/runs").body["runs"]
    of_list = next(run for run in listed if run["run"] == iris["run"])
    assert (of_list["status"], of_list["file"]) == ("Live", "iris.csv")
    metrics = json.loads(deployed.read(iris["run"], "validation/metrics.json"))
    assert of_list["accuracy"] == metrics["accuracy"]
    run = deployed.call("GET", f"/datasets/iris/runs/{iris['run']}").body
    assert all(run["stages"].values())
    assert run["rows"] == {"read": 150, "kept": 150, "rejected": 0}
    report = deployed.call("GET", f"/datasets/iris/runs/{iris['run']}/report")
    assert report.headers["Content-Type"].startswith("text/html")
    assert report.body == deployed.read(iris["run"], "report/report.html")


def test_health_and_the_document_need_no_key_and_say_nothing_of_datasets(deployed, iris):
    health = deployed.call("GET", "/health", key=None)
    assert (health.status, health.body) == (200, {"status": "ok"})
    document = deployed.call("GET", "/openapi.json", key=None)
    assert document.status == 200
    assert "/datasets/{dataset}/predictions" in document.body["paths"]
    assert "amazon" not in json.dumps(document.body)


def test_more_than_a_function_can_be_given_is_413(deployed, iris):
    answer = deployed.call("POST", "/datasets/iris/predictions", "1," * 4_000_000)
    assert (answer.status, answer.body["error"]["message"]) == (413, "Request Too Long")


@pytest.mark.parametrize("key", [None, "not-a-key"])
@pytest.mark.parametrize("path", ["", "/runs", "/runs/{run}", "/runs/{run}/report"])
def test_without_a_valid_key_the_api_is_closed(deployed, iris, key, path):
    answer = deployed.call("GET", "/datasets/iris" + path.format(run=iris["run"]), key=key)
    assert answer.status == 403
    assert answer.body["error"]["message"] == "Forbidden"


def test_a_bad_file_is_refused_by_mail_while_the_live_model_goes_on(deployed, iris, tmp_path):
    broken = tmp_path / "broken.csv"
    broken.write_text("a,b\n1.5,2.5\n3.5,4.5\n")
    result = deployed.cli("drop", str(broken), "--dataset", "iris")
    assert result.returncode == 1
    (code,) = {run["error"]["code"] for run in deployed.runs("iris") if run["status"] == "Refused"}
    assert code in result.stdout
    mail = next(m for m in deployed.mails() if "broken.csv was refused" in m["BodyText"])
    assert "What to do" in mail["BodyText"]
    answer = deployed.call("POST", "/datasets/iris/predictions", SETOSA)
    assert (labels(answer), answer.body["run"]) == (["setosa"], iris["run"])
    refused = next(
        run
        for run in deployed.call("GET", "/datasets/iris/runs").body["runs"]
        if run["status"] == "Refused"
    )
    assert (refused["file"], refused["error"]["code"]) == ("broken.csv", code)
    stages = deployed.call("GET", f"/datasets/iris/runs/{refused['run']}").body["stages"]
    assert [name for name, is_done in stages.items() if is_done] == ["report"]


def test_rows_that_are_no_use_are_set_aside_with_line_and_reason(deployed, tmp_path):
    messy = tmp_path / "messy.csv"
    lines = IRIS.read_text().splitlines()
    lines[2] = "4.9,oops,1.4,0.2,setosa"
    lines[5] = "4.6,3.1,1.5,setosa"
    lines[7] = "4.6,,1.5,0.2,setosa"
    lines[9] = "4.4,2.9,1.4,0.2,"
    messy.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    result = deployed.cli("drop", str(messy))
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = deployed.runs("messy")
    rejects = list(csv.DictReader(io.StringIO(deployed.read(run["run"], "clean/rejects.csv"))))
    assert rejects == [
        {"line": "3", "reason": 'column "Sepal.Width": "oops" is not a number', "row": lines[2]},
        {"line": "6", "reason": "4 columns where the header has 5", "row": lines[5]},
        {"line": "10", "reason": 'column "Species": the label is missing', "row": lines[9]},
    ]
    profile = json.loads(deployed.read(run["run"], "clean/profile.json"))
    assert profile["rows"] == {"read": 150, "kept": 147, "rejected": 3}
    assert profile["features"]["Sepal.Width"]["missing"] == 1


def test_the_next_file_replaces_the_model_and_the_old_endpoint_goes(deployed, iris):
    result = deployed.cli("drop", str(IRIS), "--dataset", "iris")
    assert result.returncode == 0, result.stdout + result.stderr
    new = deployed.call("GET", "/datasets/iris").body["live"]["run"]
    assert new != iris["run"]
    sagemaker = deployed.client("sagemaker")

    def endpoints() -> set[str]:
        return {e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]}

    wait_for(lambda: iris["run"] not in endpoints())
    assert new in endpoints()
    statuses = {run["run"]: run["status"] for run in deployed.runs("iris")}
    assert (statuses[iris["run"]], statuses[new]) == ("Retired", "Live")


def test_a_run_that_is_stopped_by_hand_is_reported_and_leaves_no_endpoint(deployed):
    s3, sfn = deployed.client("s3"), deployed.client("stepfunctions")
    arn = deployed.output("StateMachineArn")
    s3.put_object(
        Bucket=deployed.output("InboxBucketName"), Key="stopped.csv", Body=IRIS.read_bytes()
    )

    def running() -> list[str]:
        listed = sfn.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]
        return [e["executionArn"] for e in listed if e["name"].startswith("stopped-")]

    (execution,) = wait_for(running)
    sfn.stop_execution(executionArn=execution)
    (run,) = wait_for(
        lambda: [
            r for r in deployed.runs("stopped") if r["status"] not in ("Preparing", "Training")
        ]
    )
    assert (run["status"], run["error"]["code"]) == ("Failed", "Interrupted")
    wait_for(lambda: any("stopped: failed" in mail["Subject"] for mail in deployed.mails()))
    endpoints = deployed.client("sagemaker").list_endpoints(NameContains="stopped")
    wait_for(lambda: not endpoints["Endpoints"])


def test_of_two_files_dropped_at_once_the_last_is_live_in_the_end(deployed):
    s3, inbox = deployed.client("s3"), deployed.output("InboxBucketName")
    versions = [
        s3.put_object(Bucket=inbox, Key="pair/rows.csv", Body=IRIS.read_bytes())["VersionId"]
        for _ in range(2)
    ]

    def ended() -> list[str]:
        by_version = {r["source"]["version"]: r["status"] for r in deployed.runs("pair")}
        statuses = [by_version.get(version, "") for version in versions]
        # Live for a moment, the first one is retired by the last.
        return statuses if statuses[0] in ("Superseded", "Retired") else []

    assert wait_for(lambda: (statuses := ended()) and statuses[1] == "Live" and statuses)


def test_a_file_that_is_no_csv_starts_nothing(deployed, tmp_path):
    s3, inbox = deployed.client("s3"), deployed.output("InboxBucketName")
    s3.put_object(Bucket=inbox, Key="notes.txt", Body=IRIS.read_bytes())
    # A file that was dropped afterwards has gone all the way: the first would have begun by now.
    after = tmp_path / "after.csv"
    shutil.copy(IRIS, after)
    assert deployed.cli("drop", str(after)).returncode == 0
    assert deployed.runs("notes") == []
    assert deployed.runs("notes-txt") == []


def test_a_file_of_rows_comes_back_with_what_the_api_predicts_of_each(deployed, iris):
    rows = "note;Petal.Length;Petal.Width;Sepal.Length;sepal.width\nfirst;1.4;0.2;5.1;3.5\n"
    told = deployed.score(
        "iris", f'{rows}"two\nlines";5.5;2.0;6.5;3.0\nbad;?;x;6;3\n', "new ones.csv"
    )
    counts = {name: told[name] for name in ("status", "rows", "scored", "set_aside")}
    assert counts == {"status": "Scored", "rows": 3, "scored": 2, "set_aside": 1}
    assert told["predicted"] == {"setosa": 1, "virginica": 1}
    with urllib.request.urlopen(told["result"], timeout=30) as answer:
        assert 'filename="new ones scored.csv"' in answer.headers["content-disposition"]
        scored = list(csv.DictReader(io.StringIO(answer.read().decode()), delimiter=";"))
    assert [row["note"] for row in scored] == ["first", "two\nlines"]
    asked = {"instances": [[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]]}
    answers = deployed.call("POST", "/datasets/iris/predictions", json.dumps(asked)).body
    for row, prediction in zip(scored, answers["predictions"], strict=True):
        shares = prediction["probabilities"]
        assert row["Prediction"] == prediction["label"]
        for name in ("setosa", "versicolor", "virginica"):
            assert float(row[f"P({name})"]) == pytest.approx(shares.get(name, 0), abs=1e-4)
    with urllib.request.urlopen(told["rejects"], timeout=30) as answer:
        assert '5,"""Petal.Width"" is not a number"' in answer.read().decode()
    mail = next(m for m in deployed.mails() if told["batch"] in m["BodyText"])
    assert mail["Subject"] == "new ones.csv: 2 rows scored by iris"


def test_a_file_that_lacks_a_column_is_refused_and_no_cell_of_it_is_told(deployed, iris):
    told = deployed.score("iris", "Petal.Length,secret cell\n1.4,0.2\n", "short.csv")
    assert (told["status"], told["error"]["code"]) == ("Refused", "MissingColumns")
    assert "secret cell" not in json.dumps(told)
    mail = next(m for m in deployed.mails() if m["Subject"] == "short.csv was not scored")
    assert '"Petal.Width"' in mail["BodyText"]
