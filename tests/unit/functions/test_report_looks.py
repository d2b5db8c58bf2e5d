"""How Chromium shows the email and the page: on a phone, in a mail program, on a desktop."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path

import pytest

from pipeline.registry import Status
from report.render import mail, page
from tests.unit.functions.test_report import METRICS, PROFILE, REFUSAL, facts, many_classes
from tests.unit.functions.test_report_pictures import CHOICE, sample_from

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

# Of elements that scroll by themselves it doesn't matter how wide they are.
MEASURE = """
const widths = %s;
// Contrast as WCAG 2.2 defines it, of texts with what is behind them.
const channels = (color) => color.match(/[0-9.]+/g).map(Number);
const luminance = (color) => channels(color).slice(0, 3)
  .map((each) => each / 255)
  .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
  .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
const behind = (element) => {
  const color = element && getComputedStyle(element).backgroundColor;
  if (!element) return "rgb(255, 255, 255)";
  return channels(color)[3] === 0 ? behind(element.parentElement) : color;
};
const contrast = (element) => {
  const [one, other] = [getComputedStyle(element).color, behind(element)].map(luminance);
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
};
const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3
  && node.textContent.trim());
const faint = (page) => [...page.body.querySelectorAll("*")]
  .filter((element) => hasText(element) && contrast(element) < 4.5)
  .map((element) => element.outerHTML.slice(0, 80));
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
    script = f"<script>{MEASURE % json.dumps(WIDTHS)}</script>"
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
