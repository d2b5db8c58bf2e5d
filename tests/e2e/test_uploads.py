"""Files that are uploaded by presigned URLs, on an embedded AWS that enforces roles."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPMessage
from typing import Any

import pytest

from tests.deployed import Deployed, wait_for

pytestmark = pytest.mark.e2e

CSV = "".join(f"{n % 2 * 10 + n / 50:.2f},{'ab'[n % 2]}\n" for n in range(60))


def presigned(deployed: Deployed, **fields: Any) -> dict[str, Any]:
    answer = deployed.call("POST", "/datasets/presigned/uploads", json.dumps(fields))
    assert answer.status == 201, answer.body
    body: dict[str, Any] = answer.body
    return body


def send(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> tuple[int, HTTPMessage]:
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_a_file_that_is_put_to_a_presigned_url_becomes_the_run_that_has_its_version(deployed):
    given = presigned(deployed, name="one.csv", label="kind", promote=False)
    upload = given["upload"]
    status, headers = send("PUT", upload["url"], upload["headers"], f"size,kind\n{CSV}".encode())
    assert status == 200

    def ended() -> Any:
        runs = deployed.call("GET", "/datasets/presigned/runs").body.get("runs", [])
        found = [run for run in runs if run["version"] == headers["x-amz-version-id"]]
        return found and found[0]["status"] in ("Held", "Refused", "Failed") and found[0]

    run = wait_for(ended)
    assert (run["status"], run["file"]) == ("Held", "one.csv")


def test_a_url_is_for_one_file_and_its_settings_only(deployed):
    upload = presigned(deployed, name="two.csv", label="kind")["upload"]
    other = upload["url"].replace("two.csv", "other.csv")
    for method, url, headers in (
        ("PUT", other, upload["headers"]),
        ("PUT", upload["url"], {"x-amz-meta-label": "another"}),
        ("PUT", upload["url"], {}),
        ("GET", upload["url"], upload["headers"]),
    ):
        status, _ = send(method, url, headers, b"a,b\n" if method == "PUT" else None)
        assert status == 403, (method, url, headers)


@pytest.mark.parametrize(
    ("origin", "method", "allowed"),
    [
        ("the API's", "PUT", True),
        ("the API's", "GET", False),
        ("https://another.execute-api.us-east-1.amazonaws.com", "PUT", False),
    ],
)
def test_no_page_but_the_apis_may_upload(deployed, origin, method, allowed):
    upload = presigned(deployed, name="three.csv", label="kind")["upload"]
    if origin == "the API's":
        origin = deployed.output("ApiUrl").removesuffix("/v1")
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,x-amz-meta-label",
    }
    status, headers = send("OPTIONS", upload["url"], asked)
    assert (status == 200) is allowed
    assert headers["access-control-allow-origin"] == (origin if allowed else None)
    if allowed:
        assert headers["access-control-expose-headers"] == "x-amz-version-id"
