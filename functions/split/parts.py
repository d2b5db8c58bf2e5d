"""Split of a large file: one task of ``prepare_large_file`` at a time."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from aws_lambda_powertools.metrics import MetricUnit
from numpy.typing import NDArray

from pipeline import run as layout
from pipeline.errors import Refusal
from pipeline.executions import start_refused_run
from pipeline.large import LargeFile
from pipeline.objects import CsvWriter, read_json
from pipeline.transform import Transform
from split.app import (
    RUNS_BUCKET,
    SPARE_SECONDS,
    STATE_MACHINE_ARN,
    choose_for,
    chunks,
    finish,
    has_missing,
    logger,
    metrics,
    plan_of,
    s3,
    sfn,
    tracer,
    train,
)
from split.plan import Plan, State, merged
from split.rows import Reader
from split.split import write_part

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


# A refusal may quote the file: customer data, which no log or trace should hold.
@logger.inject_lambda_context(correlation_id_path="run")
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do a task; a file that is refused starts the execution that reports it."""
    tracer.put_annotation("run", event["run"])
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    try:
        return PartsOfSplit(s3, RUNS_BUCKET, event["run"], deadline).do(event)
    except Refusal as refusal:
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        start_refused_run(sfn, STATE_MACHINE_ARN, event["run"], event["facts"], refusal)
        return {"step": "done"}


class PartsOfSplit(LargeFile):
    """The steps of a split: count, as often as need be, then write."""

    def next(self, done: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the step after one; after the last, training starts."""
        plan = self._plan()
        if done == "write":
            return self._finish(plan, facts)
        if not done:
            return self._go_on(plan, plan.begin(), 0)
        passes = int(done.removeprefix("count-"))
        counts = np.zeros((), np.int64)
        for each in self._arrays(done, plan):
            counts = counts + each["counts"]
        return self._go_on(plan, plan.narrow(self.read(f"state-{passes}"), counts), passes + 1)

    def work(self, step: str, part: int) -> bytes:
        """Count the rows of a part, or write them to their sides."""
        plan = self._plan()
        key = self._parts()[part]["data"]
        if step != "write":
            state = self.read(f"state-{step.removeprefix('count-')}")
            rows = Reader(plan.schema).read(chunks(key, self.deadline))
            return _packed(plan.count(state, rows))
        names = (layout.TRAIN_PART, layout.TEST_PART, layout.HELD_OUT)
        with CsvWriter(self.s3, self.bucket) as writer:
            sinks = [writer.open_bytes(self.folder.part(name, part)) for name in names]
            written = write_part(
                plan,
                self.read("state"),
                part,
                chunks(key, self.deadline),
                self._transform(),
                sinks,
                has_missing=has_missing(self.run),
            )
        return _packed(written)

    def _go_on(self, plan: Plan, state: State, passes: int) -> dict[str, Any]:
        parts = list(range(len(plan.parts)))
        if state["step"] == "count":
            self.write(f"state-{passes}", state)
            return {"step": f"count-{passes}", "parts": parts}
        self.write("state", state)
        choose_for(self.run, plan, state)
        return {"step": "write", "parts": parts}

    def _finish(self, plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
        found = self._arrays("write", plan)
        sides, duplicates = merged(found, plan.rows, len(plan.class_counts))
        choice = read_json(self.s3, self.bucket, self.folder / layout.CHOICE)
        result = plan.summary(sides, duplicates, choice["k"])
        result = finish(self.run, plan, result, choice, self._transform().feature_dim)
        train(self.run, {name: facts[name] for name in ("dataset", "dropped")}, result)
        return {"step": "done"}

    def _parts(self) -> Any:
        return read_json(self.s3, self.bucket, self.folder / layout.PARTS)["parts"]

    def _plan(self) -> Plan:
        return plan_of(self.run, self._parts())

    def _transform(self) -> Transform:
        fields = read_json(self.s3, self.bucket, self.folder / layout.TRANSFORM)
        return Transform.from_dict(fields)

    def _arrays(self, step: str, plan: Plan) -> Iterator[dict[str, NDArray[Any]]]:
        for body in self.found(step, len(plan.parts)):
            with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
                yield dict(arrays)


def _packed(arrays: dict[str, NDArray[Any]]) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()
