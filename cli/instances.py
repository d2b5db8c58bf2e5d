"""Instances to predict: as a command line has them, and as files of CSV do."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click

from cli.errors import Problem
from cli.settings import this_command

AT_ONCE, BYTES_AT_ONCE = 1000, 500_000
"""Rows of a file in one request, and about how many bytes: few enough for any endpoint."""

STANDARD_INPUT = "-"


def file_of(values: Sequence[str]) -> Path | None:
    """Return the file that the values name: one there is that ends in .csv, or standard input.

    No value at all is standard input as well, if something is piped in.

    Raises
    ------
    Problem
        There is nothing to predict.
    """
    if not values:
        if click.get_text_stream("stdin").isatty():
            raise Problem(
                "What to predict? Give values, NAME=VALUE, or a CSV file. To try one of its rows: "
                "--example"
            )
        return Path(STANDARD_INPUT)
    if len(values) == 1 and (values[0] == STANDARD_INPUT or values[0].lower().endswith(".csv")):
        path = Path(values[0])
        if values[0] != STANDARD_INPUT and not path.is_file():
            raise Problem(f"There is no file {path}. Name one that there is.")
        return path
    return None


def instance_of(values: Sequence[str]) -> Any:
    """Return an instance: an object if all values are NAME=VALUE, else a list.

    An empty value is a missing one.

    Raises
    ------
    Problem
        Some values have names, and some have not.
    """
    named = [value.partition("=") for value in values]
    if not all(equals for _, equals, _ in named):
        if len(values) > 1 and any(equals for _, equals, _ in named):
            bare = next(name for name, equals, _ in named if not equals)
            raise Problem(f'"{bare}" has no name. Write NAME=VALUE for all features, or for none.')
        return list(values)
    return {name: value or None for name, _, value in named}


def read_records(file: Path) -> Iterator[list[str]]:
    """Yield the records of a CSV file, whose first one may be the columns' names.

    Raises
    ------
    Problem
        It is no CSV in UTF-8.
    """
    with click.open_file(str(file), encoding="utf-8-sig") as text:
        try:
            first = text.readline()
            records = csv.reader(chain([first], text), delimiter=_delimiter(first), strict=True)
            yield from filter(None, records)
        except (UnicodeDecodeError, csv.Error) as error:
            name = "Standard input" if str(file) == STANDARD_INPUT else str(file)
            raise Problem(
                f"{name} is not CSV in UTF-8: {error}. Save it as CSV in UTF-8, and try again; or "
                f"score the file as it is: {this_command()} score DATASET FILE"
            ) from error


def _delimiter(line: str) -> str:
    try:
        return csv.Sniffer().sniff(line, ",;\t").delimiter
    except csv.Error:
        return ","


def in_batches(records: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Yield records, as many together as go into one request."""
    batch: list[list[str]] = []
    size = 0
    for record in records:
        batch.append(record)
        size += sum(map(len, record))
        if len(batch) == AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def to_csv(records: Sequence[Sequence[object]]) -> str:
    """Return records as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(records)
    return out.getvalue()
