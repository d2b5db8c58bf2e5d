"""What the page shows in a real browser of an API that stands in for ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote_plus, urlsplit

import pytest

from predict.page import read_page
from tests.browser import BROWSER, Tab, tab
from tests.deployed import wait_for
from tests.unit.functions.test_report import METRICS

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

KEY = "a-key-of-forty-characters-and-no-other-one"
LIVE, RUNNING, REFUSED = (f"penguins-2026120{day}T120000Z-0000000{day}" for day in (1, 3, 2))
FEATURES = [
    {"name": "bill_length_mm", "role": "number", "minimum": 32.1, "maximum": 59.6,
     "nullable": True},
    {"name": "year", "role": "number", "minimum": 2007, "maximum": 2009, "nullable": False},
    {"name": "sex", "role": "category", "categories": ["female", "male"], "nullable": True},
    {"name": "ringed", "role": "boolean", "nullable": False},
    {"name": "fed", "role": "boolean", "nullable": True},
]  # fmt: skip
EXAMPLE = [40.5, 2008, "male", True, None]
DATASET = {
    "dataset": "penguins",
    "live": {"run": LIVE, "endpoint_kind": "serverless", "promoted": "2026-12-01T12:00:00Z",
             "metrics": METRICS},
    "schema": {"label": "species", "features": [each["name"] for each in FEATURES],
               "types": [each["role"] for each in FEATURES], "classes": METRICS["classes"]},
    "label": "species", "classes": METRICS["classes"], "features": FEATURES,
    "k": 3, "weights": "distance", "map": "zscore", "metric": "L2", "example": EXAMPLE,
}  # fmt: skip
RUNS = {
    "runs": [
        {"run": RUNNING, "status": "Training", "file": "third.csv", "dropped": "2026-12-03"},
        {"run": REFUSED, "status": "Refused", "file": "second.csv", "dropped": "2026-12-02",
         "error": {"code": "LabelNotFound", "remedy": "Tell us with --label NAME."}},
        {"run": LIVE, "status": "Live", "file": "first.csv", "dropped": "2026-12-01",
         "accuracy": METRICS["accuracy"]},
    ]
}  # fmt: skip
STAGES = {"preprocess": True, "split": True, "train": False, "validate": False}
REPORT = """<!doctype html><html><head><style>.late{color:rgb(1, 2, 3)}</style>
<script>document.title = "taken over"</script></head>
<body style="margin:0"><main><p id="inline" style="color:rgb(4, 5, 6)">A report.</p>
<p class="late">More.</p></main></body></html>"""
ANSWER = {
    "predictions": [
        {"label": METRICS["classes"][0],
         "probabilities": {METRICS["classes"][0]: 0.75, METRICS["classes"][1]: 0.25},
         "neighbors": [{"label": METRICS["classes"][0], "distance": 0.125},
                       {"label": METRICS["classes"][1], "distance": 0.5}]}
    ],
    "run": LIVE,
}  # fmt: skip


WRONG, RIGHT = METRICS["classes"][1], METRICS["classes"][0]
HELD_OUT = [
    {
        "row": {"id": "7", "bill_length_mm": "50.0", "year": "2009", "species": WRONG},
        "instance": [50, 2009, "unheard of", "no", "yes"],
        "true": WRONG,
        "predicted": RIGHT,
        "confidence": 0.75,
    },
    {
        "row": {"id": "8", "bill_length_mm": "", "year": "2007", "species": RIGHT},
        "instance": [None, 2007, None, "True", None],
        "true": RIGHT,
        "predicted": RIGHT,
    },
]
SAMPLE = {
    "features": [each["name"] for each in FEATURES],
    "rows": [[40, 2008, "male", True, None], [41, 2007, "female", True, True],
             [58, 2009, "male", False, False], [57, 2008, "female", False, None],
             [None, 2008, "male", True, True]],
    "mapped": [[0.7, 0.1], [0.9, -0.9], [4.3, 1.1], [4.1, 0.1], [0.0, 0.1]],
    "classes": [RIGHT, RIGHT, WRONG, WRONG, RIGHT],
    "metric": "L2",
    "transform": {"columns": [
        {"name": "bill_length_mm", "role": "number", "fill": 36.5, "values": [],
         "offsets": [36.5], "scales": [5]},
        {"name": "year", "role": "number", "fill": None, "values": [], "offsets": [2007.9],
         "scales": [1]},
        {"name": "sex", "role": "category", "fill": None, "values": ["male", None, ""],
         "offsets": [0, 0, 0], "scales": [1, 1, 1]},
        {"name": "ringed", "role": "boolean", "fill": 1, "values": [], "offsets": [0],
         "scales": [1]},
        {"name": "fed", "role": "boolean", "fill": 1, "values": [], "offsets": [0], "scales": [1]},
    ], "matrix": [[1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0]]},
}  # fmt: skip
UPLOADED = "penguins-20261204T120000Z-00000004"


class Api:
    """Answers by path, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str | None, Any]] = []
        self.uploads: list[tuple[str, dict[str, str], bytes]] = []
        self.put_status = 200
        self.url = ""

    def answer(self, target: str, key: str | None, body: str | None) -> tuple[int, dict, str]:
        path = urlsplit(target).path
        if path in ("/v1", "/v1/"):
            page, headers = read_page(self.url)
            return 200, headers | {"content-type": "text/html; charset=utf-8"}, page
        self.asked.append((target, key, json.loads(body) if body else None))
        if key != KEY:
            return failed(403, "INVALID_API_KEY")
        found = self.answers.get(path.removeprefix("/v1/"), failed(404, "NotFound"))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, str):
            return 200, {"content-type": "text/html; charset=utf-8"}, found
        if isinstance(found, dict):
            return 200, {"content-type": "application/json"}, json.dumps(found)
        return found

    @property
    def instances(self) -> list[dict[str, Any]]:
        """What it was asked to predict."""
        return [body["instances"][0] for _, _, body in self.asked if body and "instances" in body]


def failed(status: int, code: str, **headers: str) -> tuple[int, dict, str]:
    body = {"error": {"code": code, "message": f"It is {code}."}}
    return status, {"content-type": "application/json"} | headers, json.dumps(body)


@contextmanager
def served(api: Api) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the names that http.server asks for
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length).decode() or None
            status, headers, text = api.answer(self.path, self.headers.get("x-api-key"), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            api.uploads.append((self.path, dict(self.headers), body))
            self.send_response(api.put_status)
            self.send_header("x-amz-version-id", "the-version")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        api.url = f"http://127.0.0.1:{server.server_port}/v1"
        yield
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def api(browser: Tab) -> Iterator[Api]:
    """An API with a live dataset, and a tab that was given its key."""
    api = Api()
    api.answers = {
        "datasets": {"datasets": [{"dataset": "penguins", "run": LIVE,
                                   "promoted": "2026-12-01T12:00:00Z"}]},
        "datasets/penguins": DATASET,
        "datasets/penguins/runs": RUNS,
        f"datasets/penguins/runs/{RUNNING}": {"run": RUNNING, "status": "Training",
                                              "stages": STAGES},
        f"datasets/penguins/runs/{LIVE}/report": REPORT,
        f"datasets/penguins/runs/{LIVE}/held-out": {"rows": HELD_OUT},
        f"datasets/penguins/runs/{LIVE}/training-sample": SAMPLE,
        "datasets/penguins/predictions": ANSWER,
    }  # fmt: skip
    with served(api):
        browser.show_as(1280)
        browser.open(f"{api.url}/")
        browser.value(f"sessionStorage.setItem('knn-api-key', {json.dumps(KEY)})")
        api.asked.clear()
        browser.complaints.clear()
        yield api
        # So that no page asks an API that is gone.
        browser.open("about:blank")


def show(browser: Tab, api: Api, view: str, until: str) -> None:
    """Open a view of the page, and wait until something is there."""
    browser.open(f"{api.url}/?again{view}")
    browser.wait_for(f"!!document.querySelector({json.dumps(until)})")


def text(browser: Tab, where: str = "main") -> str:
    return str(browser.value(f"document.querySelector({json.dumps(where)}).innerText"))


def control(name: str) -> str:
    """The control that a label names, as an expression."""
    labels = "[...document.querySelectorAll('.field > label')]"
    return f"{labels}.find((each) => each.textContent === {json.dumps(name)}).control"


ARROW_RIGHT = 39
ENTER = 13
PAGE_UP = 33

DATASET_SHOWN = ".answer[aria-busy=false] .bars li"


def test_a_card_has_the_verdict_the_interval_and_the_history_of_a_dataset(browser, api):
    older = RUNS["runs"][2] | {"run": "older", "status": "Retired", "accuracy": 0.8}
    api.answers["datasets/penguins/runs"] = {"runs": [*RUNS["runs"][1:], older]}
    show(browser, api, "", ".datasets .spark")
    card = text(browser, ".datasets")
    right = f"{100 * METRICS['accuracy']:.1f}\u202f%"
    assert right in card
    low, high = (round(100 * bound) for bound in METRICS["intervals"]["accuracy"])
    assert f"{low}–{high}\u202f%" in card
    assert METRICS["baseline"]["class"] in card
    spark = browser.value("document.querySelector('.spark').getAttribute('aria-label')")
    assert spark == f"Accuracy of the last 2 models: 80.0\u202f%, {right}"
    assert "Newest file: second.csv" in card
    assert "refused: label not found" in card
    assert browser.complaints == []


def test_the_form_has_a_fitting_control_for_each_feature_and_begins_with_the_example(browser, api):
    show(browser, api, "#/penguins", DATASET_SHOWN)
    kinds = [browser.value(f"{control(each['name'])}.type") for each in FEATURES]
    assert kinds == ["number", "number", "select-one", "checkbox", "select-one"]
    assert browser.value("document.querySelectorAll('input[type=range]').length") == 2
    assert api.instances[-1] == dict(zip([each["name"] for each in FEATURES], EXAMPLE, strict=True))
    assert "/v1/datasets/penguins/predictions?neighbors=5" in [target for target, _, _ in api.asked]
    assert browser.complaints == []


def test_dragging_a_slider_asks_once_it_rests_with_the_number_beside_it(browser, api):
    show(browser, api, "#/penguins", DATASET_SHOWN)
    before = len(api.instances)
    browser.value(
        "(() => { const slider = document.querySelector('input[type=range]');"
        " for (let at = 41; at <= 50; at += 0.25) {"
        "   slider.value = at; slider.dispatchEvent(new Event('input', {bubbles: true})); } })()"
    )
    wait_for(lambda: len(api.instances) > before)
    assert browser.value(f"{control('bill_length_mm')}.value") == "50"
    assert [each["bill_length_mm"] for each in api.instances[before:]] == [50]


def test_a_slider_moves_by_the_keyboard_in_steps_that_fit_its_range(browser, api):
    show(browser, api, "#/penguins", DATASET_SHOWN)
    for place, name, expected in ((0, "bill_length_mm", "40.6"), (1, "year", "2009")):
        browser.value(f"document.querySelectorAll('input[type=range]')[{place}].focus()")
        browser.press("ArrowRight", ARROW_RIGHT)
        assert browser.value(f"{control(name)}.value") == expected
        # It stays within the training range, which only the field beside it leaves.
        for _ in range(3):
            browser.press("PageUp", PAGE_UP)
    assert browser.value(f"{control('year')}.value") == "2009"


def test_a_value_can_be_said_to_be_missing_where_the_model_allows_it(browser, api):
    show(browser, api, "#/penguins", DATASET_SHOWN)
    missing = "input[aria-label='bill_length_mm is missing']"
    assert not browser.value("!!document.querySelector(\"input[aria-label='year is missing']\")")
    browser.value(f'document.querySelector("{missing}").click()')
    wait_for(lambda: api.instances[-1]["bill_length_mm"] is None)


def test_an_answer_shows_the_vote_and_the_nearest_rows_and_is_read_out(browser, api):
    show(browser, api, "#/penguins", DATASET_SHOWN)
    winner, second = METRICS["classes"][:2]
    assert text(browser, ".answer .label") == winner
    assert "75.0\u202f%" in text(browser, ".bars")
    rows = browser.value(
        "[...document.querySelectorAll('.near tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    assert rows == [[winner, "0.125"], [second, "0.5"]]
    said = browser.wait_for("document.getElementById('said').textContent")
    assert said == f"{winner}, 75.0\u202f% of the vote"


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_call_to_copy_works_as_it_stands_and_has_no_key_in_it(browser, api, language):
    quoted = [{"name": "it's", "role": "category", "categories": ["\"a'b$c\\"], "nullable": False}]
    api.answers["datasets/penguins"] = DATASET | {"features": quoted, "example": ["\"a'b$c\\"]}
    show(browser, api, "#/penguins", DATASET_SHOWN)
    browser.value(f"document.getElementById('tab-{language}').click()")
    call = browser.value("document.getElementById('call').textContent")
    assert KEY not in call
    command = ["bash", "-c", call] if language == "curl" else [sys.executable, "-c", call]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"API_KEY": KEY}
    )
    assert METRICS["classes"][0] in done.stdout
    assert api.instances[-1] == {"it's": "\"a'b$c\\"}


def test_runs_have_their_outcome_the_reason_and_the_stage_they_are_at(browser, api):
    show(browser, api, "#/penguins", ".stages .now")
    runs = text(browser, ".runs")
    assert "label not found" in runs
    assert "Tell us with --label NAME." in browser.value(
        "document.querySelector('.runs pre').textContent"
    )
    stages = browser.value(
        "[...document.querySelectorAll('.stages li')]"
        ".map((each) => [each.firstChild.textContent, each.className])"
    )
    assert stages == [["preprocess", "done"], ["split", "done"], ["train", "now"], ["validate", ""]]
    assert browser.complaints == []


def test_a_report_is_shown_with_its_style_and_runs_nothing(browser, api):
    show(browser, api, f"#/penguins/{LIVE}", ".report")
    colors = browser.value(
        "['#inline', '.late'].map((each) => getComputedStyle("
        "document.querySelector('.report').shadowRoot.querySelector(each)).color)"
    )
    assert colors == ["rgb(4, 5, 6)", "rgb(1, 2, 3)"]
    assert "taken over" not in browser.value("document.title")
    assert browser.complaints == []


def test_an_endpoint_that_starts_is_waited_for_and_asked_again(browser, api):
    starting = failed(503, "EndpointStarting", **{"Retry-After": "1"})
    api.answers["datasets/penguins/predictions"] = [starting, ANSWER]
    browser.open(f"{api.url}/?again#/penguins")
    browser.wait_for("document.querySelector('.answer')?.innerText.includes('starting')")
    browser.wait_for(f"!!document.querySelector('{DATASET_SHOWN}')")
    assert text(browser, ".answer .label") == METRICS["classes"][0]


def test_without_datasets_the_page_says_how_to_upload_one(browser, api):
    api.answers["datasets"] = {"datasets": []}
    show(browser, api, "", "main pre")
    assert browser.value("!!document.querySelector('main a[href=\"#/+\"]')")
    told = browser.value("document.querySelector('main').textContent")
    assert "make drop CSV=" in told
    assert "aws s3 cp" in told


def test_the_key_goes_in_a_header_and_nowhere_else(browser, api):
    show(browser, api, "#/penguins", DATASET_SHOWN)
    assert {key for _, key, _ in api.asked} == {KEY}
    assert not [target for target, _, _ in api.asked if KEY in target]
    assert KEY not in browser.value("document.documentElement.outerHTML + location.href")


def test_a_key_that_is_taken_back_is_forgotten_and_asked_for_again(browser, api):
    show(browser, api, "#/penguins", DATASET_SHOWN)
    api.answers["datasets/penguins/predictions"] = failed(403, "INVALID_API_KEY")
    browser.value("document.querySelector('.fields').requestSubmit()")
    browser.wait_for("document.activeElement?.id === 'key'")
    assert browser.value("sessionStorage.length") == 0


def held_out_shown(browser: Tab) -> list[list[str]]:
    return browser.value(
        "[...document.querySelectorAll('.rows tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )


def values_shown(browser: Tab) -> list[str]:
    return [browser.value(f"{control(each['name'])}.value") for each in FEATURES[:3]]


def test_a_dataset_without_a_live_model_says_so_and_takes_the_next_file(browser, api):
    api.answers["datasets/penguins"] = failed(404, "NeverLive")
    show(browser, api, "#/penguins", ".notice")
    assert "No model of this dataset is live." in text(browser, ".notice")
    assert browser.flaws() == []
    browser.value("document.querySelector('.intro a').click()")
    browser.wait_for("!!document.querySelector('#file')")
    assert browser.value("location.hash") == "#/+/penguins"


def test_a_cell_of_the_confusion_matrix_opens_its_rows_and_one_of_them_fills_the_form(browser, api):
    path = f"datasets/penguins/runs/{LIVE}/held-out"
    pages = [{"rows": HELD_OUT[:1], "next": "99"}, {"rows": HELD_OUT[1:]}]
    api.answers[path] = pages
    show(browser, api, "#/penguins", ".matrix button")
    browser.value("document.querySelector('.matrix .error button').focus()")
    browser.press("Enter", ENTER, "\r")
    browser.wait_for("!!document.querySelector('.rows tbody tr')")
    row = HELD_OUT[0]["row"]
    assert held_out_shown(browser) == [
        ["Try", WRONG, row["id"], row["bill_length_mm"], row["year"], "75.0\u202f%"]
    ]
    assert f"{WRONG} taken for {RIGHT}" in text(browser, ".rows caption")
    browser.value("document.querySelector('.rows > button').click()")
    browser.wait_for("document.querySelectorAll('.rows tbody tr').length === 2")
    asked = [target for target, _, _ in api.asked if "held-out" in target]
    query = f"true={quote_plus(WRONG)}&predicted={quote_plus(RIGHT)}"
    assert [urlsplit(target).query for target in asked] == [query, f"{query}&next=99"]
    browser.value("document.querySelector('.rows tbody button').click()")
    wait_for(lambda: api.instances[-1]["sex"] == "unheard of")
    assert values_shown(browser) == ["50", "2009", "unheard of"]
    assert f"It is really {WRONG}." in text(browser, ".source")
    browser.value("document.querySelector('.matrix .error button').click()")
    assert browser.value("document.getElementById('rows').hidden")
    api.answers[path] = failed(403, "INVALID_API_KEY")
    browser.value("document.querySelector('.matrix .error button').click()")
    browser.wait_for("!!document.querySelector('#key')")


def test_held_out_rows_fill_the_form_one_after_the_other_until_somebody_changes_it(browser, api):
    show(browser, api, "#/penguins", DATASET_SHOWN)
    buttons = "[...document.querySelectorAll('.row button')]"
    button = f"{buttons}.find((each) => each.textContent === 'Use a held-out row')"
    for each in (*HELD_OUT, HELD_OUT[0]):
        before = len(api.instances)
        browser.value(f"{button}.click()")
        wait_for(lambda before=before: len(api.instances) > before)
        assert text(browser, ".source") == f"A held-out row. It is really {each['true']}."
        assert api.instances[-1]["year"] == each["instance"][1]
        assert api.instances[-1]["bill_length_mm"] == each["instance"][0]
        assert api.instances[-1]["ringed"] is (each["instance"][3] == "True")
    browser.value(
        f"(() => {{ {control('year')}.value = 2008;"
        f" {control('year')}.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )
    assert browser.value("document.querySelector('.source').hidden")


def test_the_point_and_the_lines_to_its_nearest_rows_move_as_it_is_dragged(browser, api):
    show(browser, api, "#/penguins", ".plot .lines line")
    # Of the three nearest of 40.5 in 2008 one has no length to be drawn at.
    assert f"The 3 nearest rows of 5 training rows: 3 {RIGHT}." in text(browser, ".where")
    assert browser.value("document.querySelectorAll('.plot .lines line').length") == 2
    place = "document.querySelector('.plot .you').getAttribute('transform')"
    before = browser.value(place)
    browser.value(
        "(() => { const plot = document.querySelector('.where > .plot');"
        " const box = plot.getBoundingClientRect();"
        " const at = (type, x, y) => plot.dispatchEvent(new PointerEvent(type, {bubbles: true,"
        "   pointerId: 1, pointerType: 'mouse', clientX: box.left + x * box.width,"
        "   clientY: box.top + y * box.height}));"
        " plot.setPointerCapture = () => {}; plot.hasPointerCapture = () => true;"
        " at('pointerdown', 0.5, 0.5); at('pointermove', 2, -1); })()"
    )
    # Outside of the plot it stays within the training range.
    assert values_shown(browser)[:2] == ["59.6", "2009"]
    assert browser.value(place) != before
    assert f"2 {WRONG}" in text(browser, ".where")
    wait_for(lambda: api.instances[-1]["bill_length_mm"] == 59.6)


def drop_file(browser: Tab, name: str, content: str, how: str = "drop") -> None:
    """Let somebody drop a file on the page, or choose it."""
    browser.value(
        "(() => { const data = new DataTransfer();"
        f" data.items.add(new File([{json.dumps(content)}], {json.dumps(name)}));"
        + (
            "document.body.dispatchEvent("
            " new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: data}));"
            if how == "drop"
            else "const input = document.getElementById('file'); input.files = data.files;"
            " input.dispatchEvent(new Event('change'));"
        )
        + "})()"
    )


def options(browser: Tab, where: str) -> list[str]:
    return browser.value(f"[...document.querySelector('{where}').options].map((o) => o.text)")


CSV = '\ufeffid;"bill; in mm";species\r\n1;40,5;a\r\n'


@pytest.mark.parametrize("how", ["drop", "choose"])
def test_a_file_is_uploaded_with_its_label_and_followed_to_the_verdict(browser, api, how):
    upload = {
        "method": "PUT",
        "url": f"{api.url}/inbox",
        "headers": {"x-amz-meta-label": "species"},
    }
    run = {"run": UPLOADED, "version": "the-version", "file": "Pinguine 2.csv"}
    stages = dict.fromkeys(STAGES, True) | {"report": True}
    path = f"datasets/pinguine-2/runs/{UPLOADED}"
    api.answers |= {
        "datasets/pinguine-2/uploads": {"upload": upload, "key": "any", "expires": "any"},
        "datasets/pinguine-2/runs": [
            failed(404, "UnknownDataset"),
            {"runs": [{"run": "other", "status": "Live", "version": "another"}]},
            {"runs": [run | {"status": "Preparing"}]},
        ],
        path: [
            run | {"status": "Training", "stages": STAGES},
            run | {"status": "Live", "stages": stages, "metrics": METRICS},
        ],
    }
    if how == "drop":
        show(browser, api, "", ".datasets .big")
    else:
        show(browser, api, "#/+", "#file")
    drop_file(browser, "Pinguine 2.csv", CSV, how)
    browser.wait_for("!!document.getElementById('label')")
    assert browser.value("document.getElementById('dataset').value") == "pinguine-2"
    assert options(browser, "#label") == ["Find it for me", "id", "bill; in mm", "species"]
    browser.value("document.querySelector('.upload details').open = true")
    assert browser.flaws() == []
    assert browser.barriers() == []
    browser.value("document.getElementById('label').value = 'species'")
    browser.value("document.querySelector('.checks input[value=id]').click()")
    browser.value("document.querySelector('.upload form').requestSubmit()")
    browser.wait_for("document.querySelector('.stages .now')?.firstChild.textContent === 'train'")
    browser.wait_for("document.activeElement?.textContent === 'pinguine-2 is live'")
    assert "Right on" in text(browser)
    assert browser.value("!!document.querySelector('main a[href=\"#/pinguine-2\"]')")
    body = next(body for target, _, body in api.asked if target.endswith("/uploads"))
    assert body == {"name": "Pinguine 2.csv", "label": "species", "ignore": ["id"]}
    ((target, headers, content),) = api.uploads
    assert (target, content.decode()) == ("/v1/inbox", CSV)
    assert headers["x-amz-meta-label"] == "species"
    assert "x-api-key" not in headers


def test_a_refusal_says_why_and_what_to_do(browser, api):
    run = {"run": UPLOADED, "version": "the-version", "file": "new.csv", "status": "Refused",
           "error": {"code": "LabelNotFound", "remedy": "Tell us with --label NAME."}}  # fmt: skip
    api.answers |= {
        "datasets/new/uploads": {"upload": {"method": "PUT", "url": f"{api.url}/i", "headers": {}}},
        "datasets/new/runs": {"runs": [run]},
        f"datasets/new/runs/{UPLOADED}": run | {"stages": {"preprocess": False, "report": True}},
    }
    show(browser, api, "#/+", "#file")
    drop_file(browser, "new.csv", "1,2\n3,4\n", "choose")
    browser.wait_for("!!document.getElementById('label')")
    # Numbers are no names.
    assert options(browser, "#label") == ["Find it for me"]
    browser.value("document.querySelector('.upload form').requestSubmit()")
    browser.wait_for("document.activeElement?.textContent === 'new.csv was refused'")
    assert "label not found" in text(browser)
    assert "Tell us with --label NAME." in text(browser)
    # The same file again, told otherwise.
    browser.value("document.querySelector('.upload .row > button').click()")
    browser.wait_for("!!document.getElementById('label')")
    assert "new.csv" in text(browser)


def test_an_upload_that_failed_gets_another_url_and_a_run_that_never_begins_is_told(browser, api):
    upload = {"method": "PUT", "url": f"{api.url}/expired", "headers": {}}
    again = upload | {"url": f"{api.url}/again"}
    api.answers |= {
        "datasets/new/uploads": [{"upload": upload}, {"upload": again}],
        "datasets/new/runs": {"runs": []},
    }
    api.put_status = 403
    show(browser, api, "#/+", "#file")
    drop_file(browser, "new.csv", CSV, "choose")
    browser.wait_for("!!document.getElementById('label')")
    browser.value("document.getElementById('label').value = 'species'")
    browser.value("document.querySelector('.upload form').requestSubmit()")
    browser.wait_for("!!document.querySelector('.upload form .notice')")
    assert "The inbox did not take the file (status 403)." in text(browser, ".notice")
    api.put_status = 200
    # It asks as often as it would, without the time between.
    browser.value("(later => { window.setTimeout = (what) => later(what, 0); })(setTimeout)")
    browser.value("document.querySelector('.upload form').requestSubmit()")
    told = "document.querySelector('.upload .notice')?.innerText"
    browser.wait_for(f"{told}?.includes('no run of it')")
    assert browser.value("!!document.querySelector('.notice a[href=\"#/new\"]')")
    assert [target for target, _, _ in api.uploads] == ["/v1/expired", "/v1/again"]
    bodies = [body for target, _, body in api.asked if target.endswith("/uploads")]
    assert bodies == [{"name": "new.csv", "label": "species"}] * 2


@pytest.mark.parametrize(("name", "said"), [("a.xlsx", "is no CSV file"), ("a.csv", "is empty")])
def test_what_is_no_table_is_not_uploaded(browser, api, name, said):
    show(browser, api, "#/+", "#file")
    drop_file(browser, name, "", "choose")
    browser.wait_for("!!document.querySelector('.notice')")
    assert said in text(browser, ".notice")


BATCH = "penguins-20261205T120000Z-00000005"


def scored(browser: Tab, api: Api, *answers: dict[str, Any]) -> None:
    """Let somebody drop a file to be scored, of which the API answers so."""
    upload = {"method": "PUT", "url": f"{api.url}/score", "headers": {}}
    api.answers |= {
        "datasets/penguins/batches": {"batch": BATCH, "upload": upload},
        f"datasets/penguins/batches/{BATCH}": list(answers),
    }
    show(browser, api, "#/penguins", "#file")
    drop_file(browser, "new.csv", CSV, "choose")


def test_a_file_is_scored_and_its_result_can_be_downloaded(browser, api):
    result = {"status": "Scored", "file": "new.csv", "rows": 5, "scored": 3, "set_aside": 2,
              "predicted": {RIGHT: 1, WRONG: 2}, "result": f"{api.url}/result",
              "rejects": f"{api.url}/rejects"}  # fmt: skip
    waiting = {"status": "Waiting", "file": "new.csv"}
    # An answer that fails does not end it.
    busy = failed(429, "THROTTLED", **{"retry-after": "1"})
    scored(browser, api, waiting, busy, waiting | {"status": "Scoring"}, result)
    browser.wait_for("!!document.querySelector('progress')")
    browser.wait_for("!!document.querySelector('[aria-labelledby=score] a.button')")
    assert "3 rows of new.csv are scored" in text(browser)
    assert "2 rows could not be scored" in text(browser)
    links = "[...document.querySelectorAll('[aria-labelledby=score] a')].map((each) => each.href)"
    assert browser.value(links) == [result["result"], result["rejects"]]
    names = "[...document.querySelectorAll('#score ~ * .name')].map((each) => each.textContent)"
    assert browser.value(names) == [WRONG, RIGHT]
    assert next(body for target, _, body in api.asked if "batches" in target) == {"name": "new.csv"}
    assert [content.decode() for _, _, content in api.uploads] == [CSV]
    assert browser.barriers() == []
    # The address in the email about it.
    show(browser, api, f"#/penguins/batches/{BATCH}", "[aria-labelledby=score]")
    browser.wait_for("document.body.innerText.includes('3 rows of new.csv are scored')")
    assert browser.value(links) == [result["result"], result["rejects"]]
    assert browser.barriers() == []


def test_a_file_that_can_not_be_scored_says_why_and_what_to_do(browser, api):
    error = {"code": "MissingColumns", "remedy": "Add the columns, then upload it again."}
    scored(browser, api, {"status": "Refused", "file": "new.csv", "error": error})
    browser.wait_for("!!document.querySelector('[aria-labelledby=score] .notice')")
    told = text(browser, "[aria-labelledby=score]")
    assert "new.csv was not scored" in told
    assert "missing columns" in told
    assert error["remedy"] in told


MARKUP = "<img src=x onerror=\"document.title='taken over'\">"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 900])
def test_names_are_text_that_never_overflows_whatever_they_are(browser, api, width, dark):
    long = "Ein_sehr_langer_Name_ohne_Leerzeichen" * 4
    classes = [MARKUP, long, *METRICS["classes"][2:]]
    renamed = dict(zip(METRICS["classes"], classes, strict=True))
    metrics = METRICS | {
        "classes": classes,
        "baseline": METRICS["baseline"] | {"class": long},
        "per_class": {renamed[name]: of for name, of in METRICS["per_class"].items()},
    }
    features = [*FEATURES, FEATURES[0] | {"name": long}, FEATURES[2] | {"categories": [long]}]
    prediction = ANSWER["predictions"][0] | {
        "label": long,
        "probabilities": {long: 0.7, MARKUP: 0.3},
        "neighbors": [{"label": MARKUP, "distance": 1e-9}, {"label": long, "distance": 0.5}],
    }
    runs = [{"run": LIVE, "status": "Refused", "file": f"{long}.csv",
             "error": {"code": "LabelNotFound", "remedy": f"Do:\n    aws s3 cp {long} {MARKUP}"}},
            *RUNS["runs"]]  # fmt: skip
    api.answers["datasets/penguins"] = DATASET | {
        "live": DATASET["live"] | {"metrics": metrics},
        "classes": classes,
        "features": features,
        "example": [*EXAMPLE, 50, long],
    }
    api.answers["datasets/penguins/runs"] = {"runs": runs}
    held_out = {"row": {long: MARKUP, "species": long}, "instance": [*EXAMPLE, 50, long],
                "true": long, "predicted": MARKUP}  # fmt: skip
    api.answers[f"datasets/penguins/runs/{LIVE}/held-out"] = {"rows": [held_out]}
    names = [renamed[name] for name in SAMPLE["classes"]]
    api.answers[f"datasets/penguins/runs/{LIVE}/training-sample"] = SAMPLE | {"classes": names}
    api.answers["datasets/penguins/predictions"] = {"predictions": [prediction], "run": LIVE}
    browser.show_as(width, dark=dark)
    show(browser, api, "", ".datasets .big")
    assert browser.flaws() == []
    show(browser, api, "#/penguins", DATASET_SHOWN)
    browser.wait_for("!!document.querySelector('.runs li') && !!document.querySelector('.plot')")
    browser.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    browser.value("document.querySelector('.matrix button').click()")
    browser.wait_for("!!document.querySelector('.rows tbody tr')")
    assert browser.flaws() == []
    assert browser.barriers() == []
    assert MARKUP in browser.value("document.querySelector('.bars').textContent")
    assert "taken over" not in browser.value("document.title")
    assert browser.complaints == []
