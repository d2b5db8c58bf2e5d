"""Split's own functions, from a folder to the same one instead of from S3 to S3."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.schema import Schema
from pipeline.settings import Settings
from pipeline.transform import Transform
from split.choose import choose_by_sample
from split.labelled import read_rows
from split.plan import Plan
from split.write import write_part
from tools.benchmarks.our_preprocess import chunks, write


def choose(folder: str) -> None:
    """Choose by cross-validation, and write the transform and how long it took."""
    began = time.perf_counter()
    plan, state = planned(Path(folder))
    choice, transform = choose_by_sample(plan, state, read(Path(folder) / "sample.json"))
    write(Path(folder) / "transform.json", transform.as_dict())
    seconds = time.perf_counter() - began
    write(Path(folder) / "choice.json", choice.as_dict() | {"seconds": seconds})


def split(folder: str) -> None:
    """Write train and test, a quarter held out however many rows there are."""
    into = Path(folder)
    plan, state = planned(into)
    while state["step"] == "count":
        rows = read_rows(plan.schema, chunks(into / "data.csv"))
        state = plan.narrow(state, plan.count(state, rows))
    transform = Transform.from_dict(read(into / "transform.json"))
    choice = read(into / "choice.json")
    with ExitStack() as files:
        sinks = [
            files.enter_context((into / name).open("wb"))
            for name in ("train.pbr", "test.pbr", "held_out.csv", "train.u64", "held_out.u64")
        ]
        written = write_part(plan, state, 0, chunks(into / "data.csv"), transform, sinks)
    write(into / "split.json", plan.summary([written], choice["k"]))


def planned(folder: Path) -> tuple[Plan, dict[str, Any]]:
    """Return the plan of a split, and what is known before any row."""
    settings = Settings.from_dict(read(folder / "settings.json"))
    schema = Schema.from_dict(read(folder / "schema.json"))
    counts = read(folder / "counts.json")["classes"]
    plan = Plan(schema, replace(settings, max_test_rows=10**9), [counts])
    return plan, plan.begin()


def read(path: Path) -> Any:
    """Return what a JSON file holds."""
    return json.loads(path.read_text())
