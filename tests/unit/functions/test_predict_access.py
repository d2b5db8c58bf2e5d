"""Who may call the API and from where: keys, signatures, tokens, origins of pages, domains."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.function_app import ROOT, function_app, lambda_context

PAGE = "https://app.example.com"


@contextmanager
def predict(**environment: str) -> Iterator[Any]:
    """Call Predict in this environment: by event and changes to it, answered by status and more."""
    given = {"RUNS_BUCKET": "runs", "REGISTRY_TABLE": "registry", **environment}

    def call(event: str, **changes: Any) -> tuple[int, dict[str, str], str]:
        request = json.loads((ROOT / "events" / f"{event}.json").read_text()) | changes
        answer = app.handler(request, lambda_context())
        headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
        return answer["statusCode"], headers, answer.get("body") or ""

    with function_app("predict", given) as app:
        yield call


def of_page(origin: str) -> dict[str, Any]:
    """The headers of a request of a page."""
    return {"headers": {"Origin": origin}, "multiValueHeaders": {"Origin": [origin]}}


@pytest.mark.parametrize("origins", [PAGE, f"https://other.example.com {PAGE}", "*"])
def test_a_page_of_an_allowed_origin_may_ask_and_read_answers(origins):
    with predict(API_CORS_ORIGINS=origins) as call:
        preflight = call("predict-page", httpMethod="OPTIONS", path="/datasets", **of_page(PAGE))
        answer = call("predict-page", path="/health", **of_page(PAGE))
    status, headers, _ = preflight
    assert status == 204
    assert {"GET", "POST"} <= set(headers["Access-Control-Allow-Methods"].split(","))
    allowed = {name.lower() for name in headers["Access-Control-Allow-Headers"].split(",")}
    assert {"x-api-key", "authorization", "content-type"} <= allowed
    assert answer[0] == 200
    for _, headers, _ in (preflight, answer):
        assert headers["Access-Control-Allow-Origin"] in {PAGE, "*"} & {PAGE, *origins.split()}
        assert headers["Access-Control-Expose-Headers"] == "Location,Retry-After"


def test_an_error_can_be_read_by_a_page_too():
    with predict(API_CORS_ORIGINS=PAGE) as call:
        status, headers, _ = call("predict-page", path="/nothing", **of_page(PAGE))
    assert (status, headers["Access-Control-Allow-Origin"]) == (404, PAGE)


@pytest.mark.parametrize("origins", ["", "https://other.example.com"])
def test_a_page_of_another_origin_is_allowed_nothing(origins):
    with predict(API_CORS_ORIGINS=origins) as call:
        for method in ("OPTIONS", "GET"):
            _, headers, _ = call("predict-page", httpMethod=method, **of_page(PAGE))
            assert "Access-Control-Allow-Origin" not in headers


def test_at_a_domain_of_ones_own_the_base_path_is_no_part_of_what_is_asked_for():
    with predict(API_BASE_PATH="models") as call:
        for path in ("/models/health", "/health"):
            assert call("predict-page", path=path)[::2] == (200, '{"status":"ok"}')
        for path in ("/models", "/models/", "/"):
            assert "<title>Live models" in call("predict-page", path=path)[2]


def test_an_api_may_take_no_files():
    with predict(API_UPLOADS="no") as call:
        status, _, body = call("predict-upload")
    assert (status, json.loads(body)["error"]["code"]) == (403, "NoUploads")


@pytest.mark.parametrize(("authorization", "what"), [("iam", "signature"), ("cognito", "token")])
def test_without_keys_the_page_says_how_to_call_and_the_document_does_too(authorization, what):
    with predict(API_AUTHORIZATION=authorization) as call:
        status, headers, page = call("predict-page")
        document = json.loads(call("predict-page", path="/openapi.json")[2])
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "script-src" not in headers["Content-Security-Policy"]
    assert what in page
    assert "<form" not in page
    scheme = document["components"]["securitySchemes"]["Caller"]
    assert (scheme["name"], what in scheme["description"]) == ("Authorization", True)
