"""Words that several functions say to people."""

from __future__ import annotations

MAPS = {
    "none": "raw values",
    "zscore": "z-scores",
    "minmax": "a range from 0 to 1",
    "importance": "z-scores weighted by importance",
    "nca": "Neighbourhood Components Analysis (NCA)",
}
"""What is done to the features before distances are taken."""


def percent(share: float, digits: int = 1) -> str:
    """Return a share as percent: 0.9561 is ``95.6 %``. Only what is whole is 100 or 0 percent."""
    text = f"{100 * share:.{digits}f}"
    if float(text) >= 100 > 100 * share:
        text = f"{100 - 10**-digits:.{digits}f}"
    if float(text) <= 0 < share:
        return f"<{10**-digits:.{digits}f} %"
    return f"{text.removesuffix('.0') if float(text) in (0, 100) else text} %"
