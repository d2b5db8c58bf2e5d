"""The report as sections of text, tables and pictures: the same for email, page and text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.wording import percent
from report.calls import curl_call, python_call
from report.data_notes import columns_table, data_notes, score_of, tried_table
from report.facts import Facts
from report.verdict import cautions, interval_text
from report.words import counted, listed, shortened

MANY_CLASSES = 20
"""Beyond this, tables by class show the worst ones only; ``metrics.json`` has them all."""

MANY_ROWS = 60
"""Rows of a table that are shown; ``clean/schema.json`` has all columns of a file."""

_LONG_CELL = 60
_MOST_COLUMNS = 8
"""How many columns fit beside each other."""


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Sequence[str]
    kind: ClassVar[str] = "items"


@dataclass(frozen=True)
class Table:
    """A table; its first row is its header, if it has one. Cells of `figures` are numbers."""

    rows: Sequence[Sequence[str]]
    has_header: bool = True
    figures: frozenset[int] = frozenset()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Code:
    """Lines to be pasted."""

    text: str
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Image:
    """A picture, by its name; `about` is its caption."""

    name: str
    about: str = ""
    kind: ClassVar[str] = "image"


Block = Paragraph | Items | Table | Code | Image


@dataclass(frozen=True)
class Section:
    """A part of the report. What isn't `in_mail` is on the page only."""

    title: str
    blocks: Sequence[Block]
    in_mail: bool = True


def sections(facts: Facts, pictures: Collection[str] = ()) -> list[Section]:
    """Return the report, the most important first, without sections that have nothing to say.

    `pictures` are the names of those that were drawn.
    """
    every = [
        *_can_it_be_trusted(facts),
        *_by_class(facts, pictures),
        *_what_it_looks_at(facts, pictures),
        *_wrong(facts),
        *_data(facts, pictures),
        *_run(facts),
    ]
    return [section for section in every if section.blocks]


def _can_it_be_trusted(facts: Facts) -> Iterator[Section]:
    found = list(cautions(facts))
    if facts.metrics:
        found += facts.metrics["notes"][:MANY_CLASSES]
        if (more := len(facts.metrics["notes"]) - MANY_CLASSES) > 0:
            found.append(f"And {more:,} more such notes.")
    if found:
        yield Section("Can it be trusted?", [Items(found)])


def _by_class(facts: Facts, pictures: Collection[str]) -> Iterator[Section]:
    metrics = facts.metrics
    if metrics is None:
        return
    classes, heading = metrics["classes"], "Class by class"
    if len(classes) > MANY_CLASSES:
        heading = f"Class by class, the {MANY_CLASSES} of {len(classes):,} with the lowest F-score"
        by_f_score = sorted(classes, key=lambda name: metrics["per_class"][name]["f_score"])
        classes = by_f_score[:MANY_CLASSES]
    table = [
        ["class", "precision", "recall", "F-score", "support"],
        *(
            [
                _cell(name),
                percent(of["precision"]) + interval_text(of.get("precision_interval")),
                percent(of["recall"]) + interval_text(of.get("recall_interval")),
                percent(of["f_score"]),
                f"{of['support']:,}",
            ]
            for name in classes
            for of in [metrics["per_class"][name]]
        ),
    ]
    blocks: list[Block] = [Table(table, figures=frozenset({1, 2, 3, 4}))]
    if any("recall_interval" in of for of in metrics["per_class"].values()):
        blocks.append(Paragraph("In brackets: 95 % intervals, in percent."))
    if "confusion_matrix" in pictures:
        blocks.insert(0, Image("confusion_matrix"))
    blocks += _confusions(metrics, drawn="confusion_matrix" in pictures)
    yield Section(heading, blocks)
    if numbers := list(_numbers(facts)):
        yield Section("More numbers", [Table(numbers, has_header=False, figures=frozenset({1}))])
    if levels := [each for each in metrics.get("by_confidence", ()) if each["rows"]]:
        rows = [["share of the vote", "predictions", "right"]]
        rows += [
            [
                f"at least {percent(each['at_least'], 0)}",
                f"{each['rows']:,} ({percent(each['rows'] / metrics['rows'], 0)})",
                percent(each["right"] / each["rows"]),
            ]
            for each in levels
        ]
        yield Section(
            "The surer, the better?", [Table(rows, figures=frozenset({1, 2}))], in_mail=False
        )


def _numbers(facts: Facts) -> Iterator[list[str]]:
    metrics = facts.metrics or {}
    for title, name in (
        ("Balanced accuracy (mean recall)", "balanced_accuracy"),
        ("Right among the first two", "top_2_accuracy"),
    ):
        if name in metrics:
            yield [title, percent(metrics[name])]
    for title, name in (
        ("Cohen's kappa", "kappa"),
        ("Log loss", "log_loss"),
        ("Brier score", "brier"),
    ):
        if name in metrics:
            yield [title, f"{metrics[name]:.3f}"]
    if facts.training_accuracy is not None:
        yield ["Accuracy that the training job saw", percent(facts.training_accuracy)]


def _confusions(metrics: Mapping[str, Any], *, drawn: bool) -> Iterator[Block]:
    """Yield the confusion matrix as a table; of a large one what was confused most often."""
    classes = metrics["classes"]
    rows = list(zip(classes, metrics["confusion_matrix"], strict=True))
    if len(classes) <= MANY_CLASSES:
        if not drawn:
            yield Paragraph("Confusion matrix: a row is a true class, a column what was predicted.")
            table = [["", *map(_cell, classes)]]
            table += [[_cell(name), *(f"{count:,}" for count in counts)] for name, counts in rows]
            yield Table(table, figures=frozenset(range(1, len(classes) + 1)))
        return
    pairs = sorted(
        (-count, true, predicted)
        for true, counts in rows
        for predicted, count in zip(classes, counts, strict=True)
        if count and true != predicted
    )
    if pairs:
        yield Paragraph(f"Most frequent confusions, {len(pairs[:MANY_CLASSES])} of {len(pairs):,}:")
        shown = [[_cell(t), _cell(p), f"{-count:,}"] for count, t, p in pairs[:MANY_CLASSES]]
        yield Table([["true", "predicted", "rows"], *shown], figures=frozenset({2}))


def _what_it_looks_at(facts: Facts, pictures: Collection[str]) -> Iterator[Section]:
    if facts.choice is None or facts.profile is None:
        return
    blocks: list[Block] = [Items(_notes(facts)[1])]
    if "column_weights" in pictures:
        blocks.insert(0, Image("column_weights", "Each column's share of the distance."))
    yield Section("How the model was made", blocks)
    more: list[Block] = []
    if "accuracy_by_k" in pictures:
        about = "The band is one standard deviation over the folds."
        more.append(Image("accuracy_by_k", about))
    if facts.choice["scores"]:
        more.append(Table(tried_table(facts.choice)))
        if facts.metrics and facts.choice["by"] == "cross-validation":
            more.insert(0, Paragraph(_beside_cross_validation(facts.metrics, facts.choice)))
    yield Section("What cross-validation tried, the best of each kind", more, in_mail=False)


def _beside_cross_validation(metrics: dict[str, Any], choice: dict[str, Any]) -> str:
    chosen = score_of(choice, choice)["accuracy"]
    return (
        f"Cross-validation on training rows: {percent(chosen['mean'])} ± "
        f"{percent(chosen['std'])} right over {choice['folds']} folds. On the held-out rows, which "
        f"took no part in any choice: {percent(metrics['accuracy'])}."
    )


def _wrong(facts: Facts) -> Iterator[Section]:
    wrong = facts.wrong
    if not wrong or not wrong["rows"]:
        return
    blocks: list[Block] = []
    if (width := len(wrong["rows"][0]["row"])) > _MOST_COLUMNS:
        which = "those that the model looks most at come before others"
        if not (facts.choice or {}).get("columns"):
            which = "the first of the file"
        blocks.append(Paragraph(f"{_MOST_COLUMNS} of {width:,} columns are shown: {which}."))
    for each in wrong["rows"]:
        votes = ", ".join(
            f"{_cell(n)} {percent(s, 0)}" for n, s in list(each["shares"].items())[:3]
        )
        where = f"Line {each['line']:,}: " if "line" in each else ""
        blocks.append(
            Paragraph(
                f"{where}it is “{_cell(each['true'])}”, predicted was "
                f"“{_cell(each['predicted'])}” (votes: {votes})."
            )
        )
        names = _telling(list(each["row"]), facts)
        table = [["", *map(_cell, names), "distance"]]
        table.append(["this row", *(_cell(each["row"][name]) for name in names), ""])
        for near in each.get("nearest", ()):
            cells = [_cell(near["row"].get(name, "")) for name in names]
            table.append([f"near, {_cell(near['class'])}", *cells, f"{near['distance']:.3g}"])
        blocks.append(Table(table))
    heading = "Wrong predictions"
    if wrong["of"] > len(wrong["rows"]):
        heading = f"The first {len(wrong['rows'])} of {wrong['of']:,} wrong predictions"
    sample = wrong.get("sample")
    if sample and sample["rows"] < sample["of"]:
        blocks.append(
            Paragraph(
                f"Nearest of a sample of {sample['rows']:,} of the {sample['of']:,} training rows."
            )
        )
    yield Section(heading, blocks, in_mail=False)


def _telling(names: list[str], facts: Facts) -> list[str]:
    """Return the columns that fit beside each other, those with the largest share of the distance.

    They keep the file's order.
    """
    shares = (facts.choice or {}).get("columns", {})
    first = sorted(names, key=lambda name: -shares.get(name, 0.0))[:_MOST_COLUMNS]
    return [name for name in names if name in first]


def _data(facts: Facts, pictures: Collection[str]) -> Iterator[Section]:
    profile = facts.profile
    if profile is None:
        return
    count = profile["rows"]
    read = (
        f"{counted(count['read'], 'row')} read, {count['kept']:,} kept, "
        f"{count['rejected']:,} set aside."
    )
    blocks: list[Block] = [Items([read, *_notes(facts)[0]])]
    if "scatter_matrix" in pictures:
        blocks.append(Image("scatter_matrix", "Crosses are wrong predictions."))
    rejects = list(_first_rows(profile))
    # Where a file is refused, these rows are the reason.
    yield Section("The data", [*blocks, *rejects] if facts.problem else blocks)
    if rejects and not facts.problem:
        yield Section("Rows set aside", rejects, in_mail=False)
    more: list[Block] = []
    if facts.split:
        rows = [["class", "training rows", "held-out rows"]]
        by_rows = sorted(
            facts.split["classes"].items(), key=lambda item: -item[1]["train"] - item[1]["test"]
        )
        rows += [[_cell(n), f"{of['train']:,}", f"{of['test']:,}"] for n, of in by_rows]
        more.append(Table(_shortened(rows, "split.json"), figures=frozenset({1, 2})))
    if "histograms" in pictures:
        more.append(Image("histograms", "Held-out rows. Each class by itself, to its own height."))
    more += _drift(facts)
    yield Section("Classes and features", more, in_mail=False)
    if facts.schema and "columns" in facts.schema:
        table = columns_table(facts.schema, (facts.choice or {}).get("columns", {}))
        table = [[_cell(cell, 200) for cell in row] for row in table]
        yield Section("Columns", [Table(_shortened(table, "clean/schema.json"))])


def _drift(facts: Facts) -> Iterator[Block]:
    """Yield how far the file differs from what the live model was trained on."""
    drift = ((facts.metrics or {}).get("live") or {}).get("drift")
    if not drift:
        return
    by_psi = sorted(drift["psi"].items(), key=lambda item: -item[1])
    by_chance = drift.get("by_chance", {})
    shifted = [f"{n} ({psi:.2f})" for n, psi in by_psi if psi > max(0.1, by_chance.get(n, 0.0))]
    yield Paragraph(
        f"Beside what the live model was trained on, these features have shifted: "
        f"{listed(shifted)} (population stability index; from 0.25 on that is much)."
        if shifted
        else "Beside what the live model was trained on, no feature has shifted more than chance "
        "would let it (population stability index)."
    )
    yield Table(
        [["feature", "index"], *([_cell(n), f"{psi:.3f}"] for n, psi in by_psi[:MANY_CLASSES])],
        figures=frozenset({1}),
    )
    shares = [
        [_cell(name), percent(was), percent(now)] for name, (was, now) in drift["classes"].items()
    ]
    yield Table(
        _shortened([["class", "share then", "share now"], *shares], "metrics.json"),
        figures=frozenset({1, 2}),
    )


def _notes(facts: Facts) -> tuple[list[str], list[str]]:
    return data_notes(
        facts.profile or {}, facts.schema or {}, facts.settings, facts.split, facts.choice
    )


def _first_rows(profile: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the first rows that were set aside, by reason, as the file has them."""
    for reason, rows in profile.get("first_rows", {}).items():
        yield Paragraph(f"Set aside, {reason}:")
        yield Table([[f"line {r['line']:,}", shortened(r["text"], 200)] for r in rows],
                    has_header=False)  # fmt: skip


def _run(facts: Facts) -> Iterator[Section]:
    rows = [["run", facts.run], ["file", facts.source]]
    if facts.version:
        rows.append(["version", facts.version])
    rows.append(["all files", facts.folder])
    if facts.stages:
        took = ", ".join(f"{name} {_duration(seconds)}" for name, seconds in facts.stages.items())
        rows.append(["time", took])
    if facts.costs:
        parts = [f"{name} {usd:.4f}" for name, usd in facts.costs.items()]
        rows.append(["cost, about", f"USD {', '.join(parts)}"])
    if facts.split and "hyperparameters" in facts.split:
        chosen = facts.split["hyperparameters"].items()
        rows.append(["hyperparameters", ", ".join(f"{name} {value}" for name, value in chosen)])
    if facts.predictions_url:
        rows.append(["predictions", f"POST {facts.predictions_url}"])
    blocks: list[Block] = [Table(rows, has_header=False)]
    if facts.links:
        blocks.append(Items([f"{name}: {url}" for name, url in facts.links.items()]))
    yield Section("The run", blocks)
    if facts.predictions_url and facts.example is not None:
        calls = (curl_call, python_call)
        url, row, shows = facts.predictions_url, facts.example, facts.api_authorization
        blocks = [Code(call(url, row, shows)) for call in calls]
        if shows == "key":
            blocks.insert(0, Paragraph("API_KEY is the key of the API: knn key prints it."))
        yield Section("Predict a held-out row", blocks)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _cell(text: str, most: int = _LONG_CELL) -> str:
    return shortened(str(text), most)


def _shortened(table: list[list[str]], file: str) -> list[list[str]]:
    """Return a table with its first rows, if it has many."""
    if len(table) <= MANY_ROWS + 1:
        return table
    more = f"{len(table) - 1 - MANY_ROWS:,} more in {file}"
    return [*table[: MANY_ROWS + 1], [more, *[""] * (len(table[0]) - 1)]]
