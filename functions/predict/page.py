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
NO_KEYS = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Predictions</title>
<h1>Predictions of the live models</h1>
<p>This API takes no keys, so there is no form here to try it. Each request has in its header
Authorization: {scheme}.</p>
<p>See docs or openapi.json for the API's documentation.</p>
</html>
"""
SCRIPTS = (
    "elements.js",
    "api.js",
    "key.js",
    "datasets.js",
    "dataset.js",
    "rows.js",
    "runs.js",
    "form.js",
    "plot.js",
    "try.js",
    "upload.js",
    "score.js",
    "addresses.js",
)
"""Files of one script. The last begins, so what it uses has to come before."""


def source(text: str) -> str:
    """Return how a Content-Security-Policy names this text, and allows no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def read_page(inbox: str) -> tuple[str, dict[str, str]]:
    """Return the page and its headers, which let it upload to the inbox, if its origin is given.

    Style and script stand in it, as links to them would be resolved in two ways: whoever opens a
    stage may write a slash at the end of its address or not.
    """
    style = (FOLDER / "page.css").read_text()
    script = "\n".join((FOLDER / name).read_text() for name in SCRIPTS)
    page = (FOLDER / "page.html").read_text()
    page = page.replace(STYLE, f"<style>{style}</style>")
    page = page.replace(SCRIPT, f'<script type="module">{script}</script>')
    return page, headers_of(
        f"script-src {source(script)}",
        f"style-src {source(style)}",
        # The icon, and the pictures in reports.
        "img-src data:",
        f"connect-src 'self' {inbox}".rstrip(),
    )


def read_notice(authorization: str) -> tuple[str, dict[str, str]]:
    """Return what is in the page's place for callers who sign or send tokens: how they call."""
    return NO_KEYS.format(scheme=SCHEMES[authorization]), headers_of()


def headers_of(*allowed: str) -> dict[str, str]:
    """Return the headers of a page that may do this, and nothing else."""
    policy = (
        "default-src 'none'",
        *allowed,
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
