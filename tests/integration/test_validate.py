"""Validate's handler on the folder of a run, with endpoints that search the training rows."""

import csv
import io
import json
import random
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neighbors import NearestNeighbors

from pipeline.transform import Transform
from tests.function_app import function_app, lambda_context
from tests.integration.pipeline import Pipeline
from tests.records import rows_in

FIXED = {"standardisation": "none", "k": "3", "weights": "uniform", "metric": "L2"}


class Endpoints:
    """Endpoints of runs, which answer by scikit-learn's search in the runs' training rows."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.asked: dict[str, list[str]] = {}
        self.first: dict[str, list[Exception]] = {}  # what each run's answers first
        self.failures: dict[str, Exception | str] = {}

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        run = request["EndpointName"]
        if self.first.get(run):
            raise self.first[run].pop()
        failure = self.failures.get(run)
        if isinstance(failure, Exception):
            raise failure
        lines = request["Body"].decode().splitlines()
        self.asked.setdefault(run, []).extend(lines)
        found = [] if failure else self.search(run, lines)
        return {"Body": io.BytesIO(json.dumps({"predictions": found}).encode())}

    def invoke_endpoint_async(self, **request: Any) -> dict[str, str]:
        s3, bucket = self._pipeline.s3, self._pipeline.runs_bucket
        asked = request["InputLocation"].removeprefix(f"s3://{bucket}/")
        body = s3.get_object(Bucket=bucket, Key=asked)["Body"].read()
        answer = self.invoke_endpoint(EndpointName=request["EndpointName"], Body=body)["Body"]
        output = f"async/{request['EndpointName']}/output/{len(self.asked)}"
        s3.put_object(Bucket=bucket, Key=output, Body=answer.read())
        written = f"s3://{bucket}/{output}"
        return {"OutputLocation": written, "FailureLocation": f"{written}.failure"}

    def search(self, run: str, lines: list[str]) -> list[dict[str, Any]]:
        """What a run's endpoint predicts of rows."""
        rows = np.array(rows_in(self._pipeline.read_bytes(run, "train/train.pbr")))
        choice = json.loads(self._pipeline.read(run, "choice.json"))
        index = NearestNeighbors(n_neighbors=choice["k"]).fit(rows[:, 1:])
        far, places = index.kneighbors(np.loadtxt(lines, delimiter=",", ndmin=2))
        return [
            {"labels": rows[near, 0].tolist(), "distances": (away**2).tolist()}
            for near, away in zip(places, far, strict=True)
        ]


def noisy(rows: int, seed: int = 0) -> list[str]:
    """Rows of two classes that overlap, each with a text that the model isn't told."""
    draw = random.Random(seed)
    return [
        f"{draw.gauss(n % 2, 0.7):.3f},{draw.gauss(n % 2, 0.7):.3f},note {seed}-{n},{'ab'[n % 2]}"
        for n in range(rows)
    ]


def prepared(
    pipeline: Pipeline,
    dataset: str,
    rows: list[str],
    *,
    header: str = "x,y,note,label",
    sequencer: str = "0A",
    **asked: str,
) -> str:
    """A run whose rows have been split."""
    content, asked = "\n".join([header, *rows, ""]).encode(), FIXED | asked
    created = pipeline.dropped(f"{dataset}/rows.csv", content, sequencer=sequencer, **asked)
    run = pipeline.handle("preprocess", created)["run"]
    pipeline.handle("split", pipeline.manifest_of(run))
    return str(run)


def validated(
    pipeline: Pipeline,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
    endpoints: Endpoints | None = None,
    seconds: int = 900,
    restores: str = "",
) -> tuple[dict[str, Any], Endpoints]:
    """Validate a run; return its metrics with any refusal, and the endpoints that were asked."""
    endpoints = endpoints or Endpoints(pipeline)
    with function_app("validate", pipeline.environment) as app, monkeypatch.context() as patched:
        for name in ("runtime", "live_runtime"):
            for operation in ("invoke_endpoint", "invoke_endpoint_async"):
                patched.setattr(getattr(app, name), operation, getattr(endpoints, operation))
        asked = {"run": run, "endpoint_kind": "serverless", "restores": restores}
        answer = app.handler(asked, lambda_context(seconds))
    metrics = json.loads(pipeline.read(run, "validation/metrics.json"))
    return metrics | {"refusal": answer.get("refusal")}, endpoints


def test_the_first_wrong_predictions_are_those_of_the_predictions_file(pipeline, monkeypatch):
    rows = noisy(400)
    run = prepared(pipeline, "wrong-rows", rows)
    metrics, _ = validated(pipeline, run, monkeypatch)
    table = list(csv.DictReader(io.StringIO(pipeline.read(run, "validation/predictions.csv"))))
    wrong = json.loads(pipeline.read(run, "validation/wrong.json"))
    expected = [row for row in table if row["Result"] == "False"]
    assert len(expected) == wrong["of"] > 20 == len(wrong["rows"])
    assert wrong["sample"] == {"rows": 300, "of": 300}
    for found, row in zip(wrong["rows"], expected, strict=False):
        assert (found["predicted"], found["true"]) == (row["Prediction"], row["label"])
        assert found["row"] == {name: row[name] for name in ("x", "y", "note", "label")}
        assert rows[found["line"] - 2] == ",".join(found["row"].values())
        assert f"{found['shares'][found['predicted']]:.4f}" == row["Confidence"]
        # All training rows are in the sample, so its nearest ones are those that voted.
        nearest = [each["class"] for each in found["nearest"]]
        assert nearest.count(found["predicted"]) >= 2
        far = [
            np.hypot(*(float(found["row"][n]) - float(each["row"][n]) for n in "xy"))
            for each in found["nearest"]
        ]
        assert [each["distance"] for each in found["nearest"]] == pytest.approx(far, abs=1e-6)
        assert far == sorted(far)
    assert metrics["accuracy"] == accuracy_score(
        [row["label"] for row in table], [row["Prediction"] for row in table]
    )


def test_a_run_that_was_split_before_an_update_is_validated(pipeline, monkeypatch):
    run = prepared(pipeline, "before-update", noisy(100))
    for name in ("validation/training_sample.json", "fingerprints/train.u64"):
        pipeline.s3.delete_object(Bucket=pipeline.runs_bucket, Key=f"runs/{run}/{name}")
    validated(pipeline, run, monkeypatch)
    wrong = json.loads(pipeline.read(run, "validation/wrong.json"))
    assert wrong["sample"] == {"rows": 0, "of": 75}
    assert {len(row["nearest"]) for row in wrong["rows"]} == {0}


def promote(pipeline: Pipeline, run: str, kind: str = "serverless") -> None:
    """Let a run be the live one of its dataset."""
    item = {"run": run, "endpoint_name": run, "endpoint_kind": kind, "promoted": "2026"}
    dataset = run[: run.index("-2026")]
    pipeline.registry.put_item(Item={"dataset": dataset, "sort": "live", **item})


def live_and_next(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    dataset: str,
    rows: list[str],
    more: list[str],
    kind: str = "serverless",
    **asked: str,
) -> tuple[str, str]:
    """A live run of some rows, and a run of others that has been split."""
    live = prepared(pipeline, dataset, rows)
    validated(pipeline, live, monkeypatch)
    promote(pipeline, live, kind)
    return live, prepared(pipeline, dataset, more, sequencer="0B", **asked)


def trained_rows(pipeline: Pipeline, run: str) -> set[str]:
    """Rows that a run's model was trained on, as written."""
    kept = pipeline.read(run, "clean/data.csv").splitlines()
    return set(kept) - set(pipeline.read(run, "validation/held_out.csv").splitlines())


def test_without_a_live_model_there_is_nothing_to_compare_with(pipeline, monkeypatch):
    run = prepared(pipeline, "first-of-all", noisy(60))
    assert validated(pipeline, run, monkeypatch)[0]["live"] is None


@pytest.mark.parametrize("kind", ["serverless", "async"])
def test_of_a_file_that_has_grown_both_models_are_compared_on_rows_that_neither_has_learned(
    pipeline, monkeypatch, kind
):
    old, added = noisy(200), noisy(200, seed=1)
    live, run = live_and_next(pipeline, monkeypatch, f"grown-{kind}", old, old + added, kind)
    metrics, endpoints = validated(pipeline, run, monkeypatch)
    table = list(csv.DictReader(io.StringIO(pipeline.read(run, "validation/predictions.csv"))))
    written = pipeline.read(run, "validation/held_out.csv").splitlines()
    known = trained_rows(pipeline, live) | trained_rows(pipeline, run)
    new = [row for row, line in zip(table, written, strict=True) if line not in known]
    assert 20 < len(new) < len(table)
    true, ours = ([row[name] for row in new] for name in ("label", "Prediction"))
    asked = [f"{float(row['x']):.9g},{float(row['y']):.9g}" for row in new]
    assert np.loadtxt(endpoints.asked[live][-len(new) :], delimiter=",") == pytest.approx(
        np.loadtxt(asked, delimiter=","), rel=1e-6
    )
    neighbors = endpoints.search(live, asked)
    theirs = ["ab"[sum(each["labels"]) > 1.5] for each in neighbors]
    found = metrics["live"]
    del found["drift"]
    assert found == {
        "run": live,
        "own": {
            name: json.loads(pipeline.read(live, "validation/metrics.json"))[name]
            for name in ("rows", "accuracy", "macro_f1")
        },
        "rows": len(new),
        "accuracy": pytest.approx(accuracy_score(true, theirs)),
        "macro_f1": pytest.approx(f1_score(true, theirs, average="macro")),
        "this": {
            "accuracy": pytest.approx(accuracy_score(true, ours)),
            "macro_f1": pytest.approx(f1_score(true, ours, average="macro")),
        },
        "better": sum(o == t != p for o, t, p in zip(ours, true, theirs, strict=True)),
        "worse": sum(p == t != o for o, t, p in zip(ours, true, theirs, strict=True)),
    }
    if kind == "async":
        assert pipeline.keys(f"async/{run}/input/") == [f"async/{run}/input/live-00000.csv"]
        assert not pipeline.keys(f"async/{live}/input/")


def test_rows_are_mapped_by_the_live_models_transform_however_they_are_written_now(
    pipeline, monkeypatch
):
    draw = random.Random(5)
    old = [
        f"{draw.gauss(n % 2, 1):.5f},{['', 'red', 'green'][n % 3]},{'ab'[n % 2]}"
        for n in range(200)
    ]
    new = [
        f'"${draw.gauss(n % 2, 1) + 1000:,.5f}",{["NA", "red", "blue"][n % 3]},{"ab"[n % 2]}'
        for n in range(200)
    ]
    asked = {"standardisation": "zscore", "header": "x,color,label"}
    live = prepared(pipeline, "remapped", old, **asked)
    promote(pipeline, live)
    asked["standardisation"] = "minmax"
    run = prepared(pipeline, "remapped", new, sequencer="0B", **asked)
    metrics, endpoints = validated(pipeline, run, monkeypatch)
    transform = Transform.from_dict(json.loads(pipeline.read(live, "transform.json")))
    table = list(csv.reader(pipeline.read(run, "validation/held_out.csv").splitlines()))
    plain = [[row[0].strip("$").replace(",", ""), row[1]] for row in table]
    expected = [",".join(f"{each:.9g}" for each in row) for row in transform.apply(plain)]
    assert metrics["live"]["rows"] == len(table) == 50
    assert endpoints.asked[live] == expected
    assert metrics["live"]["own"] is None


def reason(metrics: dict[str, Any]) -> dict[str, Any]:
    """What is said of the live model, but for its run, its own metrics and drift."""
    return {n: v for n, v in metrics["live"].items() if n not in ("run", "own", "drift")}


def test_a_model_that_is_deployed_again_must_be_what_it_was_and_no_live_model_is_asked(
    pipeline, monkeypatch
):
    rows = noisy(200)
    _, first = live_and_next(pipeline, monkeypatch, "restored", rows, rows, "serverless")
    before, _ = validated(pipeline, first, monkeypatch)
    asked = Endpoints(pipeline)
    again, _ = validated(pipeline, first, monkeypatch, asked, restores=first)
    assert (again["refusal"], again["live"], list(asked.asked)) == (None, None, [first])
    assert again["confusion_matrix"] == before["confusion_matrix"]
    # The files of another run have come into its folder, say.
    other = prepared(pipeline, "restored-otherwise", noisy(240, seed=3))
    found, _ = validated(pipeline, other, monkeypatch, restores=first)
    assert found["refusal"]["code"] == "NotAsBefore"


def test_with_few_rows_that_are_new_to_both_models_are_not_compared(pipeline, monkeypatch):
    rows = noisy(100)
    live, run = live_and_next(pipeline, monkeypatch, "few", rows, rows, seed="1")
    metrics, endpoints = validated(pipeline, run, monkeypatch)
    held_out = set(pipeline.read(run, "validation/held_out.csv").splitlines())
    new = held_out - trained_rows(pipeline, live)
    assert 0 < len(new) < 20
    assert reason(metrics) == {"reason": "FewRows", "rows": len(new)}
    assert live not in endpoints.asked
    assert metrics["live"]["own"]["rows"] == 25


def test_models_of_other_features_are_not_compared(pipeline, monkeypatch):
    wide = [f"{n % 7 / 3}0,{row}" for n, row in enumerate(noisy(100, seed=1))]
    live = prepared(pipeline, "widened", noisy(100))
    promote(pipeline, live)
    header = {"header": "z,x,y,note,label"}
    run = prepared(pipeline, "widened", wide, sequencer="0B", **header)
    metrics, _ = validated(pipeline, run, monkeypatch)
    assert reason(metrics) == {"reason": "OtherFeatures"}
    assert metrics["live"]["drift"]["psi"].keys() == {"x", "y"}


def test_a_live_model_of_an_earlier_release_is_not_compared(pipeline, monkeypatch):
    live, run = live_and_next(pipeline, monkeypatch, "earlier-live", noisy(100), noisy(100, 1))
    for name in ("validation/training_sample.json", "fingerprints/train.u64"):
        pipeline.s3.delete_object(Bucket=pipeline.runs_bucket, Key=f"runs/{live}/{name}")
    metrics, _ = validated(pipeline, run, monkeypatch)
    assert reason(metrics) == {"reason": "NoFingerprints"}
    assert metrics["live"]["drift"] is None


@pytest.mark.parametrize(
    "failure",
    [
        ClientError({"Error": {"Code": "ModelError", "Message": "secret"}}, "InvokeEndpoint"),
        EndpointConnectionError(endpoint_url="https://runtime.sagemaker"),
        "none of the rows",
        "no time",
    ],
    ids=str,
)
def test_a_live_model_that_does_not_answer_fails_no_run(pipeline, monkeypatch, failure, caplog):
    dataset = f"mute-{len(str(failure))}"
    live, run = live_and_next(pipeline, monkeypatch, dataset, noisy(100), noisy(100, 1))
    endpoints = Endpoints(pipeline)
    endpoints.failures[live] = failure
    seconds = 39 if failure == "no time" else 900
    metrics, _ = validated(pipeline, run, monkeypatch, endpoints, seconds)
    assert reason(metrics) == {"reason": "NoAnswer"}
    assert metrics["rows"] == 25
    logged = str([record.__dict__ for record in caplog.records])
    assert "the live model has not answered" in logged
    assert "secret" not in logged


def test_a_live_endpoint_that_is_starting_is_asked_again(pipeline, monkeypatch):
    live, run = live_and_next(pipeline, monkeypatch, "starting", noisy(100), noisy(100, 1))
    endpoints = Endpoints(pipeline)
    error = {"Error": {"Code": "ModelNotReadyException"}}
    endpoints.first[live] = [ClientError(error, "InvokeEndpoint")]
    metrics, _ = validated(pipeline, run, monkeypatch, endpoints)
    assert metrics["live"]["rows"] == 25


def test_a_new_endpoint_is_given_minutes_to_start(pipeline, monkeypatch):
    monkeypatch.setattr("validate.held_out.POLL_SECONDS", 0)
    run, endpoints = prepared(pipeline, "starts-slowly", noisy(100)), Endpoints(pipeline)
    error = {"Error": {"Code": "ModelNotReadyException"}}
    endpoints.first[run] = [ClientError(error, "InvokeEndpoint")] * 300
    metrics, _ = validated(pipeline, run, monkeypatch, endpoints)
    assert metrics["rows"] == 25


def test_drift_is_told_by_feature_and_by_class(pipeline, monkeypatch):
    old = noisy(400)
    moved = [f"{float(row.partition(',')[0]) + 1:.3f},{row.partition(',')[2]}" for row in old[:300]]
    moved = [row for n, row in enumerate(moved) if n % 2 or n % 4]
    _, run = live_and_next(pipeline, monkeypatch, "moved", old, moved)
    found = validated(pipeline, run, monkeypatch)[0]["live"]["drift"]
    assert found["psi"]["x"] > 0.5 > found["by_chance"]["x"]
    assert found["psi"]["y"] < found["by_chance"]["y"]
    split = json.loads(pipeline.read(run, "split.json"))["classes"]
    share = split["a"]["train"] / (split["a"]["train"] + split["b"]["train"])
    assert found["classes"] == {"a": [0.5, share], "b": [0.5, pytest.approx(1 - share)]}
    assert share < 0.4
