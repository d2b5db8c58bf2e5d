"""Split of a large file, in parts: one invocation a task of ``prepare_large_file``.

What tasks tell each other stands under ``large/`` in the run's folder: ``state-N`` is what is known
after N passes over the parts, ``found-N`` what they find in the next. So a task reads nothing that
it writes itself, and may be done again.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from clean_blocks import CleanBlock, read_clean_blocks
from duplicates import Duplicates
from pipeline import run as layout
from pipeline.byte_ranges import find_object, read_ranges
from pipeline.errors import Refusal
from pipeline.objects import CsvWriter, read_each, read_json, write_json
from pipeline.registry import Status, record_status
from pipeline.schema import Schema
from steps import Partial, State, Task, begin, partial, proceed, transform_of
from write import Sinks, Written, summary, write_part

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUNS_BUCKET = os.environ["RUNS_BUCKET"]
TEST_FRACTION = float(os.environ["TEST_FRACTION"])
MAX_TEST_ROWS = int(os.environ["MAX_TEST_ROWS"])
SEED = int(os.environ["SEED"])
NEIGHBOURS = int(os.environ["NEIGHBOURS"])
SPARE_SECONDS = 30
"""Left of the function's time for refusing a part that takes too long."""

logger = Logger()
tracer = Tracer()
metrics = Metrics()
s3 = boto3.client("s3")
registry = boto3.resource("dynamodb").Table(os.environ["REGISTRY_TABLE"])


# A refusal may quote the file, which is nothing for a log or a trace: its code says enough there.
@logger.inject_lambda_context(correlation_id_path="run")
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do a task; a refusal is among its answers."""
    tracer.put_annotation("run", event["run"])
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    split = LargeSplit(event["run"], deadline)
    task, part = event["task"], event.get("part")
    if part is not None:
        {"look": split.look, "write": split.write}[task](part, event["passes"])
        return {}
    of_file: dict[str, Callable[[], dict[str, Any]]] = {
        "begin": split.begin,
        "proceed": lambda: split.proceed(event["passes"]),
        "finish": lambda: split.finish(event["passes"]),
    }
    try:
        return of_file[task]()
    except Refusal as refusal:
        logger.warning("refused", extra={"code": refusal.code})
        metrics.add_metric("Refusals", MetricUnit.Count, 1)
        return {"refusal": refusal.as_dict()}


class LargeSplit:
    """The split of a run whose rows are in parts."""

    def __init__(self, run: str, deadline: float) -> None:
        self._run = run
        self._deadline = deadline
        self._folder = layout.RunFolder(run)
        schema = Schema.from_dict(read_json(s3, RUNS_BUCKET, self._folder / layout.SCHEMA))
        self._parts = read_json(s3, RUNS_BUCKET, self._folder / layout.PARTS)["parts"]
        classes = tuple(tuple(part["classes"]) for part in self._parts)
        self._task = Task(schema, classes, TEST_FRACTION, MAX_TEST_ROWS, SEED)

    def begin(self) -> dict[str, Any]:
        """Begin; return what the parts are to look for."""
        return self._keep(begin(self._task), 0)

    def look(self, part: int, passes: int) -> None:
        """Look through a part, after so many passes, for what the present step needs."""
        name = f"found-{passes}"
        with self._keeping_refusal(name, part):
            found = partial(self._task, self._state(passes), part, self._blocks(part))
            self._write_arrays(name, part, found)

    def proceed(self, passes: int) -> dict[str, Any]:
        """Put together what the parts have found; return what they are to look for next."""
        found = _EachTime(lambda: self._arrays_of_parts(f"found-{passes}"))
        return self._keep(proceed(self._task, self._state(passes), found), passes + 1)

    def write(self, part: int, passes: int) -> None:
        """Write the rows of a part to their sides."""
        state = self._state(passes)
        has_originals = self._task.schema.transforms
        with self._keeping_refusal("written", part), CsvWriter(s3, RUNS_BUCKET) as writer:
            sinks = Sinks(
                writer.open_bytes(self._folder.part(layout.TRAIN_PART, part)),
                writer.open_bytes(self._folder.part(layout.TEST_PART, part)),
                writer.open_bytes(self._folder.part(layout.HELD_OUT, part))
                if has_originals
                else None,
            )
            written = write_part(self._task, state, part, self._blocks(part), sinks)
            arrays = {"sides": written.rows, **written.duplicates.arrays()}
            self._write_arrays("written", part, arrays)

    def finish(self, passes: int) -> dict[str, Any]:
        """Write how the rows were split; training may start.

        Raises
        ------
        Refusal
            The rows can't be put on two sides as the dataset's schema asks, or not in time, or are
            fewer than the neighbours that vote.
        """
        state = self._state(passes)
        if transform := transform_of(self._task, state):
            content = transform.as_dict(self._task.schema.features)
            write_json(s3, RUNS_BUCKET, self._folder / layout.TRANSFORM, content)
        result = summary(self._task, self._written(), neighbours=NEIGHBOURS)
        write_json(s3, RUNS_BUCKET, self._folder / layout.SPLIT, result)
        for channel, count in result["rows"].items():
            metrics.add_metric(f"{channel.title()}Rows", MetricUnit.Count, count)
        record_status(registry, s3, RUNS_BUCKET, self._run, Status.TRAINING)
        logger.info("split", extra={"rows": result["rows"]})
        return {"rows": result["rows"]}

    def _written(self) -> Iterator[Written]:
        for arrays in self._arrays_of_parts("written"):
            yield Written(arrays["sides"], Duplicates.from_arrays(self._task.rows, arrays))

    def _blocks(self, part: int) -> Iterator[CleanBlock]:
        def chunks(key: str) -> Iterator[bytes]:
            return read_ranges(s3, find_object(s3, RUNS_BUCKET, key))

        keys = self._parts[part]["keys"]
        blocks = read_clean_blocks(
            chunks(self._parts[part]["data"]), chunks(keys) if keys else None
        )
        for block in blocks:
            if time.monotonic() > self._deadline:
                raise Refusal(
                    "OutOfTime",
                    "A part of the file's rows takes longer to split than there is time.",
                    "Drop it again when the parameter LargeFilePartMegabytes is smaller: a part is "
                    "then, too.",
                )
            yield block

    @contextmanager
    def _keeping_refusal(self, name: str, part: int) -> Iterator[None]:
        """Keep a part's refusal for the task that puts the parts together."""
        try:
            yield
        except Refusal as refusal:
            logger.warning("refused", extra={"code": refusal.code, "part": part})
            content = np.frombuffer(json.dumps(refusal.as_dict()).encode(), np.uint8)
            self._write_arrays(name, part, {"refusal": content})

    def _state(self, passes: int) -> State:
        return State.from_dict(read_json(s3, RUNS_BUCKET, self._state_key(passes)))

    def _keep(self, state: State, passes: int) -> dict[str, Any]:
        write_json(s3, RUNS_BUCKET, self._state_key(passes), state.as_dict())
        return {"step": state.step, "passes": passes}

    def _state_key(self, passes: int) -> str:
        return self._folder / f"{layout.LARGE}/state-{passes}.json"

    def _arrays_of_parts(self, name: str) -> Iterator[Partial]:
        keys = [self._arrays_key(name, part) for part in range(len(self._parts))]
        for body in read_each(s3, RUNS_BUCKET, keys):
            with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
                if "refusal" in arrays:
                    raise Refusal.from_dict(json.loads(arrays["refusal"].tobytes()))
                yield dict(arrays)

    def _arrays_key(self, name: str, part: int) -> str:
        return self._folder.part(f"{layout.LARGE}/{name}.npz", part)

    def _write_arrays(self, name: str, part: int, arrays: Partial) -> None:
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **arrays)
        s3.put_object(
            Bucket=RUNS_BUCKET,
            Key=self._arrays_key(name, part),
            Body=content.getvalue(),
        )


class _EachTime:
    """Is read anew each time that it is gone through."""

    def __init__(self, read: Callable[[], Iterator[Partial]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[Partial]:
        return self._read()
