"""How numbers, names and lists are written, the same in email, page and terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_LISTED = 5
_RIGHT_TO_LEFT = (
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_RUN = re.compile(rf'{_RIGHT_TO_LEFT}+(?:[^",;:()A-Za-z]*{_RIGHT_TO_LEFT}+)*')


def points(difference: float) -> str:
    """Return a difference of shares in points, with its sign: -0.04 is ``−4.0``, none is empty."""
    text = f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")
    return "" if text[1:] == "0.0" else text


def shown(text: str) -> str:
    """Return a text with control characters, line breaks and marks of direction escaped."""
    return "".join(
        c if c == " " or c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def isolated(text: str) -> str:
    """Return a text whose words from right to left don't drag along the numbers beside them."""
    return _RUN.sub("\N{FIRST STRONG ISOLATE}\\g<0>\N{POP DIRECTIONAL ISOLATE}", text)


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def listed(names: Iterable[str], between: str = ", ") -> str:
    """Return the first names, and how many more there are."""
    names = list(names)
    first = between.join(names[:_LISTED])
    return first if len(names) <= _LISTED else f"{first} and {len(names) - _LISTED:,} more"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a number and its noun: ``1 row``, ``2,000 rows``."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


_CODES = {
    "NoLabel": "no label column",
    "NotUtf8": "not UTF-8",
    "WorseThanLive": "the new one is worse",
}


def plain_code(code: str) -> str:
    """Return an error's code in words: ``TooFewTestRows`` is "too few test rows"."""
    words = re.findall(r"[A-Z]\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", code)
    return _CODES.get(code) or " ".join(
        w.lower() if w.istitle() and w.isalpha() else w for w in words
    )


def table_text(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines of aligned columns; wide characters take two columns."""
    if not rows:
        return []
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _columns(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
