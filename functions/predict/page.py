"""The page that the API serves: one answer with its style and its script in it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from predict.access import SCHEMES

FOLDER = Path(__file__).with_name("page")
STYLE = '<link rel="stylesheet" href="page.css">'
SCRIPT = '<script type="module" src="page.js"></script>'
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
NO_KEYS = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Predictions</title>
<h1>Predictions of the live models</h1>
<p>This API takes no keys, so there is no form here to try it. Each request has in its header
Authorization: {scheme}.</p>
<p>Its document is here too, at openapi.json.</p>
</html>
"""


def _source(text: str) -> str:
    """Return how a Content-Security-Policy names this text, and allows no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def read_page(authorization: str) -> tuple[str, dict[str, str]]:
    """Return the page, and the headers that it goes with.

    Style and script stand in it, as links to them would be resolved in two ways: whoever opens a
    stage may write a slash at the end of its address or not. It can only ask for an API key: for
    callers who sign their requests, or send tokens, there is one that says so.
    """
    if authorization in SCHEMES:
        page = NO_KEYS.format(scheme=SCHEMES[authorization])
        return page, HEADERS | {"Content-Security-Policy": "default-src 'none'"}
    style = (FOLDER / "page.css").read_text()
    script = (FOLDER / "page.js").read_text()
    page = (FOLDER / "page.html").read_text()
    page = page.replace(STYLE, f"<style>{style}</style>")
    page = page.replace(SCRIPT, f'<script type="module">{script}</script>')
    policy = (
        "default-src 'none'",
        f"script-src {_source(script)}",
        f"style-src {_source(style)}",
        # The icon, and the pictures in reports.
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return page, HEADERS | {"Content-Security-Policy": "; ".join(policy)}
