"""The email: one set of facts, as plain text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pipeline.registry import Status


@dataclass(frozen=True)
class Facts:
    """What a report is about. `metrics`, `profile` and `problem` are None where a run has none.

    `notes` and `tables` say what was done with the data, and how the model was made.
    """

    run: str
    dataset: str
    status: Status
    source: str
    folder: str
    metrics: dict[str, Any] | None = None
    training_accuracy: float | None = None
    profile: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    tables: tuple[tuple[str, list[list[str]]], ...] = ()
    problem: dict[str, str] | None = None
    previous_is_live: bool = False
    predictions_url: str | None = None


HEADLINES = {
    Status.LIVE: "is live",
    Status.SUPERSEDED: "was superseded by a newer file",
    Status.REFUSED: "was refused",
    Status.FAILED: "failed",
}


MANY_CLASSES = 20
"""Beyond this, tables by class show the worst ones only; ``metrics.json`` has them all."""

MANY_ROWS = 60
"""Rows of a table that are shown; ``clean/schema.json`` has all columns of a file."""

COMMAND = "    "
"""What lines of a remedy begin with that are to be pasted."""

MAX_SUBJECT = 200


def subject(facts: Facts) -> str:
    """Return the email's subject, the news first, on one line whatever the file is called."""
    return " ".join(_news(facts).split())[:MAX_SUBJECT]


def _news(facts: Facts) -> str:
    news = f"{facts.dataset}: the new model {HEADLINES[facts.status]}"
    if facts.status is Status.LIVE and facts.metrics:
        return f"{news}, accuracy {facts.metrics['accuracy']:.2%}"
    if facts.problem and facts.status is not Status.SUPERSEDED:
        return f"{facts.dataset}: {_source_name(facts)} {HEADLINES[facts.status]}"
    return news


def text(facts: Facts) -> str:
    """Return the plain text part."""
    parts = [subject(facts)]
    if facts.problem:
        parts.append(f"Why: {facts.problem['message']}\nWhat to do: {facts.problem['remedy']}")
    parts += [
        "\n".join(
            [
                *filter(None, (section.title, section.paragraph)),
                *(f"- {item}" for item in section.items),
                *_table_text(section.table),
            ]
        )
        for section in _sections(facts)
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def html(facts: Facts) -> str:
    """Return the HTML part, which is also the run's ``report.html``."""
    body = [f"<h1>{escape(subject(facts))}</h1>"]
    if facts.problem:
        body.append(
            f'<div class="problem"><strong>Why:</strong> {escape(facts.problem["message"])}<br>'
            f"<strong>What to do:</strong> {_remedy_html(facts.problem['remedy'])}</div>"
        )
    for section in _sections(facts):
        if section.title:
            body.append(f"<h2>{escape(section.title)}</h2>")
        if section.paragraph:
            body.append(f"<p>{escape(section.paragraph)}</p>")
        if section.items:
            items = "".join(f"<li>{escape(item)}</li>" for item in section.items)
            body.append(f"<ul>{items}</ul>")
        if section.table:
            body.append(_table_html(section.table, header=section.has_header))
    return _PAGE.format(title=escape(subject(facts)), body="\n".join(body))


@dataclass(frozen=True)
class _Section:
    """A part of the report, of which both forms show what there is."""

    title: str = ""
    paragraph: str = ""
    items: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()
    has_header: bool = True


def _sections(facts: Facts) -> Iterator[_Section]:
    if facts.previous_is_live:
        yield _Section(paragraph="The previous model is still live.")
    if facts.metrics:
        summary = _summary(facts.metrics, facts.training_accuracy)
        yield _Section(table=summary, has_header=False)
        for title, table in _tables_by_class(facts.metrics):
            yield _Section(title, table=table)
        yield _Section(items=_metric_notes(facts.metrics))
    if facts.notes:
        yield _Section("Data and model", items=facts.notes)
    for title, table in facts.tables:
        yield _Section(title, table=_shortened(table))
    yield _Section("The run", table=_origin(facts), has_header=False)


def _remedy_html(remedy: str) -> str:
    """Return a remedy with its commands on lines of their own."""
    lines = remedy.splitlines()
    return "".join(
        f"<pre>{escape(line.removeprefix(COMMAND))}</pre>"
        if line.startswith(COMMAND)
        else f"{escape(line)} "
        for line in lines
    ).rstrip()


def _shortened(table: list[list[str]]) -> list[list[str]]:
    """Return a table with its first rows, if it has many."""
    if len(table) <= MANY_ROWS + 1:
        return table
    more = f"{len(table) - 1 - MANY_ROWS:,} more in clean/schema.json"
    return [*table[: MANY_ROWS + 1], [more, *[""] * (len(table[0]) - 1)]]


def _source_name(facts: Facts) -> str:
    return facts.source.rpartition("/")[2] or "the file"


def _summary(metrics: dict[str, Any], training_accuracy: float | None) -> list[list[str]]:
    rows = [
        [title, f"{metrics[name]:.4f}"]
        for title, name in (
            ("Accuracy", "accuracy"),
            ("Balanced accuracy", "balanced_accuracy"),
            ("Among the first two", "top_2_accuracy"),
            ("Macro F1", "macro_f1"),
            ("Cohen's kappa", "kappa"),
            ("Log loss", "log_loss"),
            ("Brier score", "brier"),
        )
        if name in metrics
    ]
    if baseline := metrics.get("baseline"):
        always = f'Accuracy of always predicting "{baseline["class"]}"'
        rows.insert(1, [always, f"{baseline['accuracy']:.4f}"])
    rows.append(["Held-out rows", f"{metrics['rows']:,}"])
    if training_accuracy is not None:
        rows.append(["Accuracy that the training job saw", f"{training_accuracy:.4f}"])
    return rows


def _tables_by_class(metrics: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Return the tables that grow with the classes, each with its heading."""
    classes, heading = metrics["classes"], "Per class"
    if len(classes) > MANY_CLASSES:
        heading = f"Per class, the {MANY_CLASSES} of {len(classes):,} with the lowest F-score"
        by_f_score = sorted(classes, key=lambda name: metrics["per_class"][name]["f_score"])
        classes = by_f_score[:MANY_CLASSES]
    return [(heading, _per_class(metrics, classes)), _confusion(metrics)]


def _per_class(metrics: dict[str, Any], names: Sequence[str]) -> list[list[str]]:
    return [
        ["class", "precision", "recall", "F-score", "support"],
        *(
            [
                name,
                f"{of_class['precision']:.4f}",
                f"{of_class['recall']:.4f}",
                f"{of_class['f_score']:.4f}",
                str(of_class["support"]),
            ]
            for name in names
            for of_class in [metrics["per_class"][name]]
        ),
    ]


def _confusion(metrics: dict[str, Any]) -> tuple[str, list[list[str]]]:
    """Return a heading and the confusion matrix; of a large one, what was confused most often."""
    classes = metrics["classes"]
    rows = list(zip(classes, metrics["confusion_matrix"], strict=True))
    if len(classes) <= MANY_CLASSES:
        heading = "Confusion matrix (row: true class, column: predicted)"
        return heading, [["", *classes], *([name, *map(str, counts)] for name, counts in rows)]
    pairs = sorted(
        (-count, true, predicted)
        for true, counts in rows
        for predicted, count in zip(classes, counts, strict=True)
        if count and true != predicted
    )
    shown = [[true, predicted, str(-count)] for count, true, predicted in pairs[:MANY_CLASSES]]
    heading = f"Most frequent confusions, {len(shown)} of {len(pairs)}"
    return heading, [["true", "predicted", "rows"], *shown]


def _metric_notes(metrics: dict[str, Any]) -> list[str]:
    notes: list[str] = metrics["notes"]
    if len(notes) <= MANY_CLASSES:
        return notes
    return [*notes[:MANY_CLASSES], f"And {len(notes) - MANY_CLASSES:,} more such notes."]


def _origin(facts: Facts) -> list[list[str]]:
    rows = [["Run", facts.run], ["File", facts.source], ["All files", facts.folder]]
    if facts.profile:
        count = facts.profile["rows"]
        rows.insert(
            2,
            [
                "Rows",
                f"{count['read']:,} read, {count['kept']:,} kept, {count['rejected']:,} set aside"
                + (" (clean/rejects.csv says why)" if count["rejected"] else ""),
            ],
        )
    if facts.predictions_url:
        rows.append(["Predictions", f"POST {facts.predictions_url}"])
    return rows


def _table_text(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _table_html(rows: Sequence[Sequence[str]], *, header: bool) -> str:
    cells = [
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
        for place, row in enumerate(rows)
        for tag in ["th" if header and place == 0 else "td"]
    ]
    return "<table>" + "".join(f"<tr>{each}</tr>" for each in cells) + "</table>"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #1d2733; background: #fff; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #d5dbe1; padding: .35rem .8rem .35rem 0; text-align: left;
  overflow-wrap: anywhere; }}
pre {{ margin: .5rem 0; white-space: pre-wrap; }}
.problem {{ border-left: 4px solid #b3261e; background: #fbeeed; padding: .8rem 1rem; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
