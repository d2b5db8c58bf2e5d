"""A file through Preprocess's own functions, without AWS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

import blocks
from classes import Classes, check_classes
from dataset_schema import DatasetSchema
from pipeline.errors import Refusal
from pipeline.schema import Schema
from prepare import Table, open_table, run_schema, survey_table
from row_profile import Profile
from rows import Reject
from survey import CleanRows
from text_stream import TextStream


@dataclass(frozen=True)
class Prepared:
    """What became of a file."""

    clean: str
    rejects: list[Reject]
    profile: Profile
    schema: Schema
    encoding: str
    keys: list[int]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        return [(reject.line, reject.reason) for reject in self.rejects]

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Class and features of each clean row."""
        rows = [line.split(",", 1) for line in self.clean.splitlines()]
        return [(self.schema.classes[int(integer)], features) for integer, features in rows]

    def as_dict(self) -> dict[str, Any]:
        return self.profile.as_dict(self.schema.classes)


def prepared(
    content: bytes | str,
    *,
    schema: DatasetSchema | None = None,
    known: Sequence[str] = (),
    max_rejected_fraction: float = 0.5,
    gzip: bool = False,
    chunk: int = 8 << 20,
    block: int = blocks.BLOCK,
    prove: bool = True,
) -> Prepared:
    """Prepare a file as the function does: one pass, and another if a class came up late.

    Parameters
    ----------
    chunk
        Bytes that are read at a time.
    block
        Bytes that are looked at together.
    prove
        Whether rows may be read many at a time.
    """
    data = content.encode() if isinstance(content, str) else content
    schema = schema or DatasetSchema()
    names = list(dict.fromkeys([*known, *schema.classes]))

    def survey(
        classes: Classes,
    ) -> tuple[TextStream, Table, Profile, list[CleanRows], list[Reject]]:
        raw = (data[start : start + chunk] for start in range(0, len(data), chunk))
        stream = TextStream(raw, named_gzip=gzip, encoding=schema.encoding)
        table = open_table(stream, schema).table
        rejects: list[Reject] = []
        rows: list[CleanRows] = []
        profile = survey_table(
            table,
            schema,
            classes,
            size=len(data),
            set_aside=rejects.append,
            write=rows.append,
            prove=prove,
        )
        return stream, table, profile, rows, rejects

    classes = Classes(names)
    with patch.object(blocks, "BLOCK", block):
        stream, table, profile, rows, rejects = survey(classes)
        label = table.columns.label
        profile.check(label, max_rejected_fraction=max_rejected_fraction)
        check_classes(classes.in_order(), label)
        every = classes.in_order()
        if not classes.are_in_order():
            _, _, _, rows, _ = survey(Classes(every))
    return Prepared(
        clean=b"".join(piece for part in rows for piece in part.text).decode(),
        rejects=rejects,
        profile=profile,
        schema=run_schema(table.columns, schema, every),
        encoding=stream.encoding,
        keys=np.concatenate([part.keys for part in rows]).tolist() if rows else [],
    )


def refusal_of(content: bytes | str, **options: Any) -> Refusal:
    """Return why a file is refused."""
    try:
        prepared(content, **options)
    except Refusal as refusal:
        return refusal
    raise AssertionError("the file was not refused")
