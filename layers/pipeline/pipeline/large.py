"""A large file, prepared in parts: what the tasks of ``prepare_large_file`` tell each other.

The state machine asks a function what is next, has all parts of that step done at once, and asks
again. What is known stands under ``large/`` in the run's folder: a file a step, and one for each of
its parts. No task reads what it writes itself, so each may be done again.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.errors import Refusal
from pipeline.objects import read_each, read_json, write_json
from pipeline.run import LARGE, RunFolder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class LargeFile(ABC):
    """What one function does of a large file."""

    def __init__(self, s3: S3Client, bucket: str, run: str, deadline: float) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.run = run
        self.folder = RunFolder(run)
        self.deadline = deadline

    @abstractmethod
    def next(self, done: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the step that follows one that all parts have done, and its parts.

        Parameters
        ----------
        done
            The step; an empty text before the first.
        facts
            What the state machine was started with.
        """

    @abstractmethod
    def work(self, step: str, part: int) -> bytes:
        """Do a part of a step; return what the next step needs of it."""

    def do(self, event: dict[str, Any]) -> dict[str, Any]:
        """Do a task of the state machine.

        A refusal of a part is kept for the next step, which refuses for the first one.

        Raises
        ------
        Refusal
            The file can't be used.
        """
        if "part" not in event:
            return self.next(event["done"], event["facts"])
        step, part = event["step"], event["part"]
        try:
            body = self.work(step, part)
        except Refusal as refusal:
            body = json.dumps({"refusal": refusal.as_dict()}).encode()
        self.s3.put_object(Bucket=self.bucket, Key=self._key_of(step, part), Body=body)
        return {}

    def read(self, name: str) -> Any:
        """Return what a step has written."""
        return read_json(self.s3, self.bucket, self.folder / f"{LARGE}/{name}.json")

    def write(self, name: str, content: Any) -> None:
        """Write what later steps need."""
        write_json(self.s3, self.bucket, self.folder / f"{LARGE}/{name}.json", content)

    def found(self, step: str, parts: int) -> Iterator[bytes]:
        """Yield what the parts of a step have returned, in their order.

        Raises
        ------
        Refusal
            A part was refused.
        """
        for body in read_each(
            self.s3, self.bucket, [self._key_of(step, part) for part in range(parts)]
        ):
            if body.startswith(b'{"refusal"'):
                raise Refusal.from_dict(json.loads(body)["refusal"])
            yield body

    def _key_of(self, step: str, part: int) -> str:
        return self.folder.part(f"{LARGE}/{step}", part)
