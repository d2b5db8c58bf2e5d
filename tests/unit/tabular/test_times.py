from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.numbers import NumberFormat
from tabular.times import read_times
from tests.unit.tabular.tables import rows_of

PLAIN = NumberFormat()


def times_of(texts: list[str], written: NumberFormat = PLAIN, delimiter: str = ","):
    rows = rows_of("".join(f"{text}{delimiter}x\n" for text in texts), delimiter=delimiter)
    times, is_none = read_times(rows, 0, written)
    assert np.isnan(times).tolist() == is_none.tolist()
    return [None if none else time for time, none in zip(times.tolist(), is_none, strict=True)]


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=1, max_size=9))
def test_iso_times_sort_as_they_are(times):
    found = times_of([time.isoformat() for time in times])
    assert found == [time.timestamp() for time in times]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01", 0),
        ("1970-01-01 01:00:00+01:00", 0),
        ("1969-12-31T23:59:59", -1),
        ("2026-02-28T12:00", datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp()),
        (
            "0001-01-01T00:00:00+14:00",
            datetime.fromisoformat("0001-01-01T00:00Z").timestamp() - 50400,
        ),
        (
            "9999-12-31T23:59:59-14:00",
            datetime.fromisoformat("9999-12-31T23:59:59Z").timestamp() + 50400,
        ),
        (" 17 ", 17),
        ("-1.5", -1.5),
        ("20260228", 20260228),
        *((text, None) for text in ["", "NA", "soon", "2026-02-30", "12:30", "2026-13-01", "nan"]),
    ],
)
def test_a_time_is_a_number_or_iso_8601(text, time):
    assert times_of([text]) == [time]


def read_alone(text: str) -> float | None:
    """What a text is without any others beside it that are alike."""
    try:
        return float(text)
    except ValueError:
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return None
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


DAYS = st.dates().map(str) | st.from_regex(r"\d{4}-[01]\d-[0-3]\d", fullmatch=True)
MOMENTS = st.datetimes().map(lambda time: time.replace(microsecond=0))
SECONDS = MOMENTS.map(str) | MOMENTS.map(datetime.isoformat) | st.just("0000-01-01 00:00:00")


@pytest.mark.parametrize(
    ("alike", "odd"),
    [
        (DAYS, ["1700000000", "2026-W09-6", "2026-1-1 1", "1234-56789"]),
        (
            SECONDS,
            [
                "1234567890123456789",
                "2026-01-01_00:00:00",
                "2026-01-01T00:00+00",
                "2026-01-01T24:00:00",
                "2026-01-01T00.00.00",
            ],
        ),
    ],
)
@given(data=st.data())
def test_a_column_of_texts_that_are_alike_is_read_as_each_is_alone(alike, odd, data):
    texts = data.draw(st.lists(alike, min_size=1, max_size=9))
    texts += data.draw(st.lists(st.sampled_from(odd), max_size=1))
    assert times_of(texts) == [read_alone(text) for text in texts]


def test_numbers_are_written_as_in_the_rest_of_the_column():
    assert times_of(["1,5", "2026-01-01"], NumberFormat(","), ";")[0] == 1.5
