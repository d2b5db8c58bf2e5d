"""Clean rows through Split's own functions, without AWS."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from clean_blocks import read_clean_blocks
from duplicates import Duplicates
from pipeline.keys import text_key
from pipeline.schema import Schema
from pipeline.transform import Transform
from steps import State, Task, begin, partial, proceed, transform_of
from write import Sinks, Written, summary, write_part


@dataclass(frozen=True)
class Split:
    """The rows on either side, and how they came there."""

    train: list[str]
    test: list[str]
    originals: list[str]
    summary: dict[str, Any]
    transform: Transform | None
    passes: int


def schema_of(classes: int, features: int, **asked: Any) -> Schema:
    names = tuple(f"x{place}" for place in range(features))
    return Schema("label", names, tuple(f"class {n}" for n in range(classes)), **asked)


def split(
    rows: Sequence[str],
    *,
    keys: Sequence[int] | None = None,
    classes: int = 3,
    parts: int = 1,
    chunk: int = 8 << 20,
    test_fraction: float = 0.25,
    max_test_rows: int = 10**9,
    seed: int = 0,
    neighbours: int = 1,
    **asked: Any,
) -> Split:
    """Split label-first rows, in one part or several, as the functions do.

    What the steps of a split tell each other goes through JSON and numpy's files on the way, as it
    does when each step is an invocation of its own.
    """
    bounds = [len(rows) * part // parts for part in range(parts + 1)]
    texts = [
        "".join(f"{row}\n" for row in rows[start:end]).encode() for start, end in pairwise(bounds)
    ]
    labels = [int(row.partition(",")[0]) for row in rows]
    counts = [
        tuple(np.bincount(labels[start:end], minlength=classes).tolist())
        for start, end in pairwise(bounds)
    ]
    schema = schema_of(classes, rows[0].count(","), **asked)
    task = Task(schema, tuple(counts), test_fraction, max_test_rows, seed)

    def blocks(part: int) -> Any:
        of_part = None
        if keys is not None:
            taken = np.array(keys[bounds[part] : bounds[part + 1]], "<u8").tobytes()
            of_part = (taken[at : at + 24] for at in range(0, len(taken), 24))
        text = texts[part]
        chunks = (text[at : at + chunk] for at in range(0, len(text), chunk))
        return read_clean_blocks(chunks, of_part)

    def passed_on(state: State) -> State:
        return State.from_dict(json.loads(json.dumps(state.as_dict())))

    state, passes = passed_on(begin(task)), 0
    while state.step != "write":
        found = [through_a_file(partial(task, state, part, blocks(part))) for part in range(parts)]
        state, passes = passed_on(proceed(task, state, found)), passes + 1
    sides = [(io.BytesIO(), io.BytesIO(), io.BytesIO()) for _ in range(parts)]
    written = []
    for part in range(parts):
        train, test, originals = sides[part]
        of_part = write_part(task, state, part, blocks(part), Sinks(train, test, originals))
        arrays = through_a_file(of_part.duplicates.arrays())
        written.append(Written(of_part.rows, Duplicates.from_arrays(task.rows, arrays)))
    train, test, originals = (
        b"".join(of_part[side].getvalue() for of_part in sides).decode().splitlines()
        for side in range(3)
    )
    return Split(
        train,
        test,
        originals,
        summary(task, written, neighbours=neighbours),
        transform_of(task, state),
        passes,
    )


def through_a_file(arrays: dict[str, Any]) -> dict[str, Any]:
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    content.seek(0)
    with np.load(content, allow_pickle=False) as loaded:
        return dict(loaded)


def group_keys(groups: Sequence[object]) -> list[int]:
    return [text_key(str(group)) for group in groups]
