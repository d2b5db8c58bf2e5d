"""A run's folder, as the split of its rows reads and writes it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.algorithm import hyperparameters, sizes_for
from pipeline.byte_ranges import find_object, read_ranges
from pipeline.errors import OutOfTime
from pipeline.handling import read_environment
from pipeline.layout import (
    CHOICE,
    FINGERPRINTS,
    HELD_OUT,
    HELD_OUT_FINGERPRINTS,
    SAMPLE,
    SCHEMA,
    SETTINGS,
    SPLIT,
    TRAINING_SAMPLE,
    TRANSFORM,
    RunFolder,
)
from pipeline.objects import ObjectWriter, read_json, write_json
from pipeline.schema import Schema
from pipeline.settings import Settings
from pipeline.transform import Transform
from split.choose import Choice, choose_by_sample
from split.labelled import read_rows
from split.plan import Plan, State
from split.sample import training_sample
from split.write import write_part

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Environment:
    """What the function is told besides: the memory of an endpoint and of the training job.

    That of a serverless endpoint, of one on an instance, and of the training instance.
    """

    memory_sizes: list[str]


environment = read_environment(Environment)

WRITTEN = (HELD_OUT, FINGERPRINTS, HELD_OUT_FINGERPRINTS)
"""What is written of the rows besides the records, or of a part of them."""


@dataclass(frozen=True)
class SplitFolder:
    """A run's folder.

    The manifest lists the `parts` of the clean rows. They are read until the `deadline`, in seconds
    of `time.monotonic`.
    """

    s3: S3Client
    bucket: str
    run: str
    parts: Sequence[Mapping[str, Any]]
    deadline: float

    def read(self, name: str) -> Any:
        """Return what a JSON file holds."""
        return read_json(self.s3, self.bucket, RunFolder(self.run) / name)

    def write(self, name: str, content: Any, indent: int | None = 2) -> None:
        """Write a JSON file."""
        write_json(self.s3, self.bucket, RunFolder(self.run) / name, content, indent)

    @cached_property
    def plan(self) -> Plan:
        """The plan of the split."""
        schema, settings = Schema.from_dict(self.read(SCHEMA)), self.read(SETTINGS)
        counts = [part["classes"] for part in self.parts]
        # A class of earlier files that has a single row in this one has none to split: its row is
        # in the clean rows, but set aside. No class has an empty name.
        rows = zip(schema.classes, np.sum(counts, axis=0), strict=True)
        unused = {name: "" for name, count in rows if not count}
        schema = replace(schema, spellings={**schema.spellings, **unused})
        return Plan(schema, Settings.from_dict(settings), counts)

    def count(self, state: State, part: int) -> NDArray[np.int64]:
        """Return what a part counts for the next state."""
        return self.plan.count(state, read_rows(self.plan.schema, self._chunks(part)))

    def choose(self, state: State) -> tuple[Choice, Transform]:
        """Write what cross-validation chooses, and the transform that it is; return both.

        Some training rows are written too, as they were and as the model sees them.
        """
        sample = self.read(SAMPLE)["rows"]
        choice, transform = choose_by_sample(self.plan, state, sample)
        self.write(TRANSFORM, transform.as_dict())
        self.write(CHOICE, choice.as_dict())
        shown = training_sample(self.plan, state, sample, transform)
        self.write(TRAINING_SAMPLE, shown, indent=None)
        return choice, transform

    def write_part(
        self, state: State, part: int, transform: Transform, keys: Iterable[str]
    ) -> dict[str, NDArray[Any]]:
        """Write the rows of a part to their sides; return what `finish` needs.

        The keys are those of what `split.write.write_part` writes.
        """
        with ObjectWriter(self.s3, self.bucket) as writer:
            sinks = [writer.open_bytes(key) for key in keys]
            return write_part(self.plan, state, part, self._chunks(part), transform, sinks)

    def finish(
        self,
        written: Iterable[Mapping[str, NDArray[Any]]],
        choice: Mapping[str, Any],
        feature_dim: int,
    ) -> dict[str, Any]:
        """Write how the rows were split, with the hyperparameters to train with; return it."""
        result = self.plan.summary(written, choice["k"])
        rows, settings = result["rows"]["train"], self.plan.settings
        sizes = sizes_for(settings.endpoint_kind, *environment.memory_sizes)
        result["hyperparameters"] = hyperparameters(choice, feature_dim, rows, settings, sizes)
        self.write(SPLIT, result)
        return result

    def _chunks(self, part: int) -> Iterator[bytes]:
        key = self.parts[part]["data"]
        for chunk in read_ranges(self.s3, find_object(self.s3, self.bucket, key)):
            if time.monotonic() > self.deadline:
                raise OutOfTime
            yield chunk
