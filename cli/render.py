"""What people see: progress while it goes on, then the result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, JustifyMethod
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.wording import percent
from report.facts import Facts
from report.sections import Items, Paragraph, sections
from report.sections import Table as TableBlock
from report.verdict import comparison, subject, what_happened
from report.words import shown


class Progress:
    """Stages, each with the time that it took.

    In a terminal the present stage spins in place; elsewhere each stage is a line when it ends.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._done: list[tuple[str, float, str]] = []
        self._stage: str | None = None
        self._note = ""
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
        self._stage, self._note, self._began = stage, "", time.monotonic()

    def note(self, text: str) -> None:
        """Say how far the present stage is; only a terminal shows it."""
        self._note = text

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
            said = f"{self._stage:<16}{elapsed:6.1f} s"
            table.add_row(Spinner("dots", f"{said}  {self._note}" if self._note else said))
        return table

    @staticmethod
    def _line(stage: str, seconds: float, how: str) -> Text:
        mark, style = ("✓", "green") if how == "done" else ("✗", "red")
        return Text.assemble((mark, style), f" {stage:<16}{seconds:6.1f} s")


class Sent:
    """Takes the sizes of pieces of a file that are sent, and shows how much of it that is."""

    def __init__(self, progress: Progress, file: Path) -> None:
        self._progress = progress
        self._size = file.stat().st_size if file.is_file() else 0
        self._done = 0

    def __call__(self, count: int) -> None:
        """Count a piece."""
        self._done += count
        self._progress.note(f"{self._done / 1e6:,.1f} of {self._size / 1e6:,.1f} MB")


def story(facts: Facts) -> Iterator[str | Table]:
    """Yield a report as a terminal shows it: what the email says, without what is asked for."""
    yield "\n".join(map(shown, [subject(facts), "", *what_happened(facts)]))
    if problem := facts.problem:
        yield f"{problem['code']}: {problem['message']}\nWhat to do: {problem['remedy']}"
    if facts.metrics:
        yield _table(TableBlock(comparison(facts.metrics), figures=frozenset({1, 2, 3})))
    for section in sections(facts):
        if not section.in_mail or section.title in _LEFT_OUT:
            continue
        for place, block in enumerate(section.blocks):
            title = section.title if place == 0 else ""
            match block:
                case TableBlock():
                    yield _table(block, title)
                case Items(items):
                    yield "\n".join(filter(None, [title, *(f"- {shown(i)}" for i in items)]))
                case Paragraph(text):
                    yield "\n".join(filter(None, [title, shown(text)]))


_LEFT_OUT = ("The run", "Predict a held-out row")


def _table(block: TableBlock, title: str = "") -> Table:
    """Return a table of which a narrow terminal folds cells, and drops none."""
    table = Table(
        title=title or None,
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        show_header=block.has_header,
    )
    header, rows = (block.rows[0], block.rows[1:]) if block.has_header else ((), block.rows)
    for place in range(len(block.rows[0])):
        justify: JustifyMethod = "right" if place in block.figures else "left"
        name = shown(header[place]) if header else ""
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*map(shown, row))
    return table


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, as wide as its cells: a pipe cuts and folds nothing."""
    table = [[*map(str.upper, header)], *([shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def runs_list(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield lines on runs: what became of them, and below it why, if they came to nothing."""
    rows = []
    for item in items:
        key = item.get("source", {}).get("key", "")
        again = f", the model of {item['restores']}" if "restores" in item else ""
        right = percent(float(item["accuracy"])) if "accuracy" in item else ""
        rows.append([item["run"], item["status"], right, when(item), f"{key}{again}"])
    header, *lines = table_lines(["run", "status", "right", "date", "file"], rows)
    yield header
    for item, line in zip(items, lines, strict=True):
        yield line
        if "error" in item:
            yield f"    {item['error']['code']}: {shown(item['error']['message'])}"


def when(item: Mapping[str, Any]) -> str:
    """Return when the file of a run was dropped, in UTC."""
    return str(item.get("dropped", "")).partition("#")[0].replace("T", " ").rstrip("Z")
