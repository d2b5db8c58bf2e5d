"""How Chromium shows the email and the page: on a phone, in a mail program, on a desktop."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path

import pytest

from pipeline.registry import Status
from report.render import mail, page
from tests.browser import BROWSER, FAINT_IN
from tests.unit.functions.test_report import METRICS, PROFILE, REFUSAL, facts, many_classes
from tests.unit.functions.test_report_pictures import CHOICE, sample_from

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

# Of elements that scroll by themselves it doesn't matter how wide they are.
MEASURE = """
const widths = %s;
const faint = FAINT_IN;
addEventListener("load", () => setTimeout(() => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, limit = frame.clientWidth;
    const wide = [...page.body.querySelectorAll("*")].filter((each) =>
      each.getBoundingClientRect().right > limit + 1 && !each.closest("[style*='overflow-x']"));
    const broken = [...page.querySelectorAll("td")].filter((cell) => {
      const range = page.createRange();
      range.selectNodeContents(cell);
      return getComputedStyle(cell).whiteSpace === "nowrap" && range.getClientRects().length > 1;
    });
    return [page.documentElement.scrollWidth, wide.map((each) => each.outerHTML.slice(0, 80)),
            broken.map((each) => each.textContent),
            [...page.images].filter((image) => !image.naturalWidth).length,
            frame.contentWindow.matchMedia("(prefers-color-scheme: dark)").matches, faint(page)];
  });
  document.body.textContent = JSON.stringify(found);
}, 100));
"""
WIDTHS = (320, 600, 1200)


def shown_at(html: str, folder: Path, *, dark: bool) -> Iterator[tuple[int, list]]:
    """How wide a page becomes at each width, what juts out, is broken, isn't there, or is faint."""
    frames = "".join(
        f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{escape(html)}"></iframe>'
        for width in WIDTHS
    )
    script = f"<script>{MEASURE.replace('FAINT_IN', FAINT_IN) % json.dumps(WIDTHS)}</script>"
    (folder / "page.html").write_text(f"<!doctype html><body>{frames}{script}</body>")
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--hide-scrollbars", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
         f"--user-data-dir={folder}/profile", "--virtual-time-budget=5000", "--dump-dom",
         f"file://{folder}/page.html"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    body = re.search("<body>(.*?)</body>", done.stdout, re.S)
    assert body, done.stdout + done.stderr
    yield from zip(WIDTHS, json.loads(unescape(body[1])), strict=True)


LONG = "Ein_sehr_langer_Spaltenname_ohne_Leerzeichen" * 4
COLUMNS = [
    {"name": LONG, "role": "number", "reason": "holds numbers"},
    {"name": "length", "role": "number", "reason": "holds numbers"},
]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(
            facts(Status.LIVE, metrics=METRICS, profile=PROFILE, schema={"columns": COLUMNS},
                  choice=CHOICE | {"scores": [], "by": "default"}, example=[1.5] * 40,
                  predictions_url=f"https://x.example/{'v1' * 60}"),
            id="live",
        ),
        pytest.param(facts(Status.LIVE, metrics=many_classes(300, 200)), id="many long classes"),
        pytest.param(
            facts(Status.REFUSED, profile=PROFILE, problem=REFUSAL | {
                "message": f"{LONG} is no label.", "remedy": f"Do:\n    aws s3 cp {LONG}"}),
            id="refused",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("form", [mail, page])
def test_nothing_overflows_breaks_or_is_faint_at_any_width(told, form, dark, tmp_path):
    from report.pictures import draw

    pictures = draw(told.metrics, None, sample_from(60, wrong=3) if told.metrics else None)
    html = form(told, pictures)
    for picture in pictures:
        source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
        html = html.replace(f"cid:{picture.name}", source)
    for width, found in shown_at(html, tmp_path, dark=dark):
        wide, overflowing, broken, missing, is_dark, faint = found
        assert (wide, overflowing, broken, missing) == (width, [], [], 0)
        assert (is_dark, faint) == (dark, [])
