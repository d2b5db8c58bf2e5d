"""How Chromium shows the email and the page: on a phone, in a mail program, on a desktop."""

import base64
import functools
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest

from pipeline.registry import Status
from report.pictures import Picture, draw
from report.render import mail, page
from tests.browser import BROWSER, FAINT_IN, Tab, tab
from tests.unit.functions.test_report import METRICS, PROFILE, REFUSAL, facts, many_classes
from tests.unit.functions.test_report_pictures import CHOICE, sample_from

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

# Of elements that scroll by themselves it doesn't matter how wide they are.
MEASURE = f"""
[...document.querySelectorAll("iframe")].map((frame) => {{
  const page = frame.contentDocument, limit = frame.clientWidth;
  const wide = [...page.body.querySelectorAll("*")].filter((each) =>
    each.getBoundingClientRect().right > limit + 1 && !each.closest("[style*='overflow-x']"));
  const broken = [...page.querySelectorAll("td")].filter((cell) => {{
    const range = page.createRange();
    range.selectNodeContents(cell);
    return getComputedStyle(cell).whiteSpace === "nowrap" && range.getClientRects().length > 1;
  }});
  return [page.documentElement.scrollWidth, wide.map((each) => each.outerHTML.slice(0, 80)),
          broken.map((each) => each.textContent),
          [...page.images].filter((image) => !image.naturalWidth).length,
          frame.contentWindow.matchMedia("(prefers-color-scheme: dark)").matches,
          {FAINT_IN.strip()}(page)];
}})
"""
WIDTHS = (320, 600, 1200)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def shown_at(html: str, browser: Tab, folder: Path, *, dark: bool) -> Iterator[tuple[int, list]]:
    """How wide a page becomes at each width, what juts out, is broken, isn't there, or is faint."""
    frames = "".join(
        f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{escape(html)}"></iframe>'
        for width in WIDTHS
    )
    (folder / "page.html").write_text(f"<!doctype html><body>{frames}")
    browser.show_as(1280, dark=dark)
    browser.open((folder / "page.html").as_uri())
    address = json.dumps(str(folder / "page.html"))
    # A document is complete when its frames and images are.
    browser.wait_for(f"location.pathname === {address} && document.readyState === 'complete'")
    yield from zip(WIDTHS, browser.value(MEASURE), strict=True)


LONG = "Ein_sehr_langer_Spaltenname_ohne_Leerzeichen" * 4
COLUMNS = [
    {"name": LONG, "role": "number", "reason": "holds numbers"},
    {"name": "length", "role": "number", "reason": "holds numbers"},
]


TOLD = {
    "live": facts(
        Status.LIVE, metrics=METRICS, profile=PROFILE, schema={"columns": COLUMNS},
        choice=CHOICE | {"scores": [], "by": "default"}, example=[1.5] * 40,
        predictions_url=f"https://x.example/{'v1' * 60}",
    ),
    "many long classes": facts(Status.LIVE, metrics=many_classes(300, 200)),
    "refused": facts(
        Status.REFUSED, profile=PROFILE, problem=REFUSAL | {
            "message": f"{LONG} is no label.", "remedy": f"Do:\n    aws s3 cp {LONG}"},
    ),
}  # fmt: skip


@functools.cache
def pictures_of(told: str) -> list[Picture]:
    metrics = TOLD[told].metrics
    return draw(metrics, None, sample_from(60, wrong=3) if metrics else None)


@pytest.mark.parametrize("told", TOLD)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("form", [mail, page])
def test_nothing_overflows_breaks_or_is_faint_at_any_width(told, form, dark, browser, tmp_path):
    html = form(TOLD[told], pictures_of(told))
    for picture in pictures_of(told):
        source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
        html = html.replace(f"cid:{picture.name}", source)
    for width, found in shown_at(html, browser, tmp_path, dark=dark):
        wide, overflowing, broken, missing, is_dark, faint = found
        assert (wide, overflowing, broken, missing) == (width, [], [], 0)
        assert (is_dark, faint) == (dark, [])
