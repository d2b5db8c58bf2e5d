"""The API's answers, with an endpoint and a run's folder that stand in for AWS."""

import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import fastjsonschema
import numpy as np
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from pipeline.schema import Column, Role, Schema
from pipeline.transform import Encoding, Transform
from tests.function_app import ROOT, function_app, lambda_context

RUN = "flowers-20261130T120000Z-00000000"
TRIED = "flowers-20261201T120000Z-00000000"
TRAINING = np.array([[0.0, 0.0], [0.0, 1.0], [4.0, 4.0], [4.0, 5.0], [9.0, 9.0]])
LABELS = [0.0, 0.0, 1.0, 1.0, 2.0]


class NoSuchKey(Exception):
    """S3 has no such object."""


def key_of(name: str) -> str:
    """The key of a file of the run, or of the one that is tried."""
    if name.startswith("tried/"):
        return f"runs/{TRIED}/{name.removeprefix('tried/')}"
    asked = name.removeprefix("async/")
    return f"runs/{RUN}/{name}" if asked == name else f"async/{RUN}/{asked}"


class Folder:
    """A run's folders in S3; a file that is bytes is no JSON."""

    exceptions = type("Exceptions", (), {"NoSuchKey": NoSuchKey})

    def __init__(self, files: dict[str, Any]) -> None:
        self.files = files

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        files = {key_of(name): file for name, file in self.files.items()}
        if Key not in files:
            raise NoSuchKey
        file = files[Key]
        body = file if isinstance(file, bytes) else json.dumps(file).encode()
        return {"Body": io.BytesIO(body), "ContentLength": len(body)}

    def list_objects_v2(self, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:  # noqa: N803
        keys = [key_of(name) for name in sorted(self.files)]
        found = [{"Key": key} for key in keys if key.startswith(Prefix)][:MaxKeys]
        return {"Contents": found} if found else {}


LIVE = {
    "run": RUN,
    "endpoint_name": RUN,
    "endpoint_kind": "serverless",
    "promoted": "2026-11-30T12:00:00Z",
}
ITEM: dict[str, Any] = {
    "run": RUN,
    "status": "Live",
    "rank": Decimal(2),
    "updated": "2026-11-30T12:05:00Z",
    "source": {"bucket": "inbox", "key": "flowers/may.csv", "version": "1"},
    "dropped": "2026-11-30T12:00:00Z#0a",
    "promoted": "2026-11-30T12:04:00Z",
    "accuracy": Decimal("0.9"),
}


class Registry:
    """The registry, in which a run is live, as its item says, or not."""

    def __init__(self, *items: dict[str, Any], is_live: bool = True, **live: Any) -> None:
        self.runs = {item["run"]: item for item in items or (ITEM,)}
        self.is_live, self.live = is_live, LIVE | live

    def get_item(self, Key: dict[str, str]) -> dict[str, Any]:  # noqa: N803
        if Key["sort"] == "live":
            return {"Item": Key | self.live} if self.is_live else {}
        item = self.runs.get(Key["sort"].removeprefix("run#"))
        return {"Item": Key | item} if item else {}

    def query(self, Limit: int, **query: Any) -> dict[str, Any]:  # noqa: N803
        if query["ExpressionAttributeValues"][":dataset"] != "flowers":
            return {"Items": []}
        assert query["ScanIndexForward"] is False
        after = query.get("ExclusiveStartKey", {}).get("sort", "run#~").removeprefix("run#")
        left = [self.runs[run] for run in sorted(self.runs, reverse=True) if run < after]
        more = {"LastEvaluatedKey": {}} if len(left) > Limit else {}
        return {"Items": left[:Limit], **more}


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
    "validation/metrics.json": {
        "rows": 10,
        "accuracy": 0.9,
        "macro_f1": 0.9,
        "intervals": {"accuracy": [0.6, 0.98]},
    },
}
REPORTED: dict[str, Any] = {
    "clean/profile.json": {
        "rows": {"read": 12, "kept": 10, "rejected": 2},
        "rejects": {"not a number": 2},
        "first_rows": {"not a number": [{"line": 3, "text": "a secret,1"}]},
        "features": {
            "length": {"missing": 0, "count": 10, "min": 0.5, "max": 9.0},
            "width": {"missing": 10},
        },
    },
    "report/report.html": "<html>öh</html>".encode(),
}
REPORTED["report/report.json"] = {
    "metrics": FILES["validation/metrics.json"],
    "profile": REPORTED["clean/profile.json"],
    "choice": {"map": "none", "metric": "L2", "k": 3, "weights": "uniform", "scores": [1]},
    "wrong": {"rows": [{"values": ["a secret"]}]},
    "problem": {"code": "Any", "message": "a secret", "remedy": "None."},
    "settings": {"classes": ["a secret"]},
    "links": {"files": "https://console"},
    "source": "s3://inbox/flowers/may.csv",
    "stages": {"Preprocess": 4.0},
    "costs": {"functions": 0.1},
    "example": [0.5, None],
}
EARLIER_SCHEMA = {name: SCHEMA[name] for name in ("label", "features", "classes")}
EARLIER: dict[str, Any] = {"clean/schema.json": EARLIER_SCHEMA | {"missing": "refuse"}}
"""What a run of a release before 0.2 has left, without what Predict doesn't read."""


class Api:
    """The API in front of one live model."""

    def __init__(self, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app = app
        self._monkeypatch = monkeypatch

    def serve(
        self,
        files: dict[str, Any],
        k: int = 3,
        registry: Registry | None = None,
        endpoint: Any = None,
    ) -> Any:
        endpoint, folder = endpoint or Endpoint(k), Folder(files)
        of_stack = registry or Registry(), folder, "runs"
        self._monkeypatch.setattr(self._app, "models", self._app.Models(*of_stack))
        self._monkeypatch.setattr(self._app, "runs", self._app.Runs(*of_stack))
        self._monkeypatch.setattr(self._app, "runtime", endpoint)
        later = self._app.AsyncPredictions(folder, endpoint, "runs")
        self._monkeypatch.setattr(self._app, "later", later)
        return endpoint

    def try_run(self, endpoint: Any, files: dict[str, Any] | None = None) -> None:
        """Let an endpoint be tried, of a run with the files of the live one or others."""
        folder = self._app.models._s3
        tried = {f"tried/{name}": file for name, file in (FILES | (files or {})).items()}
        folder.files = folder.files | tried
        self._monkeypatch.setattr(self._app, "canary_runtime", endpoint)

    def predict(self, instances: Any, **query: str) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"instances": instances})
        return self._call("predict-json.json", body=body, queryStringParameters=query or None)

    def describe(self) -> dict[str, Any]:
        return self._call("predict-dataset.json")[1]

    def runs(self, path: str = "", **query: str) -> tuple[int, dict[str, Any]]:
        """What is answered about the runs of "flowers"."""
        path = f"/datasets/flowers/runs{path}"
        return self._call("predict-runs.json", path=path, queryStringParameters=query or None)

    def get(self, event: str, **changes: Any) -> tuple[int, str, dict[str, list[str]]]:
        request = json.loads((ROOT / "events" / event).read_text()) | changes
        answer = self._app.handler(request, lambda_context())
        return answer["statusCode"], answer["body"], answer["multiValueHeaders"]

    def _call(self, event: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        status, body, _ = self.get(event, **changes)
        return status, json.loads(body)


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
    document = json.loads((ROOT / "functions/predict/openapi.json").read_text())
    api.serve(FILES | REPORTED)
    for schema, answer in (
        ("Predictions", api.predict([[0, 0.5]], neighbors="2")[1]),
        ("Dataset", api.describe()),
        ("Run", api.runs()[1]["runs"][0]),
        ("RunDetails", api.runs(f"/{RUN}")[1]),
        ("Error", api.predict([])[1]),
    ):
        document["$ref"] = f"#/components/schemas/{schema}"
        fastjsonschema.validate(document, answer)


def tried(percent: int, **more: str) -> Registry:
    """The registry, in which a second run answers some percent of the requests."""
    canary = {"run": TRIED, "endpoint_name": TRIED, "percent": Decimal(percent)}
    return Registry(canary=canary, **more)


def counted(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was counted of the run that is tried, by the names of the metrics."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    of_run = [line["_aws"]["CloudWatchMetrics"][0] for line in lines if line.get("run") == TRIED]
    # By which the state machine asks for them.
    assert all(found["Dimensions"] == [["run", "service"]] for found in of_run)
    return [metric["Name"] for found in of_run for metric in found["Metrics"]]


def test_a_model_that_is_tried_answers_its_share_of_the_requests(api, capsys, monkeypatch):
    api.serve(FILES, registry=tried(25))
    api.try_run(Endpoint(3))
    monkeypatch.setattr("random.uniform", lambda low, high: 24.9)
    assert api.predict([[0.0, 0.0]])[1]["run"] == TRIED
    assert counted(capsys) == ["CanaryRequests"]
    monkeypatch.setattr("random.uniform", lambda low, high: 25.1)
    assert api.predict([[0.0, 0.0]])[1]["run"] == RUN
    assert counted(capsys) == []


class Broken:
    """An endpoint that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        raise self.error


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "5.1"}}, "InvokeEndpoint")


@pytest.mark.parametrize(
    ("error", "kind", "counts"),
    [
        (refused("ModelError"), "serverless", True),
        (refused("ValidationError"), "serverless", True),
        (refused("AccessDeniedException"), "serverless", True),
        (ReadTimeoutError(endpoint_url="https://"), "realtime", True),
        (ValueError("not JSON"), "serverless", True),
        # Of an endpoint that gets fewer requests these say nothing.
        (ReadTimeoutError(endpoint_url="https://"), "serverless", False),
        (refused("ModelNotReadyException"), "serverless", False),
        (refused("ThrottlingException"), "serverless", False),
    ],
)
def test_the_live_model_answers_what_one_that_is_tried_fails_on(api, capsys, error, kind, counts):
    api.serve(FILES, registry=tried(100, endpoint_kind=kind))
    api.try_run(Broken(error))
    status, answer = api.predict([[0.0, 0.0]])
    assert (status, answer["run"]) == (200, RUN)
    assert answer["predictions"][0]["label"] == "setosa"
    assert counted(capsys) == ["CanaryRequests", *["CanaryErrors"] * counts]


class Gone(Endpoint):
    """Endpoints of which that of the live run fails, after something has happened."""

    def __init__(self, code: str, then: Callable[[], Any] = lambda: None) -> None:
        super().__init__(3)
        self.code, self.then = code, then

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        if request["EndpointName"] == RUN:
            self.then()
            raise refused(self.code)
        return super().invoke_endpoint(**request)


@pytest.mark.parametrize(
    ("code", "status"), [("ValidationError", 200), ("AccessDeniedException", 200), ("Any", 502)]
)
def test_a_model_that_is_tried_answers_for_a_live_one_whose_endpoint_is_gone(api, code, status):
    api.serve(FILES, registry=tried(0), endpoint=Gone(code))
    api.try_run(Endpoint(3))
    answered, answer = api.predict([[0.0, 0.0]])
    assert answered == status
    assert answer.get("run", TRIED) == TRIED


@pytest.mark.parametrize(("kind", "status"), [("serverless", 200), ("async", 503)])
def test_a_model_that_has_gone_live_meanwhile_answers_for_the_former_one(api, kind, status):
    registry = Registry()
    live = LIVE | {"run": TRIED, "endpoint_name": TRIED, "endpoint_kind": kind}
    api.serve(
        FILES,
        registry=registry,
        endpoint=Gone("ValidationError", lambda: registry.live.update(live)),
    )
    api.try_run(Endpoint(3))
    answered, answer = api.predict([[0.0, 0.0]])
    assert answered == status
    assert answer.get("run", TRIED) == TRIED


def test_an_endpoint_that_is_gone_is_told_if_nothing_else_answers(api):
    api.serve(FILES, endpoint=Gone("ValidationError"))
    answered, answer = api.predict([[0.0, 0.0]])
    assert (answered, answer["error"]["code"]) == (503, "EndpointMissing")


def test_a_request_that_only_the_live_model_takes_counts_and_one_that_neither_takes_does_not(
    api, capsys
):
    other = {"clean/schema.json": SCHEMA | {"features": ["length", "width", "height"]}}
    features = tuple(map(number, ("length", "width", "height")))
    wider = {"transform.json": Transform(features).as_dict()}
    api.serve(FILES, registry=tried(100))
    api.try_run(Endpoint(3), other | wider)
    assert api.predict([[0.0, 0.0]])[0] == 200
    assert counted(capsys) == ["CanaryRequests", "CanaryErrors"]
    assert api.predict([["long", 0.0]])[0] == 400
    assert counted(capsys) == ["CanaryRequests"]


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


# --- neighbours


def test_the_nearest_rows_are_shown_if_asked_for_the_nearest_first(api):
    api.serve(FILES)
    status, answer = api.predict([[0, 2], [9, 9]], neighbors="2")
    assert status == 200
    first, second = (each["neighbors"] for each in answer["predictions"])
    assert first == [{"label": "setosa", "distance": 1}, {"label": "setosa", "distance": 2}]
    assert second[0] == {"label": "virginica", "distance": 0}
    assert "neighbors" not in api.predict([[0, 2]])[1]["predictions"][0]


def test_no_more_neighbours_are_shown_than_the_model_asks_for(api):
    api.serve(FILES, k=3)
    assert len(api.predict([[0, 2]], neighbors="99")[1]["predictions"][0]["neighbors"]) == 3


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "few", "", "٣", "9" * 5000])
def test_a_bad_number_of_neighbours_is_400_and_asks_nothing(api, number):
    endpoint = api.serve(FILES)
    status, answer = api.predict([[0, 2]], neighbors=number)
    assert (status, answer["error"]["code"]) == (400, "InvalidNeighbors")
    assert "whole number from 1 to 999,999,999" in answer["error"]["message"]
    assert len(answer["error"]["message"]) < 200
    assert endpoint.answers == []


def test_an_answer_that_came_later_shows_the_neighbours_it_is_asked_for_then(api):
    number = "0" * 32
    written = {"labels": [0.0, 1.0], "distances": [4.0, 9.0]}
    ticket = {name: f"s3://runs/async/{RUN}/{name}/1" for name in ("output", "failure")}
    answers = {f"async/ticket/{number}.json": ticket, "async/output/1": {"predictions": [written]}}
    api.serve(FILES | answers)
    later = {"path": f"/datasets/flowers/predictions/{RUN}.{number}"}
    plain = json.loads(api.get("predict-later.json", **later)[1])["predictions"]
    asked = {"queryStringParameters": {"neighbors": "1"}}
    (shown,) = json.loads(api.get("predict-later.json", **later, **asked)[1])["predictions"]
    assert shown == plain[0] | {"neighbors": [{"label": "setosa", "distance": 2}]}
    asked = {"queryStringParameters": {"neighbors": "all"}}
    assert api.get("predict-later.json", **later, **asked)[0] == 400


SLOW = [ReadTimeoutError(endpoint_url="https://any"), EndpointConnectionError(endpoint_url="any")]


@pytest.mark.parametrize("error", SLOW)
def test_an_endpoint_that_does_not_answer_is_503_and_says_when_to_try_again(api, error):
    endpoint = api.serve(FILES)
    endpoint.invoke_endpoint = Mock(side_effect=error)
    body = json.dumps({"instances": [[1, 2]]})
    status, answer, headers = api.get("predict-json.json", body=body)
    assert (status, json.loads(answer)["error"]["code"]) == (503, "EndpointStarting")
    assert headers["Retry-After"] == ["15"]


@pytest.mark.parametrize("error", SLOW)
def test_storage_that_does_not_answer_is_500_whatever_is_asked(api, error):
    registry = Registry()
    registry.get_item = registry.query = Mock(side_effect=error)
    api.serve(FILES, registry=registry)
    told = [api.runs(), api.runs(f"/{RUN}"), api.predict([[1, 2]])]
    assert [(status, each["error"]["code"]) for status, each in told] == [
        (500, "InternalError")
    ] * 3


def test_an_answer_that_must_be_too_large_is_413_before_the_endpoint_is_asked(api):
    endpoint = api.serve(FILES | {"choice.json": {"k": 500, "weights": "uniform"}})
    status, answer = api.predict([[4, 5]] * 1_000, neighbors="500")
    assert (status, answer["error"]["code"]) == (413, "AnswerTooLarge")
    assert endpoint.answers == []


# --- a dataset


def test_a_dataset_is_described_with_what_a_request_needs(api):
    deck = Encoding("deck", Role.CATEGORY, 0.0, ("A",), (0.0,), (1.0,), ("A", "B"))
    port = Encoding("port", Role.CATEGORY, 0.0, ("S", None, ""), (0.0,) * 3, (1.0,) * 3)
    transform = Transform((number("length"), Encoding("width", Role.NUMBER, None), deck, port))
    columns = [Column(each.name, each.role, "") for each in transform.encodings]
    schema = Schema("species", tuple(c.name for c in columns), ("0", "1"), columns=tuple(columns))
    files = {
        "clean/schema.json": schema.as_dict(),
        "transform.json": transform.as_dict(),
        "choice.json": {"k": 3, "weights": "uniform", "map": "zscore", "metric": "L2"},
    }
    api.serve(FILES | REPORTED | files)
    answer = api.describe()
    assert answer["features"] == [
        {"name": "length", "role": "number", "nullable": True, "minimum": 0.5, "maximum": 9.0},
        {"name": "width", "role": "number", "nullable": False},
        {"name": "deck", "role": "category", "nullable": True, "categories": ["A", "B"]},
        {"name": "port", "role": "category", "nullable": True, "categories": ["S"]},
    ]
    assert (answer["label"], answer["classes"]) == ("species", ["0", "1"])
    told = {name: answer[name] for name in ("k", "weights", "map", "metric")}
    assert told == files["choice.json"]
    assert answer["example"] == [0.5, None]
    assert answer["live"]["metrics"]["intervals"] == {"accuracy": [0.6, 0.98]}


def test_a_model_is_described_before_its_report_is_there_and_the_example_follows(api):
    files = dict(FILES)
    api.serve(files)
    assert "example" not in api.describe()
    files |= REPORTED
    assert api.describe()["example"] == [0.5, None]


def test_a_dataset_without_a_model_is_told_with_the_code_and_the_advice_and_no_cell(api):
    error = {
        "code": "AmbiguousLabel",
        "message": 'More than one column could be the label: "a secret".',
        "remedy": 'Tell us which column is the label. If it is "a. secret", with either of:\n'
        "    knn drop may.csv --label 'a. secret'",
    }
    refused = ITEM | {"status": "Refused", "error": error}
    del refused["promoted"], refused["accuracy"]
    api.serve({}, registry=Registry(refused, is_live=False))
    message = api._call("predict-dataset.json", path="/datasets/flowers")[1]["error"]["message"]
    assert message == (
        f'No model of "flowers" is live; its last run, {RUN}, is Refused (AmbiguousLabel). '
        "Tell us which column is the label. The email says why."
    )
    (listed,) = api.runs()[1]["runs"]
    advised = {"code": "AmbiguousLabel", "remedy": "Tell us which column is the label."}
    assert listed["error"] == advised
    assert "secret" not in json.dumps(api.runs(f"/{RUN}"))


# --- runs


def test_runs_are_listed_the_newest_first_a_hundred_at_a_time(api):
    items = [ITEM | {"run": f"flowers-20261130T120000Z-{n:08x}"} for n in range(230)]
    api.serve({}, registry=Registry(*items))
    found, after = [], {}
    for size in (100, 100, 30):
        status, answer = api.runs(**after)
        assert (status, len(answer["runs"])) == (200, size)
        found += [run["run"] for run in answer["runs"]]
        after = {"next": answer["next"]} if "next" in answer else {}
    assert after == {}
    assert found == [item["run"] for item in reversed(items)]


def test_a_run_is_listed_with_its_file_and_outcome(api):
    api.serve({})
    assert api.runs()[1]["runs"] == [
        {
            "run": RUN,
            "status": "Live",
            "file": "may.csv",
            "version": "1",
            "dropped": "2026-11-30T12:00:00Z",
            "accuracy": 0.9,
            "promoted": "2026-11-30T12:04:00Z",
        }
    ]


@pytest.mark.parametrize("token", ["", "x", "roses-20261130T120000Z-00000000"])
def test_a_token_of_no_answer_is_400(api, token):
    api.serve({})
    status, answer = api.runs(next=token)
    assert (status, answer["error"]["code"]) == (400, "InvalidNext")


@pytest.mark.parametrize("dataset", ["roses", "No-Name"])
def test_the_runs_of_an_unknown_dataset_are_404(api, dataset):
    api.serve({})
    status, answer = api._call("predict-runs.json", path=f"/datasets/{dataset}/runs")
    assert (status, answer["error"]["code"]) == (404, "UnknownDataset")


def test_a_run_is_described_by_its_report_without_any_cell(api):
    api.serve(FILES | REPORTED)
    answer = api.runs(f"/{RUN}")[1]
    assert answer["rows"] == {"read": 12, "kept": 10, "rejected": 2}
    assert answer["set_aside"] == {"not a number": 2}
    assert answer["choice"] == {"map": "none", "metric": "L2", "k": 3, "weights": "uniform"}
    assert answer["metrics"]["accuracy"] == 0.9
    assert (answer["seconds"], answer["costs"]) == ({"Preprocess": 4.0}, {"functions": 0.1})
    assert all(answer["stages"].values())
    for hidden in ("secret", "console", "inbox"):
        assert hidden not in json.dumps(answer)


STAGES = ["preprocess", "split", "train", "deploy", "validate", "promote", "report"]


@pytest.mark.parametrize(
    ("left", "done"),
    [
        ([], 0),
        (["clean/data.csv"], 0),
        (["clean/manifest.json"], 1),
        (["clean/parts.json"], 1),
        (["clean/manifest.json", "split.json"], 2),
        ([f"model/{RUN}-2/profiler-output/x"], 0),
        ([f"model/{RUN}-2/output/model.tar.gz"], 3),
        (["async/input/validation-00000.csv"], 4),
        (["validation/metrics.json"], 5),
    ],
)
def test_a_run_under_way_tells_which_stages_are_done(api, left, done):
    item = ITEM | {"status": "Training"}
    del item["promoted"]
    api.serve({name: {} for name in left}, registry=Registry(item))
    stages = api.runs(f"/{RUN}")[1]["stages"]
    assert list(stages) == STAGES
    assert [name for name, is_done in stages.items() if is_done] == STAGES[:done]


@pytest.mark.parametrize("status", ["Training", "Live", "Retired"])
def test_a_promoted_run_has_done_all_but_the_report(api, status):
    item = ITEM | {"status": status}
    if status != "Training":
        # As an earlier release left it.
        del item["promoted"]
    api.serve({}, registry=Registry(item))
    stages = api.runs(f"/{RUN}")[1]["stages"]
    assert [name for name, is_done in stages.items() if not is_done] == ["report"]


@pytest.mark.parametrize("run", ["x", "roses-20261130T120000Z-00000000", f"{RUN[:-1]}1"])
@pytest.mark.parametrize("path", ["", "/report"])
def test_a_run_that_is_not_the_datasets_is_404(api, run, path):
    api.serve(REPORTED)
    status, answer = api.runs(f"/{run}{path}")
    assert status == 404
    assert answer["error"]["code"] in ("UnknownRun", "NoReport")


def test_a_report_is_a_page_that_may_run_no_script(api):
    api.serve(REPORTED)
    path = f"/datasets/flowers/runs/{RUN}/report"
    status, body, headers = api.get("predict-report.json", path=path)
    assert (status, body) == (200, "<html>öh</html>")
    assert headers["Content-Type"] == ["text/html; charset=utf-8"]
    assert "default-src 'none'" in headers["Content-Security-Policy"][0]


def test_a_report_that_is_not_there_yet_is_404(api):
    api.serve({})
    status, answer = api.runs(f"/{RUN}/report")
    assert (status, answer["error"]["code"]) == (404, "NoReport")


def test_a_report_too_large_for_an_answer_is_413_and_told_where_it_is(api):
    api.serve({"report/report.html": b"x" * 5_000_001})
    status, answer = api.runs(f"/{RUN}/report")
    assert (status, answer["error"]["code"]) == (413, "ReportTooLarge")
    assert "report/report.html in the run's folder" in answer["error"]["message"]


# --- without a key


def test_health_is_told(api):
    status, body, _ = api.get("predict-health.json")
    assert (status, json.loads(body)) == (200, {"status": "ok"})


def test_the_document_is_given_as_json(api):
    status, body, headers = api.get("predict-openapi.json")
    assert (status, headers["Content-Type"]) == (200, ["application/json"])
    assert json.loads(body)["openapi"] == "3.0.1"
