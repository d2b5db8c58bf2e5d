"""Which run a rollback goes back to."""

from typing import Any

import pytest

from pipeline.redeployment import run_before


def lived(*names: str, **of_last: Any) -> list[dict[str, Any]]:
    """Runs in the order in which they were live: ``B:A`` restores A, ``B<A`` rolls back to it."""
    items: list[dict[str, Any]] = []
    for place, text in enumerate(names):
        name, _, restores = text.replace("<", ":").partition(":")
        item = {"run": name, "status": "Retired", "dropped": f"2026-01-{place + 1:02}T00:00:00Z#0"}
        if restores:
            item |= {"restores": restores, "pins": "<" in text}
        if items:
            item |= {"replaced": items[-1]["run"], "promoted": f"2026-02-{place + 1:02}"}
        items.append(item)
    items[-1]["status"] = "Live"
    return items


@pytest.mark.parametrize(
    ("runs", "before"),
    [
        ("A", None),
        ("A B", "A"),
        ("A B C", "B"),
        # B was bad: a second rollback goes one further back.
        ("A B A2<A", None),
        ("Z A B A2<A", "Z"),
        ("Z A B A2<A Z2<Z", None),
        # A new file went live after a rollback: what it replaced is what was live before.
        ("A B A2<A C", "A2"),
        ("A B A2<A C A3<A2", None),
        ("Z A B A2<A C A3<A2", "Z"),
        # A model that was rolled back from was made live again, and a file took its place.
        ("A B A2<A B2:B C", "B2"),
        ("A B A2<A B2<B C", "B2"),
        # One that was held and promoted.
        ("A B:H", "A"),
    ],
)
def test_a_rollback_goes_to_what_was_live_before_and_not_to_what_was_rolled_back_from(runs, before):
    items = lived(*runs.split())
    found = run_before(items, items[-1]["run"])
    assert (found and found["run"]) == before


def test_runs_that_were_never_live_are_no_runs_to_go_back_to():
    items = lived("A", "B")
    for status in ("Held", "Refused", "Failed", "Superseded", "Training"):
        items.append({"run": status, "status": status, "dropped": "2026-01-01T12:00:00Z#0"})
    assert run_before(items, "B")["run"] == "A"


def test_runs_of_a_release_that_noted_no_promotions_go_by_when_their_files_were_dropped():
    items = [
        {"run": name, "status": status, "dropped": f"2026-01-0{day}T00:00:00Z#0"}
        for name, status, day in (("B", "Retired", 2), ("C", "Live", 3), ("A", "Retired", 1))
    ]
    assert run_before(items, "C")["run"] == "B"
