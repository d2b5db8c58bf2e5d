"""A large file, prepared in parts: what the tasks of ``prepare_large_file`` tell each other.

The state machine asks a function what is next, has all parts of that step done at once, and asks
again. What is known stands under ``large/`` in the run's folder: a file a step, and one for each of
its parts. No task reads what it writes itself, so each may be done again.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pipeline.errors import BegunBeforeUpdate, Refusal
from pipeline.executions import RUNS_BUCKET, refuse, s3
from pipeline.handling import deadline_of, logger, metrics, tracer
from pipeline.layout import LARGE, RunFolder
from pipeline.objects import read_ahead, read_json, tagging, write_json

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_AHEAD = 8
"""Parts' answers that are asked for before they are needed; the client has ten connections."""

DONE = "done"
"""The last step: the state machine asks no more."""


class LargeFile(ABC):
    """What one function does of a large file, until a deadline."""

    def __init__(self, run: str, deadline: float) -> None:
        self.run = run
        self.folder = RunFolder(run)
        self.deadline = deadline

    @abstractmethod
    def next(self, done: str, facts: dict[str, Any]) -> tuple[str, int]:
        """Return the step that follows one that all parts have done, and how many parts it has.

        Before the first `done` is an empty text. `facts` are what the state machine began with.
        """

    @abstractmethod
    def work(self, step: str, part: int) -> bytes:
        """Do a part of a step; return what the next step needs of it."""

    def read(self, name: str) -> Any:
        """Return what a step has written."""
        return read_json(s3, RUNS_BUCKET, self.folder / f"{LARGE}/{name}.json")

    def write(self, name: str, content: Any) -> None:
        """Write what later steps need."""
        write_json(s3, RUNS_BUCKET, self.folder / f"{LARGE}/{name}.json", content)

    def keep(self, step: str, part: int) -> None:
        """Do a part of a step, and keep what comes of it for the next; a refusal, too."""
        try:
            body = self.work(step, part)
        except Refusal as refusal:
            body = json.dumps({"refusal": refusal.as_dict()}).encode()
        key = self._key_of(step, part)
        s3.put_object(Bucket=RUNS_BUCKET, Key=key, Body=body, **tagging(key))

    def found(self, step: str, parts: int) -> Iterator[bytes]:
        """Yield what came of the parts of a step, in their order; raise a part's refusal."""

        def read(part: int) -> bytes:
            return s3.get_object(Bucket=RUNS_BUCKET, Key=self._key_of(step, part))["Body"].read()

        for body in read_ahead(read, range(parts), _AHEAD):
            if body.startswith(b'{"refusal"'):
                raise Refusal.from_dict(json.loads(body)["refusal"])
            yield body

    def _key_of(self, step: str, part: int) -> str:
        return self.folder / f"{LARGE}/{step}-{part:05}"


def handler_of(
    kind: Callable[[str, float], LargeFile],
) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return the handler of one function's tasks: what is next, or a part of a step."""

    # What is answered may quote the file: customer data, which no trace should hold.
    @logger.inject_lambda_context(correlation_id_path="run")
    @tracer.capture_lambda_handler(capture_response=False)
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Do a task; a file that is refused starts the execution that reports it."""
        tracer.put_annotation("run", event["run"])
        if "task" in event:
            raise BegunBeforeUpdate
        file = kind(event["run"], deadline_of(context))
        if "part" in event:
            file.keep(event["step"], event["part"])
            return {}
        try:
            step, parts = file.next(event["done"], event["facts"])
        except Refusal as refusal:
            refuse(event["run"], event["facts"], refusal)
            step, parts = DONE, 0
        return {"step": step, "parts": parts}

    answer: Callable[[dict[str, Any], LambdaContext], dict[str, Any]] = handler
    return answer
