"""The page of the API, as a browser shows it and as its user uses it."""

from __future__ import annotations

import json
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
    # Other tests leave datasets in the stack that they have made by hand, with half of their files.
    ours = [
        told for told in browser.complaints if "/datasets/iris" in told or "/datasets/" not in told
    ]
    assert ours == []


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
def test_nothing_overflows_is_faint_or_has_no_name(deployed, iris, key, browser, width, dark):
    browser.show_as(width, dark=dark)
    browser.open(f"{api_url(deployed)}/?again")
    browser.wait_for("document.activeElement?.id === 'key'")

    assert browser.flaws() == []
    give_key(browser, key)
    browser.wait_for("!!document.querySelector('.datasets .big')")
    assert browser.flaws() == []
    browser.value("location.hash = '#/iris'")
    browser.wait_for(ANSWERED)
    assert browser.flaws() == []
    assert browser.value("matchMedia('(prefers-color-scheme: dark)').matches") is dark
