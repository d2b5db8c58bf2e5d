"""What a command answers: text for people on standard output, or one JSON document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cli.render import Progress
from cli.target import Target

# What users name their classes and files is no markup.
console = Console(markup=False, highlight=False)


def progress_of(target: Target) -> Progress:
    """Return the progress of a command; beside JSON it goes to standard error."""
    return Progress(
        Console(stderr=True, markup=False, highlight=False) if target.as_json else console
    )


def answer(target: Target, data: Any, lines: Iterable[str] = ()) -> None:
    """Print the data as JSON if that is asked for, else the lines."""
    if target.as_json:
        click.echo(to_json(data))
        return
    for line in lines:
        click.echo(line)


def to_json(data: Any, *, indent: int | None = 2) -> str:
    """Return data as JSON; numbers of DynamoDB and paths are what they look like."""
    return json.dumps(data, indent=indent, ensure_ascii=False, default=_plain)


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} can't be written as JSON")
