"""Uploads by presigned URLs: what is asked for, and what is signed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from predict.uploads import MAX_NAME, URL_SECONDS, Inbox
from preprocess.settings import resolve_settings
from tests.function_app import ROOT, function_app, lambda_context

ROLE = "arn:aws:iam::000000000000:role/UPLOAD-ROLE"


class Sts:
    """Gives credentials that end an hour later, and counts for whom."""

    def __init__(self) -> None:
        self.sessions: list[dict[str, Any]] = []

    def assume_role(self, **asked: Any) -> dict[str, Any]:
        self.sessions.append(asked)
        ends = datetime.now(UTC) + timedelta(seconds=asked["DurationSeconds"])
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA{len(self.sessions)}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": ends,
            }
        }


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    environment = {"RUNS_BUCKET": "runs", "REGISTRY_TABLE": "registry"}
    predict: Any
    with function_app("predict", environment) as predict:
        predict.sts = Sts()
        monkeypatch.setattr(
            predict, "_inbox_of", lambda bucket, role: Inbox(predict.sts, bucket, role)
        )
        yield predict


def asked(app: Any, body: Any, dataset: str = "iris") -> tuple[int, dict[str, Any]]:
    """What the API answers to a request for an upload."""
    recorded = (ROOT / "events/predict-upload.json").read_text()
    event = json.loads(recorded.replace("INBOX", "inbox"))
    event |= {"path": f"/datasets/{dataset}/uploads", "body": body}
    answer = app.handler(event, lambda_context())
    return answer["statusCode"], json.loads(answer["body"])


def test_a_file_may_be_put_into_its_datasets_folder_with_its_settings_for_half_an_hour(app):
    status, answer = asked(app, json.dumps({"name": "may 1.csv", "label": "Species", "k": 5}))
    assert status == 201
    assert answer["key"] == "iris/may 1.csv"
    url = urlsplit(answer["upload"]["url"])
    assert (url.scheme, url.netloc) == ("https", "inbox.s3.us-east-1.amazonaws.com")
    assert url.path == "/iris/may%201.csv"
    query = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert query["X-Amz-Expires"] == str(URL_SECONDS)
    assert query["X-Amz-SignedHeaders"] == "host;x-amz-meta-k;x-amz-meta-label"
    assert query["X-Amz-Credential"].startswith("ASIA1/")
    assert query["X-Amz-Security-Token"] == "token"
    assert answer["upload"]["method"] == "PUT"
    assert answer["upload"]["headers"] == {"x-amz-meta-label": "Species", "x-amz-meta-k": "5"}
    left = datetime.fromisoformat(answer["expires"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(seconds=URL_SECONDS)
    assert app.sts.sessions[0]["RoleArn"] == ROLE


def test_the_settings_of_an_upload_are_those_that_its_file_is_prepared_by(app):
    settings = {
        "label": "Größe; in cm",
        "ignore": ["a;b", "100 %", "日本"],
        "delimiter": "\t",
        "promote": False,
        "test_fraction": 0.5,
        "group": None,
    }
    _, answer = asked(app, json.dumps({"name": "any.csv"} | settings))
    headers = answer["upload"]["headers"]
    assert all(text.isascii() and text.isprintable() for text in headers.values())
    metadata = {name.removeprefix("x-amz-meta-"): text for name, text in headers.items()}
    given = resolve_settings({}, metadata=metadata).settings
    for name, value in settings.items():
        expected = tuple(value) if isinstance(value, list) else value
        assert getattr(given, name) == expected


def test_a_session_is_kept_for_as_long_as_it_outlasts_a_url(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    sts = Sts()
    inbox = Inbox(sts, "inbox", ROLE)
    signers = {id(inbox._signer(datetime.now(UTC))) for _ in range(3)}
    assert len(signers) == len(sts.sessions) == 1
    inbox._signer(datetime.now(UTC) + timedelta(seconds=URL_SECONDS))
    assert len(sts.sessions) == 2


@pytest.mark.parametrize(
    "name",
    [None, 5, "", "iris", "iris.xlsx", "a/b.csv", "..\\a.csv", "a\nb.csv", f"{'a' * MAX_NAME}.csv"],
)
def test_a_name_that_is_none_of_a_csv_file_is_400(app, name):
    status, answer = asked(app, json.dumps({"name": name}))
    assert (status, answer["error"]["code"]) == (400, "InvalidUpload")
    assert app.sts.sessions == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"labels": "a"}, 'There is no setting "labels"'),
        ({"label": {"a": 1}}, '"label" must be a text'),
        ({"label": 5}, '"label" must be a text'),
        ({"promote": "no"}, '"promote" must be true or false'),
        ({"ignore": "a"}, '"ignore" must be a list of texts'),
        ({"ignore": [1]}, '"ignore" must be a text'),
        ({"ignore": ["a" * 2048]}, "too long for one upload"),
    ],
)
def test_a_setting_that_no_upload_can_have_is_400(app, settings, said):
    status, answer = asked(app, json.dumps({"name": "iris.csv"} | settings))
    assert (status, answer["error"]["code"]) == (400, "InvalidUpload")
    assert said in answer["error"]["message"]


def test_a_dataset_that_none_can_be_called_is_400(app):
    status, answer = asked(app, json.dumps({"name": "iris.csv"}), dataset="Iris")
    assert (status, answer["error"]["code"]) == (400, "InvalidUpload")
    assert "Use 1 to 32 of a-z" in answer["error"]["message"]


@pytest.mark.parametrize("body", [None, "", "{", "[]", "[" * 100_000])
def test_a_body_that_is_no_json_object_is_400(app, body):
    status, answer = asked(app, body)
    assert (status, answer["error"]["code"]) == (400, "InvalidJson")
