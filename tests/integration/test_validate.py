"""Validate's handler on the folder of a run, with endpoints that search the training rows."""

import csv
import io
import json
import random
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.neighbors import NearestNeighbors

from tests.function_app import function_app, lambda_context
from tests.integration.pipeline import Pipeline
from tests.records import rows_in

FIXED = {"standardisation": "none", "k": "3", "weights": "uniform", "metric": "L2"}


class Endpoints:
    """Endpoints of runs, which answer by scikit-learn's search in the runs' training rows."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.asked: dict[str, list[str]] = {}

    def invoke_endpoint(self, *, EndpointName: str, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        lines = Body.decode().splitlines()
        self.asked.setdefault(EndpointName, []).extend(lines)
        rows = np.array(rows_in(self._pipeline.read_bytes(EndpointName, "train/train.pbr")))
        choice = json.loads(self._pipeline.read(EndpointName, "choice.json"))
        index = NearestNeighbors(n_neighbors=choice["k"]).fit(rows[:, 1:])
        far, places = index.kneighbors(np.loadtxt(lines, delimiter=",", ndmin=2))
        found = [
            {"labels": rows[near, 0].tolist(), "distances": (away**2).tolist()}
            for near, away in zip(places, far, strict=True)
        ]
        return {"Body": io.BytesIO(json.dumps({"predictions": found}).encode())}


def noisy(rows: int, seed: int = 0) -> list[str]:
    """Rows of two classes that overlap, each with a text that the model isn't told."""
    draw = random.Random(seed)
    return [
        f"{draw.gauss(n % 2, 0.7):.3f},{draw.gauss(n % 2, 0.7):.3f},note {seed}-{n},{'ab'[n % 2]}"
        for n in range(rows)
    ]


def prepared(pipeline: Pipeline, dataset: str, rows: list[str], **asked: str) -> str:
    """A run whose rows have been split."""
    content = "\n".join(["x,y,note,label", *rows, ""]).encode()
    created = pipeline.dropped(f"{dataset}/rows.csv", content, **FIXED | asked)
    run = pipeline.handle("preprocess", created)["run"]
    pipeline.handle("split", pipeline.manifest_of(run))
    return str(run)


def validated(
    pipeline: Pipeline, run: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], Endpoints]:
    """Validate a run; return its metrics, and the endpoints that were asked."""
    endpoints = Endpoints(pipeline)
    with function_app("validate", pipeline.environment) as app, monkeypatch.context() as patched:
        patched.setattr(app.runtime, "invoke_endpoint", endpoints.invoke_endpoint)
        app.handler({"run": run, "endpoint_kind": "serverless"}, lambda_context(900))
    return json.loads(pipeline.read(run, "validation/metrics.json")), endpoints


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
