"""What the sweeper finds: orphans, lost runs, live models without an endpoint, old files."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.deployments import Deployments
from pipeline.registry import LIVE, PIN, run_sort
from sweep.findings import MAX_REPAIRS, SETTLED, Findings, find

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LONG_AGO, JUST_NOW = NOW - SETTLED, NOW - SETTLED + timedelta(seconds=1)
NOTHING = Deployments([], [], [])
NONE = Findings()


def name(number: int, dataset: str = "iris") -> str:
    return f"{dataset}-20261101T0000{number:02}Z-00000000"


def run(number: int, status: str, *, updated: datetime = LONG_AGO, **more: Any) -> dict[str, Any]:
    of = {"run": name(number), "dataset": "iris", "sort": run_sort(name(number)), "status": status}
    dropped = f"2026-11-01T00:00:{number:02}Z#0"
    return {**of, "updated": updated.isoformat(), "dropped": dropped, **more}


def pointer(number: int, sort: str = LIVE) -> dict[str, Any]:
    return {"dataset": "iris", "sort": sort, "run": name(number)}


def served(*numbers: int) -> Deployments:
    names = [name(number) for number in numbers]
    return Deployments(names, names, names, serving=names)


def test_nothing_is_wrong_with_a_live_run_that_is_served():
    assert find([run(1, "Live"), pointer(1)], served(1), (), NOW) == NONE


def test_an_item_that_cannot_be_read_does_not_keep_others_from_being_judged():
    broken = {"dataset": "iris", "sort": run_sort(name(2)), "run": name(2)}
    unreadable = {"dataset": "other", "sort": LIVE, "promoted": "2026"}
    undated = run(3, "Training") | {"updated": "2026"}
    items = [broken, unreadable, undated, run(1, "Training")]
    assert find(items, NOTHING, (), NOW) == Findings(lost=[name(1)])


def test_what_a_run_that_is_not_live_has_deployed_is_an_orphan():
    for status in ("Refused", "Failed", "Retired", "Superseded", "Held"):
        items = [run(1, status), run(2, "Live"), pointer(2)]
        assert find(items, served(1, 2), (), NOW) == Findings(orphans=[name(1)])
        left = Deployments([name(2)], [], [name(1)], serving=[name(2)])
        assert find(items, left, (), NOW) == Findings(orphans=[name(1)])


def test_what_has_just_ended_or_is_being_retired_is_no_orphan():
    items = [run(1, "Retired", updated=JUST_NOW), run(2, "Retired"), run(3, "Live"), pointer(3)]
    assert find(items, served(1, 2, 3), [f"{name(2)}-0a1b2c3d"], NOW) == NONE


def test_a_run_that_does_not_get_on_is_lost_unless_it_is_running():
    for status in ("Preparing", "Training"):
        assert find([run(1, status)], NOTHING, (), NOW) == Findings(lost=[name(1)])
        assert find([run(1, status)], NOTHING, [name(1)], NOW) == NONE
        assert find([run(1, status, updated=JUST_NOW)], NOTHING, (), NOW) == NONE


def test_a_lost_run_keeps_what_it_has_deployed_until_it_has_ended():
    assert find([run(1, "Training")], served(1), (), NOW).orphans == []


def test_a_live_model_without_an_endpoint_that_serves_is_missing_at_once():
    items = [run(1, "Live", updated=JUST_NOW), pointer(1)]
    assert find(items, NOTHING, (), NOW) == Findings(missing=[name(1)])
    failed = Deployments([name(1)], [], [])
    assert find(items, failed, (), NOW) == Findings(missing=[name(1)])


def test_a_missing_endpoint_is_let_be_while_another_run_of_the_dataset_is_on_its_way():
    for status in ("Preparing", "Training"):
        items = [run(1, "Live"), run(2, status, updated=JUST_NOW), pointer(1)]
        assert find(items, NOTHING, [name(2)], NOW) == NONE
        assert find(items, NOTHING, (), NOW) == NONE
    items[1]["updated"] = LONG_AGO.isoformat()
    assert find(items, NOTHING, (), NOW) == Findings(lost=[name(2)], missing=[name(1)])


def test_what_was_just_replaced_is_left_to_those_who_let_it_drain():
    items = [run(1, "Live"), run(2, "Training", updated=JUST_NOW)]
    live = pointer(2) | {"previous_run": name(1), "promoted": JUST_NOW.isoformat()}
    assert find([*items, live], served(1, 2), [name(2)], NOW) == NONE
    live["promoted"] = LONG_AGO.isoformat()
    assert find([*items, live], served(1, 2), [name(2)], NOW).orphans == [name(1)]


@pytest.mark.parametrize("status", ["Failed", "Refused", "Held"])
def test_a_model_that_cannot_be_deployed_again_is_given_up(status):
    items = [run(1, "Live"), pointer(1)]
    items += [run(2 + n, status, restores=name(1)) for n in range(MAX_REPAIRS)]
    assert find(items, NOTHING, (), NOW) == Findings(given_up=[name(1)])
    assert find(items[:-1], NOTHING, (), NOW) == Findings(missing=[name(1)])


def test_old_runs_expire_but_for_the_live_one_the_one_to_go_back_to_and_the_pinned():
    items = [
        run(number, "Retired", promoted=f"2026-11-01T00:00:{number:02}Z") for number in range(1, 8)
    ]
    # The live one is the seventh, deployed again: there is no going back to that.
    live = run(8, "Live", promoted="2026-11-01T00:00:08Z", replaced=name(7), restores=name(7))
    items += [live, run(9, "Refused"), run(10, "Refused"), pointer(8), pointer(4, PIN)]
    found = find(items, served(8), (), NOW, runs_to_keep=3)
    assert found.expired == [name(number) for number in (7, 5, 3, 2, 1)]
    items[4]["expired"] = "2026-11-20T00:00:00Z"
    found = find(items, served(8), (), NOW, runs_to_keep=3)
    assert found.expired == [name(number) for number in (7, 3, 2, 1)]
    assert find(items, served(8), (), NOW) == NONE


def test_runs_are_kept_by_dataset_and_until_they_have_ended():
    items = [run(1, "Training"), run(2, "Retired"), run(3, "Retired", updated=JUST_NOW)]
    other = {"run": name(4, "other"), "dataset": "other", "sort": run_sort(name(4, "other"))}
    items.append(run(4, "Retired") | other)
    items.append(run(5, "Live"))
    found = find([*items, pointer(5)], served(5), [name(1)], NOW, runs_to_keep=1)
    assert found == Findings(expired=[name(2)])


def tried_beside(number: int, other: int) -> dict[str, Any]:
    return pointer(number) | {"canary": {"run": name(other), "endpoint_name": name(other)}}


@pytest.mark.parametrize(
    ("status", "serving", "executions", "found"),
    [
        ("Training", (1, 2), [name(2)], []),
        ("Training", (1, 2), [], []),
        # The state machine of a run that is under way sees to it itself.
        ("Training", (1,), [name(2)], []),
        ("Training", (1,), [], [name(2)]),
        ("Refused", (1, 2), [], [name(2)]),
    ],
)
def test_a_model_is_tried_no_more_if_its_endpoint_is_gone_or_its_run_has_ended(
    status, serving, executions, found
):
    items = [run(1, "Live"), run(2, status, updated=JUST_NOW), tried_beside(1, 2)]
    assert find(items, served(*serving), executions, NOW).tried == found


def test_a_model_of_a_run_that_is_in_no_registry_is_tried_no_more():
    assert find([run(1, "Live"), tried_beside(1, 2)], served(1, 2), (), NOW).tried == [name(2)]
