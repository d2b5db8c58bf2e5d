"""Datasets with other kinds of endpoint than the stack's."""

import csv
import json
import urllib.request
from urllib.parse import urljoin

import pytest

from tests.deployed import ROOT, Answer, wait_for

pytestmark = pytest.mark.e2e
BODY = '{"instances": [[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]]}'
EXPECTED = ["setosa", "virginica"]


def labels(answer: Answer) -> list[str]:
    """The classes that were predicted."""
    return [prediction["label"] for prediction in answer.body["predictions"]]


def test_an_async_endpoint_is_validated_and_answers_later(deployed, async_run):
    config = deployed.client("sagemaker").describe_endpoint_config(EndpointConfigName=async_run)
    assert "AsyncInferenceConfig" in config
    scaling = deployed.client("application-autoscaling")

    def bounds() -> list[tuple[int, int]]:
        targets = scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{async_run}/variant/AllTraffic"]
        )["ScalableTargets"]
        return [(target["MinCapacity"], target["MaxCapacity"]) for target in targets]

    assert wait_for(bounds) == [(0, 1)]
    alarms = deployed.client("cloudwatch").describe_alarms(AlarmNamePrefix="knn-pipeline/wake/")
    assert [alarm["AlarmName"] for alarm in alarms["MetricAlarms"]] == [
        f"knn-pipeline/wake/{async_run}"
    ]
    accepted = deployed.call("POST", "/datasets/async/predictions", BODY)
    assert accepted.status == 202
    # Relative to the request, so that it holds under any domain and stage.
    path = urljoin("/datasets/async/predictions", accepted.headers["Location"])
    assert path == f"/datasets/async/predictions/{accepted.body['id']}"
    answer = wait_for(lambda: (a := deployed.call("GET", path)).status == 200 and a)
    assert (labels(answer), answer.body["run"]) == (EXPECTED, async_run)
    shown = deployed.call("GET", f"{path}?neighbors=2").body["predictions"]
    assert [len(each["neighbors"]) for each in shown] == [2] * len(EXPECTED)


def test_a_new_model_is_compared_with_a_live_one_that_answers_later(deployed, async_run):
    result = deployed.cli("drop", str(ROOT / "data/iris.csv"), "--dataset", "async")
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = (each["run"] for each in deployed.runs("async") if each["run"] != async_run)
    found = json.loads(deployed.read(run, "validation/metrics.json"))["live"]
    # The same file is split alike, so that neither model was trained on its held-out rows.
    assert (found["run"], found["rows"]) == (async_run, 38)
    assert found["accuracy"] == found["this"]["accuracy"] == found["own"]["accuracy"]
    assert set(found["drift"]["psi"].values()) == {0}


def test_rows_are_scored_by_a_transform_job_that_leaves_the_endpoint_alone(deployed, async_run):
    header = "Sepal.Length,Sepal.Width,Petal.Length,Petal.Width"
    told = deployed.score("async", f"{header}\n5.1,3.5,1.4,0.2\n6.5,3.0,5.5,2.0\n", "two.csv")
    assert (told["status"], told["scored"]) == ("Scored", 2), told
    with urllib.request.urlopen(told["result"], timeout=30) as answer:
        rows = list(csv.DictReader(answer.read().decode().splitlines()))
    assert [row["Prediction"] for row in rows] == EXPECTED
    jobs = deployed.client("sagemaker").list_transform_jobs(NameContains=told["batch"])
    (job,) = jobs["TransformJobSummaries"]
    assert job["TransformJobStatus"] == "Completed"


def test_a_prediction_is_not_found_under_another_dataset(deployed, async_run):
    accepted = deployed.call("POST", "/datasets/async/predictions", BODY)
    answer = deployed.call("GET", f"/datasets/iris/predictions/{accepted.body['id']}")
    assert (answer.status, answer.body["error"]["code"]) == (404, "UnknownPrediction")


def test_the_command_line_waits_for_an_async_answer(deployed, async_run):
    result = deployed.cli("predict", "async", "5.1", "3.5", "1.4", "0.2")
    assert result.returncode == 0, result.stderr
    assert '"setosa"' in result.stdout


def test_a_realtime_endpoint_is_validated_and_answers_at_once(deployed, realtime_run):
    answer = deployed.call("POST", "/datasets/realtime/predictions", BODY)
    assert (answer.status, labels(answer), answer.body["run"]) == (200, EXPECTED, realtime_run)
