"""What must be known of all rows before any can be written, learned in passes over the parts.

Each pass asks every part for a partial result and puts the results together; parts may be asked
one after the other, or all at once in different places. Every step's state is plain data.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clean_blocks import CleanBlock
from groups import Groups
from held_out_counts import held_out_counts, held_out_total
from lowest import Cut, Search
from pipeline.moments import Moments
from pipeline.schema import Schema
from pipeline.transform import FeatureTransform, Transform
from sides import ByClass, ByGroup, ByText, ByTime, Draw, Sides
from transform_rows import TrainingRows, values_of

DRAWN_AT_ONCE = 1 << 28
"""Rows whose random numbers are drawn before the first pass, in some seconds; those of more rows
are drawn by the parts."""

Partial = dict[str, NDArray[Any]]
Blocks = Iterable[CleanBlock]


@dataclass(frozen=True)
class Task:
    """What is to be split, and how.

    `parts` gives the rows of each class in each part, in the file's order.
    """

    schema: Schema
    parts: tuple[tuple[int, ...], ...]
    test_fraction: float
    max_test_rows: int
    seed: int

    @property
    def class_counts(self) -> list[int]:
        """Rows of each class."""
        return [sum(of_class) for of_class in zip(*self.parts, strict=True)]

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(self.class_counts)

    @property
    def wanted(self) -> list[int]:
        """Rows of each class that a stratified split holds out."""
        return held_out_counts(self.class_counts, self.test_fraction, self.max_test_rows)

    @property
    def wanted_in_all(self) -> int:
        """Rows that a split by time holds out."""
        return held_out_total(self.rows, self.test_fraction, self.max_test_rows)

    @property
    def by(self) -> str:
        """What the split goes by."""
        if self.schema.group:
            return "group"
        if self.schema.time:
            return "time"
        return "text" if self.schema.duplicates == "same_side" else "class"

    def before(self, part: int) -> list[int]:
        """Return the rows of each class in the parts before one."""
        return [sum(of_class[:part]) for of_class in zip(*self.parts, strict=True)]

    @property
    def draw(self) -> Draw:
        """The random numbers of the rows."""
        return Draw(self.seed, len(self.class_counts))


@dataclass(frozen=True)
class State:
    """How far the passes have got: `step` is what the next one is for.

    `cuts` and `groups` say which rows are held out, `equal_before` how many rows of the parts
    before each have just the key of the cut.
    """

    step: str
    search: dict[str, Any] | None = None
    cuts: tuple[Cut, ...] = ()
    equal_before: tuple[int, ...] = ()
    groups: str = ""
    moments: dict[str, Any] = field(default_factory=dict)
    transform: tuple[FeatureTransform, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the state that `as_dict` was made from."""
        return cls(
            **fields
            | {
                "cuts": tuple(Cut(**cut) for cut in fields["cuts"]),
                "equal_before": tuple(fields["equal_before"]),
                "transform": tuple(FeatureTransform(**each) for each in fields["transform"]),
            }
        )


def begin(task: Task) -> State:
    """Return the state before the first pass; a split by class seldom needs one of its own."""
    match task.by:
        case "group":
            return State("groups")
        case "time":
            return State("cut", search=Search([task.rows - task.wanted_in_all]).as_dict())
        case "text":
            return State("cut", search=Search(task.wanted).as_dict())
    search = Search(task.wanted, of=task.class_counts)
    if task.rows > DRAWN_AT_ONCE:
        return State("cut", search=search.as_dict())
    while not search.narrow(search.counts(task.draw.all_of(task.class_counts))):
        pass
    return _then_learn(task, State("cut", cuts=tuple(search.cuts())))


def partial(task: Task, state: State, part: int, blocks: Blocks) -> Partial:
    """Return what a part has to say for the next step."""
    match state.step:
        case "groups":
            groups = Groups()
            for block in blocks:
                groups.add(block.keys, block.labels)
            return groups.arrays()
        case "cut":
            search = Search.from_dict(_given(state.search))
            if task.by == "class":
                return {
                    "counts": search.counts(task.draw.all_of(task.parts[part], task.before(part)))
                }
            return {"counts": search.counts(_keys(task, block) for block in blocks)}
        case "learn":
            rows = TrainingRows(len(task.schema.features))
            sides = sides_of(task, state, part)
            for block in blocks:
                rows.add(block, sides.held_out(block))
            return {"moments": _packed(rows.moments.as_dict())}
        case "medians":
            search = Search.from_dict(_given(state.search))
            sides = sides_of(task, state, part)
            features = len(task.schema.features)
            numbers = (_numbers(values_of(b, features), ~sides.held_out(b)) for b in blocks)
            return {"counts": search.counts(numbers)}
    raise ValueError(f"the step {state.step} asks parts for nothing")


def proceed(task: Task, state: State, partials: Iterable[Partial]) -> State:
    """Return the state after a pass, from what the parts have said, in their order.

    `partials` may be gone through twice, and need not be in memory together.
    """
    match state.step:
        case "groups":
            groups = Groups()
            for each in partials:
                groups.merge(each)
            chosen = groups.choose(task.wanted, task.seed)
            encoded = base64.b64encode(chosen.tobytes()).decode()
            return _then_learn(task, replace(state, groups=encoded))
        case "cut":
            search = Search.from_dict(_given(state.search))
            if not search.narrow(_sum(each["counts"] for each in partials)):
                return replace(state, search=search.as_dict())
            of_text = task.by == "text"
            cuts = search.cuts_between_keys(task.class_counts) if of_text else search.cuts()
            equal = [0]
            if task.by == "time":
                equal = [int(each["counts"][0, search.last_bucket(0)]) for each in partials]
            return _then_learn(
                task,
                replace(
                    state,
                    search=None,
                    cuts=tuple(cuts),
                    equal_before=tuple(np.cumsum([0, *equal[:-1]]).tolist()),
                ),
            )
        case "learn":
            rows = TrainingRows(len(task.schema.features))
            for each in partials:
                rows.moments.merge(Moments.from_dict(_unpacked(each["moments"])))
            if task.schema.missing != "median":
                transform = rows.transform(task.schema, ())
                return State(**_final(state), transform=transform.features)
            middles = [
                place for n in rows.moments.count for place in ((max(n, 1) - 1) // 2, n // 2)
            ]
            search = Search(middles, exact=True)
            return replace(
                state, step="medians", search=search.as_dict(), moments=rows.moments.as_dict()
            )
        case "medians":
            search = Search.from_dict(_given(state.search))
            if not search.narrow(_sum(each["counts"] for each in partials)):
                return replace(state, search=search.as_dict())
            rows = TrainingRows(len(task.schema.features))
            rows.moments = Moments.from_dict(state.moments)
            keys = np.array([cut.key for cut in search.cuts()], np.uint64)
            low, high = _numbers_of(keys).reshape(-1, 2).T
            medians = np.where(np.array(rows.moments.count) > 0, low + (high - low) / 2, 0.0)
            transform = rows.transform(task.schema, medians.tolist())
            return State(**_final(state), transform=transform.features)
    raise ValueError(f"the step {state.step} is the last")


def sides_of(task: Task, state: State, part: int) -> Sides:
    """Return what tells which rows of a part are held out."""
    match task.by:
        case "group":
            return ByGroup(np.frombuffer(base64.b64decode(state.groups), np.uint64))
        case "time":
            return ByTime(state.cuts[0], state.equal_before[part])
        case "text":
            return ByText(task.draw, state.cuts)
    return ByClass(task.draw, state.cuts, task.before(part))


def transform_of(task: Task, state: State) -> Transform | None:
    """Return what is done to the features before they are written, if anything."""
    return Transform(state.transform) if task.schema.transforms else None


def _then_learn(task: Task, state: State) -> State:
    return replace(state, step="learn" if task.schema.transforms else "write", search=None)


def _final(state: State) -> dict[str, Any]:
    return {
        "step": "write",
        "cuts": state.cuts,
        "equal_before": state.equal_before,
        "groups": state.groups,
    }


def _keys(task: Task, block: CleanBlock) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    if task.by == "time":
        return np.zeros(len(block.keys), np.intp), block.keys
    return block.labels, task.draw.of_texts(block.labels, block.hashes())


def _numbers(
    values: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """Return keys that sort as the values do, twice: for the lower and the upper middle.

    The strata are the features, two of each. Source of the keys: `pipeline.keys.number_key`.
    """
    features = np.arange(len(values))[:, None]
    strata = np.broadcast_to(2 * features, values.shape)[:, chosen]
    values = values[:, chosen]
    present = ~np.isnan(values)
    bits = (values[present] + 0.0).view(np.uint64)
    sign = np.uint64(1 << 63)
    keys = np.where(bits & sign, ~bits, bits | sign)
    low = strata[present]
    return np.concatenate([low, low + 1]), np.concatenate([keys, keys])


def _numbers_of(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the numbers that keys were made of."""
    sign = np.uint64(1 << 63)
    return np.where(keys & sign, keys ^ sign, ~keys).view(np.float64)


def _sum(counts: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    return functools.reduce(np.add, counts)


def _given(search: dict[str, Any] | None) -> dict[str, Any]:
    if search is None:
        raise ValueError("there is no search in this step")
    return search


def _packed(content: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


def _unpacked(packed: NDArray[np.uint8]) -> Any:
    return json.loads(packed.tobytes())
