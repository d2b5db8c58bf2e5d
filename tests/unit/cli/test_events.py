"""Which function an event is for."""

import pytest

from cli import events


@pytest.mark.parametrize(
    ("event", "function"),
    [
        ("predict-json", "Predict"),
        ("predict", "Predict"),
        ("predict-later-still", "PredictLater"),
        ("predicted-json", None),
        ("else", None),
    ],
)
def test_an_event_is_for_the_function_of_the_longest_name_that_it_begins_with(
    monkeypatch, event, function
):
    monkeypatch.setattr(events, "FUNCTIONS", ("Predict", "PredictLater"))
    assert events.function_of(event) == function
