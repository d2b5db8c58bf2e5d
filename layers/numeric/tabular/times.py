"""Times in a column: numbers, or ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from tabular.blocks import Rows
from tabular.numbers import Floats, Mask, NumberFormat, Places, read_numbers


def read_times(rows: Rows, column: int, written: NumberFormat) -> tuple[Floats, Mask]:
    """Return the times in a column as numbers that sort as they do, and where there is no time.

    Seconds since 1970 stand for a text; one without a zone is UTC.
    """
    starts, ends = rows.bounds([column])
    values = _plain_times(rows, starts[0], ends[0])
    if values is None:
        values, _ = (each[0] for each in read_numbers(rows.array, starts, ends, [written]))
    for row in np.flatnonzero(np.isnan(values)).tolist():
        try:
            time = datetime.fromisoformat(rows.text(column, row))
        except ValueError:
            continue
        values[row] = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return values, np.isnan(values)


def _plain_times(rows: Rows, starts: Places, ends: Places) -> Floats | None:
    """Return a column of dates, or of times to the second without a zone; None if it is another."""
    size = int(ends[0] - starts[0]) if len(starts) else 0
    if size not in (10, 19) or (ends - starts != size).any():
        return None
    texts = rows.array[starts[:, None] + np.arange(size)]
    if (texts[:, 4] != ord("-")).any() or (texts[:, 16:17] != ord(":")).any():
        return None
    if size == 19:
        texts[texts[:, 10] == ord(" "), 10] = ord("T")
    texts = texts.view(f"S{size}")[:, 0]
    try:
        times = texts.astype("datetime64[D]" if size == 10 else "datetime64[s]")
    except ValueError:
        return None
    # numpy takes more than these, and has a year 0, which datetime hasn't.
    is_plain = (times.astype(texts.dtype) == texts).all() and times.min() >= np.datetime64("0001")
    return times.astype("datetime64[s]").astype(float) if is_plain else None
