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


def metrics_table(metrics: dict[str, Any]) -> Table:
    """Return accuracy, macro F1 and the confusion matrix of a validation."""
    table = Table.grid(padding=(1, 0))
    table.add_row(
        f"Accuracy  {metrics['accuracy']:.4f}\n"
        f"Macro F1  {metrics['macro_f1']:.4f}   on {metrics['rows']} held-out rows"
    )
    matrix = Table(title="Confusion matrix", title_justify="left", box=None, padding=(0, 2, 0, 0))
    matrix.add_column("true \\ predicted")
    for name in metrics["classes"]:
        matrix.add_column(name, justify="right")
    for name, counts in zip(metrics["classes"], metrics["confusion_matrix"], strict=True):
        matrix.add_row(name, *map(str, counts))
    table.add_row(matrix)
    return table


def runs_table(items: list[dict[str, Any]]) -> Table:
    """Return runs with their status."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("run", no_wrap=True)
    for column in ("status", "file", "why"):
        table.add_column(column, overflow="fold")
    for item in items:
        why = item.get("error", {}).get("message", "")
        table.add_row(item["run"], item["status"], item.get("source", {}).get("key", ""), why)
    return table
