"""Split of a large file: one task of ``prepare_large_file`` at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import layout
from pipeline.executions import RUNS_BUCKET, s3, train
from pipeline.large import DONE, LargeFile, handler_of
from pipeline.objects import read_json
from pipeline.transform import Transform
from split.folder import WRITTEN, SplitFolder
from split.plan import State


class PartsOfSplit(LargeFile):
    """The steps of a split: count, as often as need be, then write."""

    def __init__(self, run: str, deadline: float) -> None:
        super().__init__(run, deadline)
        parts = read_json(s3, RUNS_BUCKET, self.folder / layout.PARTS)["parts"]
        self._split = SplitFolder(s3, RUNS_BUCKET, run, parts, deadline)
        self._plan = self._split.plan

    def next(self, done: str, facts: dict[str, Any]) -> tuple[str, int]:
        """Return the step after one; after the last, training starts."""
        if not done:
            return self._begin_step(self._plan.begin(), "count-0")
        found = self._found(done)
        if done == "write":
            choice, width = self._split.read(layout.CHOICE), self._transform().feature_dim
            result = self._split.finish(found, choice, width)
            started = {name: facts[name] for name in ("dataset", "dropped")}
            train(self.run, started, result, self._plan.settings)
            return DONE, 0
        counts = sum((each["counts"] for each in found), np.zeros((), np.int64))
        state = self._plan.narrow(self.read(done), counts)
        return self._begin_step(state, f"count-{int(done.removeprefix('count-')) + 1}")

    def work(self, step: str, part: int) -> bytes:
        """Count the rows of a part, or write them to their sides."""
        if step != "write":
            return _packed({"counts": self._split.count(self.read(step), part)})
        names = (layout.TRAIN_PART, layout.TEST_PART, *WRITTEN)
        keys = [self.folder.part(name, part) for name in names]
        state, transform = self.read(step), self._transform()
        return _packed(self._split.write_part(state, part, transform, keys))

    def _begin_step(self, state: State, count: str) -> tuple[str, int]:
        """Write what the next step begins with; the name for it is `count`, if it counts."""
        step = count if state["step"] == "count" else "write"
        self.write(step, state)
        if step == "write":
            self._split.choose(state)
        return step, len(self._plan.parts)

    def _transform(self) -> Transform:
        return Transform.from_dict(self._split.read(layout.TRANSFORM))

    def _found(self, step: str) -> Iterator[Mapping[str, NDArray[Any]]]:
        for body in self.found(step, len(self._plan.parts)):
            with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
                yield dict(arrays)


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


handler = handler_of(PartsOfSplit)
