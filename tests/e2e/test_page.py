"""The page of the API, as a browser shows it and as its user uses it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest

from tests.browser import BROWSER, Tab, tab
from tests.deployed import ROOT, Deployed

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium"),
]

ENTER = 13

ANSWERED = """
document.querySelector('.answer[aria-busy="false"] .bars')
  && document.querySelector(".answer .label").textContent
"""


@pytest.fixture(scope="module")
def iris(deployed: Deployed) -> str:
    """Iris is live; return what the command line said of it."""
    result = deployed.cli("drop", str(ROOT / "data/iris.csv"))
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def key(deployed: Deployed) -> str:
    """The API key, as the page says that one gets it."""
    return deployed.cli("key").stdout.strip()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A tab that all tests here share: a new one starts as soon as a page is opened in it."""
    with tab(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def fresh(browser: Tab, deployed: Deployed) -> None:
    """Let a test begin as a user who has just opened a tab does."""
    browser.show_as(1280)
    browser.open(f"{api_url(deployed)}/")
    browser.wait_for("document.readyState === 'complete'")
    browser.value("sessionStorage.clear()")
    browser.complaints.clear()


def api_url(deployed: Deployed) -> str:
    """Where the embedded AWS answers for the stage, without a slash at the end."""
    host = deployed.output("ApiUrl").removeprefix("https://")
    api_id = host.partition(".")[0]
    return f"{deployed.endpoint_url}/_aws/execute-api/{api_id}/v1"


def give_key(browser: Tab, value: str) -> None:
    """Write a key and press Enter, without a mouse."""
    browser.wait_for("document.activeElement?.id === 'key'")
    browser.write(value)
    browser.press("Enter", ENTER, "\r")


def open_with_key(browser: Tab, deployed: Deployed, key: str, view: str) -> None:
    """Open a view of the page in a tab that was given the key before."""
    browser.value(f"sessionStorage.setItem('knn-api-key', {json.dumps(key)})")
    # The query makes it another page; what comes after the hash alone would not.
    browser.open(f"{api_url(deployed)}/?again{view}")


def fill_in(browser: Tab, values: list[float]) -> None:
    """Write numbers into the form, one a feature."""
    browser.value(
        "document.querySelectorAll('input[type=number]').forEach((each, place) => {"
        f"  each.value = {values}[place];"
        "  each.dispatchEvent(new Event('input', {bubbles: true})); })"
    )


def complaints(browser: Tab, dataset: str) -> list[str]:
    """What the browser complained about, but for other datasets.

    Other tests leave some in the stack that they have made by hand, with half of their files.
    """
    return [
        told
        for told in browser.complaints
        if f"/datasets/{dataset}" in told or "/datasets/" not in told
    ]


def shown(browser: Tab, where: str = "main") -> str:
    text = browser.value(f"document.querySelector({json.dumps(where)}).innerText")
    return str(text)


def test_the_command_line_says_where_the_page_is_and_prints_the_key_it_asks_for(
    deployed, iris, key
):
    assert f"\nPage      {api_url(deployed)}/ (asks for the API key" in iris
    assert f"x-api-key: {key}'" in iris


@pytest.mark.parametrize("address", ["", "/"], ids=["without a slash", "with a slash"])
def test_a_visitor_gives_the_key_opens_a_dataset_and_gets_answers_to_what_they_enter(
    deployed, iris, key, browser, address
):
    browser.open(f"{api_url(deployed)}{address}")
    give_key(browser, key)
    browser.wait_for("!!document.querySelector('.datasets .big')")
    assert "iris" in shown(browser, ".datasets")
    browser.value("[...document.querySelectorAll('h2 a')].find((a) => a.text === 'iris').click()")
    browser.wait_for(ANSWERED)
    fill_in(browser, [5.1, 3.5, 1.4, 0.2])
    browser.wait_for(f"({ANSWERED}) === 'setosa'")
    fill_in(browser, [6.5, 3.0, 5.8, 2.2])
    browser.wait_for(f"({ANSWERED}) === 'virginica'")
    assert "virginica" in browser.wait_for("document.getElementById('said').textContent")
    assert complaints(browser, "iris") == []


def test_what_the_page_tells_of_a_model_is_what_was_validated(deployed, iris, key, browser):
    open_with_key(browser, deployed, key, "#/iris")
    browser.wait_for(ANSWERED)
    run = deployed.call("GET", "/datasets/iris").body["live"]["run"]
    metrics = json.loads(deployed.read(run, "validation/metrics.json"))
    assert f"{metrics['accuracy'] * 100:.1f}\u202f%" in shown(browser, ".facts")
    rows = browser.value(
        "[...document.querySelectorAll('.matrix tbody tr')]"
        ".map((row) => [...row.querySelectorAll('td')].map((cell) => Number(cell.textContent)))"
    )
    assert rows == metrics["confusion_matrix"]
    headers = browser.value(
        "[...document.querySelectorAll('.matrix th[scope=row]')].map((each) => each.innerText)"
    )
    assert headers == metrics["classes"]


CSV = "size,weight,kind\n" + "".join(
    f"{n % 2 * 10 + n / 50:.2f},{n % 7},{'ab'[n % 2]}\n" for n in range(80)
)


def drop_file(browser: Tab, where: str, name: str, content: str) -> None:
    """Drop a file on something, as a mouse would."""
    browser.value(
        "(() => { const data = new DataTransfer();"
        f" data.items.add(new File([{json.dumps(content)}], '{name}', {{type: 'text/csv'}}));"
        f" document.querySelector('{where}').dispatchEvent("
        " new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: data})); })()"
    )


def test_a_file_is_uploaded_followed_until_it_is_live_and_then_tried(deployed, key, browser):
    open_with_key(browser, deployed, key, "")
    browser.wait_for("!!document.querySelector('main h1')")
    drop_file(browser, "body", "By page.csv", CSV)
    browser.wait_for("!!document.getElementById('label')")
    assert browser.value("document.getElementById('dataset').value") == "by-page"
    browser.value("document.getElementById('label').value = 'kind'")
    browser.value("document.querySelector('.upload form').requestSubmit()")
    browser.wait_for("!!document.querySelector('.stages .now')")
    browser.wait_for("document.activeElement?.textContent === 'by-page is live'")
    run = deployed.call("GET", "/datasets/by-page").body["live"]["run"]
    assert json.loads(deployed.read(run, "clean/settings.json"))["label"] == "kind"
    browser.value("document.querySelector('main a.button').click()")
    browser.wait_for(ANSWERED)
    fill_in(browser, [15, 3])
    browser.wait_for(f"({ANSWERED}) === 'b'")
    # What is drawn without the API has the neighbours that the API has found.
    browser.wait_for("!!document.querySelector('.plot .lines line')")
    rows = "[...document.querySelectorAll('.near tbody tr')].map((row) => row.cells[0].textContent)"
    assert set(browser.value(rows)) == {"b"}
    assert re.search(
        r"The \d+ nearest rows? of 60 training rows: \d+ b\.", shown(browser, ".where")
    )
    browser.value(
        "[...document.querySelectorAll('button')]"
        ".find((each) => each.textContent === 'Use a held-out row').click()"
    )
    browser.wait_for("!document.querySelector('.source').hidden")
    assert "A held-out row. It is really" in shown(browser, ".source")
    # There are no runs until the first.
    assert [told for told in complaints(browser, "by-page") if not told.endswith("/runs")] == []


def test_a_file_is_scored_and_its_result_downloaded(deployed, iris, key, browser):
    open_with_key(browser, deployed, key, "#/iris")
    browser.wait_for("!!document.querySelector('.drop')")
    _, *rows = (ROOT / "data/iris.csv").read_text().splitlines()
    # The columns are known by their names, in any order; the label isn't needed.
    reversed_rows = [",".join(row.split(",")[3::-1]) for row in rows[:5]]
    columns = "Petal.Width,Petal.Length,Sepal.Width,Sepal.Length"
    drop_file(browser, ".drop", "new.csv", "\n".join([columns, *reversed_rows]) + "\n")
    link = "document.querySelector('[aria-labelledby=score] a.button')"
    browser.wait_for(f"!!{link}")
    assert "5 rows of new.csv are scored" in shown(browser)
    with urllib.request.urlopen(browser.value(f"{link}.href")) as answer:
        scored = answer.read().decode().splitlines()
    assert scored[0].startswith(columns)
    assert [row.count("setosa") for row in scored[1:]] == [1, 1, 1, 1, 1], scored


def test_a_wrong_key_is_said_to_be_wrong_and_not_kept(deployed, browser):
    browser.open(f"{api_url(deployed)}/?again")
    give_key(browser, "wrong")
    browser.wait_for("!!document.querySelector('.notice')")
    assert "not accepted" in shown(browser, ".notice")
    assert browser.value("sessionStorage.length") == 0


def test_a_dataset_that_is_not_there_is_said_to_be_missing_with_a_way_back(
    deployed, iris, key, browser
):
    open_with_key(browser, deployed, key, "#/nothing")
    browser.wait_for("!!document.querySelector('.notice')")
    assert 'There is no dataset "nothing".' in shown(browser)
    assert browser.value("!!document.querySelector('main a[href=\"#/\"]')")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_overflows_is_faint_or_a_barrier(deployed, iris, key, browser, width, dark):
    browser.show_as(width, dark=dark)
    browser.open(f"{api_url(deployed)}/?again")
    browser.wait_for("document.activeElement?.id === 'key'")

    def is_fine() -> None:
        assert browser.flaws() == []
        assert browser.barriers() == []

    is_fine()
    give_key(browser, key)
    browser.wait_for("!!document.querySelector('.datasets .big')")
    is_fine()
    browser.value("location.hash = '#/iris'")
    browser.wait_for(f"({ANSWERED}) && document.querySelector('.matrix button')?.textContent")
    browser.value("document.querySelector('.matrix button').click()")
    browser.wait_for("!!document.querySelector('.rows tbody tr')")
    is_fine()
    run = deployed.call("GET", "/datasets/iris").body["live"]["run"]
    browser.value(f"location.hash = '#/iris/{run}'")
    browser.wait_for("!!document.querySelector('.report')")
    assert browser.barriers() == []
    browser.value("location.hash = '#/+'")
    browser.wait_for("!!document.getElementById('file')")
    is_fine()
    browser.open(f"{api_url(deployed)}/docs")
    browser.wait_for("!!document.querySelector('main.docs')")
    is_fine()
    assert browser.value("matchMedia('(prefers-color-scheme: dark)').matches") is dark
