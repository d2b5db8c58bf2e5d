"""What a number is, in a file as in a request."""

from __future__ import annotations

import math
import re

_FLOAT32_MAX = 3.4028234663852886e38
"""SageMaker's k-NN reads features as 32-bit floats; beyond this they are infinite."""

# float() accepts more than a CSV means by a number: "1_000", "infinity", digits of any script.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def plain_number(text: str) -> str | None:
    """Return a number as the model is given it, as written but for a plus; None if it is none."""
    return text.removeprefix("+") if _NUMBER.fullmatch(text) else None


def fits_float32(number: str) -> bool:
    """Whether a plain number is finite as a 32-bit float."""
    return math.fabs(float(number)) <= _FLOAT32_MAX
