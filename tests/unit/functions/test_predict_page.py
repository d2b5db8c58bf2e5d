"""The page that the API serves: what a browser is told of it, before it runs."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from predict.page import SCRIPTS
from tests.function_app import ROOT, function_app, lambda_context

PAGE = ROOT / "functions/predict/page"


def answered(name: str, **changes: Any) -> dict[str, Any]:
    """What API Gateway gets for a request without a key."""
    environment = {"RUNS_BUCKET": "runs", "REGISTRY_TABLE": "registry"}
    recorded = (ROOT / f"events/{name}.json").read_text()
    event = json.loads(recorded.replace("INBOX", "inbox")) | changes
    with function_app("predict", environment) as predict:
        answer: dict[str, Any] = predict.handler(event, lambda_context())
    return answer


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    return answered("predict-page")


@pytest.fixture(scope="module")
def docs() -> dict[str, Any]:
    return answered("predict-docs")


def header(answer: dict[str, Any], name: str) -> str:
    (value,) = answer["multiValueHeaders"][name]
    return str(value)


def policy(answer: dict[str, Any]) -> dict[str, str]:
    directives = header(answer, "Content-Security-Policy").split("; ")
    return dict(directive.split(" ", 1) for directive in directives)


class Elements(HTMLParser):
    """The elements of a page: their tags and attributes, and the text of styles and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and (tag := self.found[-1][0]) in ("style", "script"):
            self.texts.setdefault(tag, data)


def test_the_page_is_html_that_says_how_it_is_encoded(answer):
    assert answer["statusCode"] == 200
    assert header(answer, "Content-Type") == "text/html; charset=utf-8"
    assert answer["body"].startswith("<!doctype html>")
    assert not answer["isBase64Encoded"]


def test_the_page_may_run_its_own_script_and_style_and_load_nothing(answer):
    texts = Elements(answer["body"]).texts
    digests = {
        tag: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for tag, text in texts.items()
    }
    assert policy(answer) == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digests['script']}'",
        "style-src": f"'sha256-{digests['style']}'",
        "img-src": "data:",
        "connect-src": "'self' https://inbox.s3.us-east-1.amazonaws.com",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert texts["style"] == (PAGE / "page.css").read_text()
    # Each file of the script is in it, and there is no other.
    files = {path.name for path in PAGE.glob("*.js")}
    assert set(SCRIPTS) == files
    assert texts["script"] == "\n".join((PAGE / name).read_text() for name in SCRIPTS)


def test_there_is_a_page_before_the_stage_knows_the_inbox():
    assert policy(answered("predict-page", stageVariables=None))["connect-src"] == "'self'"


def test_the_page_is_taken_for_nothing_else_and_tells_nobody_where_it_is(answer):
    assert header(answer, "X-Content-Type-Options") == "nosniff"
    assert header(answer, "Referrer-Policy") == "no-referrer"
    assert header(answer, "Cache-Control") == "no-cache"


def test_the_page_has_no_address_that_depends_on_how_its_own_is_written(answer):
    # With a slash at the end or without, a relative address would mean two different things.
    attributes = [each for _, each in Elements(answer["body"]).found]
    addresses = [each.get("href") or each.get("src") or "#" for each in attributes]
    assert all(address.startswith(("#", "data:")) for address in addresses)


def test_the_page_names_no_other_host(answer):
    hosts = set(re.findall(r"https?://[\w.-]+", answer["body"]))
    # The name of SVG's namespace, which is never asked for anything.
    assert hosts == {"http://www.w3.org"}


def test_the_script_writes_text_and_never_markup():
    script = "".join(path.read_text() for path in PAGE.glob("*.js"))
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert sink not in script


def test_the_apis_document_is_a_page_that_runs_no_script_and_loads_nothing(docs):
    assert header(docs, "Content-Type") == "text/html; charset=utf-8"
    elements = Elements(docs["body"])
    assert "script" not in dict(elements.found)
    digest = base64.b64encode(hashlib.sha256(elements.texts["style"].encode()).digest()).decode()
    assert policy(docs) == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert not [each for _, each in elements.found if "style" in each or "src" in each]


def test_each_operation_and_each_schema_of_the_document_is_on_its_page_once(docs):
    document = json.loads((ROOT / "functions/predict/openapi.json").read_text())
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    wanted = [each["operationId"] for each in operations]
    wanted += [f"schema-{name}" for name in document["components"]["schemas"]]
    elements = [each for _, each in Elements(docs["body"]).found]
    assert sorted(each["id"] for each in elements if "id" in each) == sorted(wanted)
    links = {each["href"] for each in elements if each.get("href", "").startswith("#")}
    assert links <= {f"#{name}" for name in wanted}
    assert "&quot;titanic.csv&quot;" in docs["body"]
