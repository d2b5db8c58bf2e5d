"""The API's answers, with an endpoint and a run's folder that stand in for AWS."""

import io
import json
from collections.abc import Iterator
from typing import Any

import fastjsonschema
import numpy as np
import pytest
import yaml

from pipeline.schema import Column, Role, Schema
from pipeline.transform import Encoding, Transform
from tests.function_app import ROOT, function_app, lambda_context

RUN = "flowers-20261130T120000Z-00000000"
TRAINING = np.array([[0.0, 0.0], [0.0, 1.0], [4.0, 4.0], [4.0, 5.0], [9.0, 9.0]])
LABELS = [0.0, 0.0, 1.0, 1.0, 2.0]


class NoSuchKey(Exception):
    """S3 has no such object."""


class Folder:
    """A run's folder in S3."""

    exceptions = type("Exceptions", (), {"NoSuchKey": NoSuchKey})

    def __init__(self, files: dict[str, Any]) -> None:
        self.files = files

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        name = Key.removeprefix(f"runs/{RUN}/")
        if name not in self.files:
            raise NoSuchKey
        return {"Body": io.BytesIO(json.dumps(self.files[name]).encode())}


class Registry:
    """The registry, in which the run is live."""

    def get_item(self, Key: dict[str, str]) -> dict[str, Any]:  # noqa: N803
        item = {
            "run": RUN,
            "endpoint_name": RUN,
            "endpoint_kind": "serverless",
            "promoted": "2026-11-30T12:00:00Z",
        }
        return {"Item": Key | item}


class Endpoint:
    """A k-NN that answers as SageMaker's does: squared distances, the nearest first."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.answers: list[int] = []

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        assert request["Accept"] == "application/json; verbose=true"
        rows = np.loadtxt(io.BytesIO(request["Body"]), delimiter=",", ndmin=2)
        squares = ((rows[:, None] - TRAINING) ** 2).sum(axis=2)
        near = np.argsort(squares, axis=1, kind="stable")[:, : self.k]
        found = [
            {
                "predicted_label": 0.0,
                "distances": row[places].tolist(),
                "labels": [LABELS[place] for place in places],
            }
            for row, places in zip(squares, near, strict=True)
        ]
        body = json.dumps({"predictions": found}).encode()
        self.answers.append(len(body))
        return {"Body": io.BytesIO(body)}


def number(name: str) -> Encoding:
    return Encoding(name, Role.NUMBER, 0.0, (), (0.0,), (1.0,))


SCHEMA = Schema(
    "species",
    ("length", "width"),
    ("setosa", "versicolor", "virginica"),
    columns=(
        Column("species", Role.LABEL, ""),
        Column("length", Role.NUMBER, ""),
        Column("width", Role.NUMBER, ""),
    ),
).as_dict()
TRANSFORM = Transform((number("length"), number("width"))).as_dict()
FILES: dict[str, Any] = {
    "clean/schema.json": SCHEMA,
    "transform.json": TRANSFORM,
    "choice.json": {"k": 3, "weights": "uniform"},
    "validation/metrics.json": {"accuracy": 0.9},
}
EARLIER_SCHEMA = {name: SCHEMA[name] for name in ("label", "features", "classes")}
EARLIER: dict[str, Any] = {"clean/schema.json": EARLIER_SCHEMA | {"missing": "refuse"}}
"""What a run of a release before 0.2 has left, without what Predict doesn't read."""


class Api:
    """The API in front of one live model."""

    def __init__(self, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app = app
        self._monkeypatch = monkeypatch

    def serve(self, files: dict[str, Any], k: int = 3) -> Endpoint:
        endpoint = Endpoint(k)
        models = self._app.Models(Registry(), Folder(files), "runs")
        self._monkeypatch.setattr(self._app, "models", models)
        self._monkeypatch.setattr(self._app, "runtime", endpoint)
        return endpoint

    def predict(self, instances: Any) -> tuple[int, dict[str, Any]]:
        return self._call("predict-json.json", body=json.dumps({"instances": instances}))

    def describe(self) -> dict[str, Any]:
        return self._call("predict-dataset.json")[1]

    def _call(self, event: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        request = json.loads((ROOT / "events" / event).read_text()) | changes
        answer = self._app.handler(request, lambda_context())
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    environment = {"RUNS_BUCKET": "runs", "REGISTRY_TABLE": "registry"}
    with function_app("predict", environment) as app:
        yield Api(app, monkeypatch)


def test_an_answer_has_the_label_and_probabilities_that_sum_to_one(api):
    api.serve(FILES)
    status, answer = api.predict([[0, 0.5], [4, 4.4], {"width": 9, "length": 9}])
    assert status == 200
    assert answer["run"] == RUN
    labels = [each["label"] for each in answer["predictions"]]
    assert labels == ["setosa", "versicolor", "versicolor"]
    for each in answer["predictions"]:
        assert sum(each["probabilities"].values()) == pytest.approx(1)
        assert each["probabilities"][each["label"]] == max(each["probabilities"].values())
    assert answer["predictions"][0]["probabilities"] == {
        "setosa": pytest.approx(2 / 3),
        "versicolor": pytest.approx(1 / 3),
    }


def test_the_highest_probability_comes_first_and_equal_ones_in_the_order_of_the_classes(api):
    api.serve(FILES, k=len(LABELS))
    _, answer = api.predict([[4, 4]])
    (found,) = answer["predictions"]
    assert found["label"] == "versicolor"
    shares = [("setosa", 0.4), ("versicolor", 0.4), ("virginica", 0.2)]
    assert list(found["probabilities"].items()) == shares


def test_answers_are_as_the_apis_document_says(api):
    schemas = yaml.safe_load((ROOT / "api/openapi.yaml").read_text())["components"]["schemas"]
    api.serve(FILES)
    fastjsonschema.validate(schemas["Predictions"], api.predict([[0, 0.5]])[1])
    fastjsonschema.validate(schemas["Dataset"], api.describe())
    fastjsonschema.validate(schemas["Error"], api.predict([])[1])


def test_votes_are_weighted_by_distance_if_that_was_chosen(api):
    api.serve(FILES | {"choice.json": {"k": 3, "weights": "distance"}})
    _, answer = api.predict([[8, 8], [9, 9]])
    near, exact = answer["predictions"]
    # At a distance of √2, against √25 and √32.
    votes = [1 / 2**0.5, 1 / 25**0.5 + 1 / 32**0.5]
    assert near["label"] == "virginica"
    assert near["probabilities"]["virginica"] == pytest.approx(votes[0] / sum(votes))
    assert exact["probabilities"] == {"virginica": 1.0}


@pytest.mark.parametrize(
    ("files", "asked"),
    [
        ({}, [4, 5]),
        (
            # (x - 1) / 2 makes 4, 5 of 9, 11.
            {
                "transform.json": {
                    "features": {
                        "length": {"fill": "1", "offset": 1.0, "scale": 2.0},
                        "width": {"fill": None, "offset": 1.0, "scale": 2.0},
                    }
                }
            },
            [9, 11],
        ),
        (
            {
                "transform.json": {
                    "features": {
                        "length": {"fill": "4", "offset": None, "scale": None},
                        "width": {"fill": "5.0", "offset": None, "scale": None},
                    }
                }
            },
            [None, None],
        ),
    ],
)
def test_a_model_of_an_earlier_release_still_answers(api, files, asked):
    api.serve(EARLIER | files)
    status, answer = api.predict([asked])
    assert status == 200
    assert answer["predictions"][0]["label"] == "versicolor"


def test_an_earlier_model_that_imputes_nothing_refuses_a_missing_value(api):
    api.serve(EARLIER)
    status, answer = api.predict([[4, 5], [4, None]])
    assert status == 400
    assert 'Instance 1: "width" is missing' in answer["error"]["message"]


@pytest.mark.parametrize("value", [1e300, 10**400, 1.1e18, -(10**19), "1e19"])
def test_a_number_too_large_is_400_and_never_asked_or_counted_as_an_error(api, capsys, value):
    endpoint = api.serve(FILES)
    status, answer = api.predict([[1, 2], [3, value]])
    assert status == 400
    assert 'Instance 1: "width" is too large' in answer["error"]["message"]
    assert endpoint.answers == []
    assert "EndpointErrors" not in capsys.readouterr().out


def test_ten_thousand_instances_are_asked_in_requests_whose_answers_fit(api):
    endpoint = api.serve(FILES | {"choice.json": {"k": 500, "weights": "uniform"}})
    rows = np.random.default_rng(0).uniform(0, 9, (10_000, 2)).round(3).tolist()
    status, answer = api.predict(rows)
    assert status == 200
    assert len(answer["predictions"]) == 10_000
    assert len(endpoint.answers) > 10
    assert max(endpoint.answers) < 4_000_000
    # Each row has its own answer, whatever request it was in.
    expected = [api.predict([row])[1]["predictions"][0] for row in rows[::997]]
    assert answer["predictions"][::997] == expected


def test_an_answer_too_large_for_a_function_is_413(api):
    long = {"classes": [f"{place}{'ß' * 250}" for place in range(3)]}
    api.serve(FILES | {"clean/schema.json": SCHEMA | long})
    status, answer = api.predict([[4, 5]] * 2_000)
    assert (status, answer["error"]["code"]) == (413, "AnswerTooLarge")
    assert api.predict([[4, 5]] * 1_000)[0] == 200


def test_a_dataset_is_described_with_the_types_of_its_features(api):
    api.serve(FILES)
    schema = api.describe()["schema"]
    assert (schema["features"], schema["types"]) == (["length", "width"], ["number", "number"])
    api.serve(EARLIER | {"validation/metrics.json": {}})
    assert api.describe()["schema"]["types"] == ["number", "number"]
