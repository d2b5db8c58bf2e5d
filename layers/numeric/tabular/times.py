"""Times in a column: numbers, or ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from tabular.blocks import Rows
from tabular.numbers import Floats, Mask, NumberFormat, read_numbers


def read_times(rows: Rows, column: int, written: NumberFormat) -> tuple[Floats, Mask]:
    """Return the times in a column as numbers that sort as they do, and where there is no time.

    Seconds since 1970 stand for a text; one without a zone is UTC.
    """
    starts, ends = rows.bounds([column])
    values, _ = (each[0] for each in read_numbers(rows.array, starts, ends, [written]))
    for row in np.flatnonzero(np.isnan(values)).tolist():
        try:
            time = datetime.fromisoformat(rows.text(column, row))
        except ValueError:
            continue
        values[row] = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return values, np.isnan(values)
