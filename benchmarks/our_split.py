"""Split's own functions, from a file to files instead of from S3 to S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from clean_blocks import CleanBlock, read_clean_blocks
from pipeline.byte_ranges import RANGE
from pipeline.schema import Schema
from steps import Task, begin, partial, proceed
from write import Sinks, summary, write_part


def split(folder: str, standardisation: str = "none") -> None:
    """Write train, test and how they came about, a quarter held out however many rows there are."""
    into = Path(folder)
    fields = json.loads((into / "schema.json").read_text()) | {"standardisation": standardisation}
    counts = json.loads((into / "profile.json").read_text())["classes"]
    schema = Schema.from_dict(fields)
    task = Task(schema, (tuple(counts[name] for name in schema.classes),), 0.25, 10**9, 0)
    state = begin(task)
    while state.step != "write":
        state = proceed(task, state, [partial(task, state, 0, blocks(into / "data.csv"))])
    with ExitStack() as files:
        train, test, originals = (
            files.enter_context((into / name).open("wb"))
            for name in ("train.csv", "test.csv", "held_out.csv")
        )
        sinks = Sinks(train, test, originals if schema.transforms else None)
        result = summary(
            task, [write_part(task, state, 0, blocks(into / "data.csv"), sinks)], neighbours=5
        )
    (into / "split.json").write_text(json.dumps(result))


def blocks(data: Path) -> Iterator[CleanBlock]:
    """Yield the clean rows of a file."""

    def chunks() -> Iterator[bytes]:
        with data.open("rb") as file:
            while chunk := file.read(RANGE):
                yield chunk

    return read_clean_blocks(chunks())
