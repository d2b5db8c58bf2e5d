"""The page that the API serves: one answer with its style and its script in it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("page")
STYLE = '<link rel="stylesheet" href="page.css">'
SCRIPT = '<script type="module" src="page.js"></script>'


def _source(text: str) -> str:
    """Return how a Content-Security-Policy names this text, and allows no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def read_page(inbox: str) -> tuple[str, dict[str, str]]:
    """Return the page, and the headers that it goes with; it may upload to the inbox's origin.

    Style and script stand in it, as links to them would be resolved in two ways: whoever opens a
    stage may write a slash at the end of its address or not.
    """
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
        f"connect-src 'self' {inbox}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return page, {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
