"""Clean rows through Split's own functions, without AWS."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.schema import FEATURE_ROLES, Column, Role, Schema
from pipeline.settings import Settings
from pipeline.transform import Transform
from split.choose import Choice, choose_by_sample
from split.labelled import read_rows
from split.plan import Plan, State
from split.sample import training_sample
from split.write import write_part
from tests.records import rows_in

CHOSEN = {"standardisation": "none", "k": 1, "weights": "uniform", "metric": "L2"}
"""Settings that leave cross-validation nothing to choose, which would take a while."""


@dataclass(frozen=True)
class Split:
    """The rows on either side, and how they came there.

    `train` and `test` are the rows that SageMaker reads, the class first; `held_out` are lines of
    the file. `records` are those to train on.
    """

    records: bytes
    train: list[tuple[float, ...]]
    test: list[tuple[float, ...]]
    held_out: list[str]
    train_fingerprints: list[int]
    test_fingerprints: list[int]
    sample: dict[str, Any]
    summary: dict[str, Any]
    choice: Choice
    transform: Transform
    passes: int

    @property
    def trained(self) -> np.ndarray:
        """The rows to train on as numbers, the class first."""
        return np.array(self.train, np.float32)

    @property
    def tested(self) -> np.ndarray:
        return np.array(self.test, np.float32)

    @property
    def everything(self) -> tuple[Any, ...]:
        """What must be the same however a file is cut."""
        written = self.trained.tolist(), self.tested.tolist(), self.held_out
        fingerprints = self.train_fingerprints, self.test_fingerprints
        told = self.sample, self.summary, self.choice, self.transform
        return *written, *fingerprints, *told


def fields_of(line: str, delimiter: str = ",") -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))


def split(
    rows: Sequence[str],
    *,
    columns: Mapping[str, Role | Column] | None = None,
    label: str = "label",
    classes: Sequence[str] = (),
    spellings: Mapping[str, str] | None = None,
    delimiter: str = ",",
    newline: str = "\n",
    parts: int = 1,
    chunk: int = 8 << 20,
    sampled: int = 8_000,
    **asked: Any,
) -> Split:
    """Split rows as they are in a file, in one part or several, as the functions do.

    What the steps of a split tell each other goes through JSON and numpy's files on the way, as it
    does when each step is an invocation of its own.

    Parameters
    ----------
    columns
        The file's; otherwise a label and numbers named x1, x2 and so on.
    classes
        All that have rows to split; otherwise all labels that there are.
    sampled
        Rows of the sample, the first ones.
    asked
        Settings.
    """
    width = len(fields_of(rows[0], delimiter))
    columns = columns or {label: Role.LABEL} | {f"x{n}": Role.NUMBER for n in range(1, width)}
    told = tuple(
        each if isinstance(each, Column) else Column(name, each, "")
        for name, each in columns.items()
    )
    place = [each.role for each in told].index(Role.LABEL)
    labels = [fields_of(row, delimiter)[place].strip() for row in rows]
    labels = [(spellings or {}).get(each, each) for each in labels]
    names = tuple(classes) or tuple(sorted(set(labels)))
    features = tuple(each.name for each in told if each.role in FEATURE_ROLES)
    schema = Schema(told[place].name, features, names, spellings or {}, told, delimiter)
    schema = Schema.from_dict(json.loads(json.dumps(schema.as_dict())))
    bounds = [len(rows) * part // parts for part in range(parts + 1)]
    texts = ["".join(row + newline for row in rows[a:b]).encode() for a, b in pairwise(bounds)]
    counts = [[labels[a:b].count(name) for name in names] for a, b in pairwise(bounds)]
    plan = Plan(schema, Settings.from_dict({**CHOSEN, **asked}), counts)

    def chunks(part: int) -> Iterator[bytes]:
        text = texts[part]
        return (text[at : at + chunk] for at in range(0, len(text), chunk))

    def passed_on(state: State) -> State:
        return dict(json.loads(json.dumps(state)))

    state, passes = passed_on(plan.begin()), 0
    while state["step"] == "count":
        total = sum(plan.count(state, read_rows(schema, chunks(part))) for part in range(parts))
        state, passes = passed_on(plan.narrow(state, total)), passes + 1
    sample = [
        {"line": number + 2, "label": labels[number], "place": before, "text": rows[number]}
        for number, before in enumerate(places_of(labels))
    ]
    choice, transform = choose_by_sample(plan, state, sample[:sampled])
    transform = Transform.from_dict(json.loads(json.dumps(transform.as_dict())))
    sides = [[io.BytesIO() for _ in range(5)] for _ in range(parts)]
    written = [
        through_a_file(write_part(plan, state, part, chunks(part), transform, sides[part]))
        for part in range(parts)
    ]
    train, test, held_out, *fingerprints = (
        b"".join(of_part[side].getvalue() for of_part in sides) for side in range(5)
    )
    summary = plan.summary(written, choice.chosen.k)
    return Split(
        train,
        rows_in(train),
        rows_in(test),
        held_out.decode().splitlines(),
        *(np.frombuffer(each, "<u8").tolist() for each in fingerprints),
        training_sample(plan, state, sample[:sampled], transform),
        summary,
        choice,
        transform,
        passes,
    )


def places_of(labels: Sequence[str]) -> list[int]:
    """How many rows of its class go before each."""
    seen: dict[str, int] = {}
    places = []
    for label in labels:
        places.append(seen.get(label, 0))
        seen[label] = places[-1] + 1
    return places


def through_a_file(arrays: dict[str, Any]) -> dict[str, Any]:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    content.seek(0)
    with np.load(content, allow_pickle=False) as loaded:
        return dict(loaded)
