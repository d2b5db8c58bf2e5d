"""What people see: progress while it goes on, then the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.schema import Schema


class Progress:
    """Stages, each with the time that it took.

    In a terminal the present stage spins in place; elsewhere each stage is a line when it ends.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._done: list[tuple[str, float, str]] = []
        self._stage: str | None = None
        self._began = 0.0
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[Progress]:
        """Show the progress; the stage that an exception ends is shown as failed."""
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self._console)
            self._live.start()
        try:
            yield self
        except BaseException:
            self._end("failed")
            raise
        else:
            self._end("done")
        finally:
            if self._live:
                self._live.stop()

    def begin(self, stage: str) -> None:
        """End the present stage and begin another."""
        self._end("done")
        self._stage, self._began = stage, time.monotonic()

    def fail(self) -> None:
        """End the present stage as one that failed."""
        self._end("failed")

    def _end(self, how: str) -> None:
        if self._stage is None:
            return
        ended = (self._stage, time.monotonic() - self._began, how)
        self._done.append(ended)
        self._stage = None
        if self._live is None:
            self._console.print(self._line(*ended), highlight=False)

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for ended in self._done:
            table.add_row(self._line(*ended))
        if self._stage:
            elapsed = time.monotonic() - self._began
            table.add_row(Spinner("dots", f"{self._stage:<16}{elapsed:6.1f} s"))
        return table

    @staticmethod
    def _line(stage: str, seconds: float, how: str) -> Text:
        mark, style = ("✓", "green") if how == "done" else ("✗", "red")
        return Text.assemble((mark, style), f" {stage:<16}{seconds:6.1f} s")


WIDEST_MATRIX = 15
"""Classes up to which a confusion matrix can be read."""


def metrics_table(metrics: dict[str, Any], width: int) -> Table:
    """Return accuracy, macro F1 and the confusion matrix of a validation, in so many columns."""
    table = Table.grid(padding=(1, 0))
    baseline = metrics["baseline"]
    table.add_row(
        f'Accuracy  {metrics["accuracy"]:.4f}   (always predicting "{baseline["class"]}": '
        f"{baseline['accuracy']:.4f})\n"
        f"Macro F1  {metrics['macro_f1']:.4f}   on {metrics['rows']:,} held-out rows"
    )
    classes = metrics["classes"]
    needed = sum(len(name) + 2 for name in classes) + max(map(len, [*classes, "true \\ predicted"]))
    if len(classes) <= WIDEST_MATRIX and needed <= width:
        table.add_row(_confusion_matrix(metrics))
    else:
        table.add_row(_confusions(metrics))
    return table


def _confusion_matrix(metrics: dict[str, Any]) -> Table:
    matrix = _titled("Confusion matrix")
    matrix.add_column("true \\ predicted")
    for name in metrics["classes"]:
        matrix.add_column(name, justify="right")
    for name, counts in zip(metrics["classes"], metrics["confusion_matrix"], strict=True):
        matrix.add_row(name, *map(str, counts))
    return matrix


def _confusions(metrics: dict[str, Any]) -> Table:
    """Return the pairs of classes that were most often taken for each other."""
    classes = metrics["classes"]
    pairs = sorted(
        (-count, classes[true], classes[predicted])
        for true, counts in enumerate(metrics["confusion_matrix"])
        for predicted, count in enumerate(counts)
        if count and true != predicted
    )
    shown = _titled(f"Most frequent of {len(pairs)} confusions" if pairs else "No row was confused")
    for column in ("true", "predicted", "rows"):
        shown.add_column(column, overflow="ellipsis", no_wrap=True)
    for count, true, predicted in pairs[:WIDEST_MATRIX]:
        shown.add_row(true, predicted, str(-count))
    return shown


def _titled(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))


def runs_list(items: list[dict[str, Any]]) -> Iterator[str]:
    """Yield lines on runs: status, file, and below it why, if it came to nothing."""
    wide = max(len(item["run"]) for item in items)
    for item in items:
        key = item.get("source", {}).get("key", "")
        yield f"{item['run']:<{wide}}  {item['status']:<10}  {key}"
        if "error" in item:
            yield f"    {item['error']['code']}: {item['error']['message']}"


MAX_COLUMNS = 40
"""Columns that are shown; ``clean/schema.json`` has them all."""


def columns_table(schema: Schema) -> Table:
    """Return what each column of a file is, and why."""
    table = _titled("Columns")
    for name in ("column", "role", "why"):
        table.add_column(name, overflow="fold")
    for column in schema.columns[:MAX_COLUMNS]:
        table.add_row(column.name or "(no name)", column.role, column.reason)
    if (more := len(schema.columns) - MAX_COLUMNS) > 0:
        table.add_row("…", "", f"{more:,} more in clean/schema.json")
    return table
