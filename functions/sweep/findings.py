"""What is not as the registry says: what the sweeper looks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pipeline.deployments import Deployments
from pipeline.redeployment import run_before
from pipeline.registry import LIVE, PIN, Status, run_sort

SETTLED = timedelta(hours=6)
"""A run is judged only so long after its last change: no execution, no retry of an event and no
endpoint that was replaced takes longer."""

MAX_REPAIRS = 3
"""Failures after which a model isn't deployed again by itself."""


_CAME_TO_NOTHING = (Status.FAILED, Status.REFUSED, Status.HELD, Status.SUPERSEDED)


@dataclass(frozen=True)
class Findings:
    """Runs by what is wrong with them.

    `orphans` have deployments that nothing needs. `lost` ones neither end nor get on. `missing`
    ones are live without an endpoint that serves; those in `given_up` too, but deploying them again
    keeps failing. `expired` ones are so old that their files may go. `tried` ones are to answer
    some of the requests, though they have ended or have no endpoint that serves.
    """

    orphans: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)


def find(
    items: Sequence[Mapping[str, Any]],
    deployments: Deployments,
    executions: Collection[str],
    now: datetime,
    *,
    runs_to_keep: int = 0,
) -> Findings:
    """Return what is not as it should be.

    Parameters
    ----------
    items
        All of the registry, read after `deployments` and `executions`: what a run has made since
        isn't judged then.
    executions
        Names of those that are running. They begin with the names of their runs.
    runs_to_keep
        Of each dataset, besides those that are needed. 0 keeps all.
    """
    runs = {
        str(item["run"]): item
        for item in items
        # What can't be read is nothing to judge the others by.
        if item["sort"].startswith(run_sort("")) and {"run", "status"} <= set(item)
        if _age(item.get("updated"), now) < timedelta.max
    }
    live = {str(item["run"]) for item in items if item["sort"] == LIVE and "run" in item}
    settled = {
        run
        for run, item in runs.items()
        if _age(item["updated"], now) >= SETTLED
        and not any(name.startswith(run) for name in executions)
    }
    done = {run for run in settled if has_ended(runs[run])}
    # What is on its way may take a live model's place, or be about to let its endpoint go.
    under_way = set(runs) - settled - {r for r, item in runs.items() if has_ended(item)}
    busy = {str(runs[run]["dataset"]) for run in under_way}
    busy |= {str(runs[name]["dataset"]) for name in executions if name in runs}
    replaced = {
        str(item.get("previous_run"))
        for item in items
        if item["sort"] == LIVE and _age(item.get("promoted"), now) < SETTLED
    }
    missing = [
        run
        for run in sorted(live & set(runs))
        if run not in deployments.serving and runs[run]["dataset"] not in busy
    ]
    failures = Counter(
        item.get("restores") for item in runs.values() if Status(item["status"]) in _CAME_TO_NOTHING
    )
    tried = [str(i["canary"]["run"]) for i in items if i["sort"] == LIVE and i.get("canary")]
    return Findings(
        orphans=[run for run in deployments.runs if run in done - live - replaced],
        lost=sorted(settled - done),
        missing=[run for run in missing if failures[run] < MAX_REPAIRS],
        given_up=[run for run in missing if failures[run] >= MAX_REPAIRS],
        expired=list(_expired(items, runs, done, runs_to_keep)) if runs_to_keep else [],
        tried=[
            run
            for run in tried
            # An execution that runs sees to it itself.
            if not any(name.startswith(run) for name in executions)
            if run not in deployments.serving or run not in runs or has_ended(runs[run])
        ],
    )


def has_ended(item: Mapping[str, Any]) -> bool:
    """Whether a run goes no further."""
    return Status(item["status"]).has_ended


def _age(time: object, now: datetime) -> timedelta:
    """Return how long ago a time was; one that can't be read is long ago."""
    try:
        return now - datetime.fromisoformat(str(time))
    except (TypeError, ValueError):
        return timedelta.max


def _expired(
    items: Sequence[Mapping[str, Any]],
    runs: Mapping[str, Mapping[str, Any]],
    done: Collection[str],
    runs_to_keep: int,
) -> Iterator[str]:
    """Yield runs that are not among the newest, nor live, pinned, or the next to go back to."""
    needed = {str(item["run"]) for item in items if item["sort"] in (LIVE, PIN) and "run" in item}
    for item in items:
        if item["sort"] == LIVE and "run" in item:
            of_one = [run for run in runs.values() if run["dataset"] == item["dataset"]]
            before = run_before(of_one, str(item["run"]))
            needed |= {before["run"]} if before else set()
    seen: Counter[str] = Counter()
    for run in sorted(runs, key=lambda run: str(runs[run].get("dropped", "")), reverse=True):
        dataset = runs[run]["dataset"]
        seen[dataset] += 1
        is_over = run in done and run not in needed and "expired" not in runs[run]
        if seen[dataset] > runs_to_keep and is_over:
            yield run
