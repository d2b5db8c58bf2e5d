"""Clean rows, their keys and the rejects, written to the run's folder while the file is read."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classes import Classes
from dataset_schema import DatasetSchema
from pipeline.errors import Refusal
from pipeline.objects import CsvWriter
from prepare import Table, survey_table
from row_profile import Profile
from rows import Reject
from survey import CleanRows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class CleanFiles:
    """The keys under which a file's rows, or those of a part of it, are written."""

    data: str
    keys: str
    rejects: str


def write_clean_files(
    s3: S3Client,
    bucket: str,
    files: CleanFiles,
    table: Table,
    schema: DatasetSchema,
    classes: Classes,
    *,
    size: int,
    deadline: float,
    if_late: str,
) -> tuple[Profile, bool]:
    """Write what a table's rows become; return their profile, and whether the rows are written.

    They are given up, and are to be written by `write_clean_rows` when all classes are known, as
    soon as a class comes up that should have had another one's integer.

    Parameters
    ----------
    size
        Bytes of the whole file.
    deadline
        On the clock of `time.monotonic`, in seconds.
    if_late
        What to do about a file that takes longer.

    Raises
    ------
    Refusal
        The rows can't be read, or not in time. The rejects until then are written all the same.
    """
    refusal: Refusal | None = None
    with CsvWriter(s3, bucket) as kept:
        rejects = csv.writer(kept.open(files.rejects), lineterminator="\n")
        rejects.writerow(["line", "reason", "row"])

        def set_aside(reject: Reject) -> None:
            rejects.writerow([reject.line, reject.reason, reject.text])

        try:
            with CsvWriter(s3, bucket) as writer:
                rows = _RowWriter(writer, files, table, deadline, if_late)

                def write(clean: CleanRows) -> None:
                    if rows.is_open and not classes.are_in_order():
                        rows.give_up()
                    rows.write(clean)

                profile = survey_table(
                    table, schema, classes, size=size, set_aside=set_aside, write=write
                )
                written = rows.is_open
        except Refusal as error:
            refusal = error
    if refusal:
        raise refusal
    return profile, written


def write_clean_rows(
    s3: S3Client,
    bucket: str,
    files: CleanFiles,
    table: Table,
    schema: DatasetSchema,
    class_names: list[str],
    *,
    size: int,
    deadline: float,
    if_late: str,
) -> None:
    """Write the clean rows of a table all of whose classes are known."""
    with CsvWriter(s3, bucket) as writer:
        rows = _RowWriter(writer, files, table, deadline, if_late)
        survey_table(
            table,
            schema,
            Classes(class_names),
            size=size,
            set_aside=lambda reject: None,
            write=rows.write,
        )


class _RowWriter:
    """Writes clean rows, and beside them the keys that the split goes by, where there are any."""

    def __init__(
        self, writer: CsvWriter, files: CleanFiles, table: Table, deadline: float, if_late: str
    ) -> None:
        self._data = writer.open_bytes(files.data)
        has_keys = table.columns.group or table.columns.time
        self._keys = writer.open_bytes(files.keys, "application/octet-stream") if has_keys else None
        self._deadline = deadline
        self._if_late = if_late
        self._rows = 0
        self.is_open = True

    def write(self, clean: CleanRows) -> None:
        if time.monotonic() > self._deadline:
            raise Refusal(
                "OutOfTime",
                f"The file takes longer than there is time; {self._rows:,} rows were prepared.",
                self._if_late,
            )
        self._rows += clean.rows
        if not self.is_open:
            return
        for piece in clean.text:
            self._data.write(piece)
        if self._keys:
            self._keys.write(clean.keys.astype("<u8").tobytes())

    def give_up(self) -> None:
        """Write nothing from here on, and leave nothing of what was written."""
        for stream in filter(None, (self._data, self._keys)):
            stream.terminate()
        self.is_open = False
