"""The end of a file: whether a model can be made of it, and what the run's folder says of it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline import layout
from pipeline.errors import Refusal
from pipeline.objects import write_json
from pipeline.registry import register_classes
from pipeline.rejects import Reject
from pipeline.schema import Role, Schema
from preprocess.labels import (
    UNLABELLED,
    FileClasses,
    check_classes,
    class_key,
    class_order,
    file_classes,
)
from preprocess.profile import SampledRow
from preprocess.survey import EMPTY_ROW, NO_VALUE, Survey, of_role
from tabular.numbers import NumberFormat

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table as Registry
    from mypy_boto3_s3 import S3Client

TOTALS = {"total", "totals", "grand total", "sum", "summe", "gesamt", "average", "mean"}
"""Labels of a row that adds the others up."""

SINGLE, TOTAL = "class with a single row", "total of other rows"
NOT_TO_BLAME = {EMPTY_ROW, NO_VALUE, TOTAL, UNLABELLED}
"""Kinds of rejects that say nothing against a file, such as rows that are still to be labelled."""


def leave_out_single_rows(survey: Survey, known: Sequence[str]) -> list[Reject]:
    """Return the rows that are the only ones of their class, which are set aside.

    One row can't be trained on and tested on. It may be a total of the others.
    """
    classes = file_classes(survey.labels, [*known, *survey.settings.classes])
    if len(classes.counts) - len(classes.single) < 2 or classes.are_measured:
        return []
    rejects = []
    for row in survey.sample.rows() if classes.single else ():
        name = classes.name_of(row.label)
        if name in classes.single:
            kind, reason = SINGLE, f'it is the only row of the class "{name}"'
            if class_key(row.label) in TOTALS:
                kind, reason = TOTAL, "it adds up the other rows"
            survey.leave_out(row, kind)
            rejects.append(Reject(row.line, kind, reason, row.text))
    return rejects


def check_usable(survey: Survey, classes: FileClasses) -> None:
    """Refuse a file if no classifier can be trained and tested on the rows that were kept."""
    profile, column = survey.profile, survey.labels.column
    allowed = survey.settings.max_rejected_fraction
    rejected, kept = profile.rejected, sum(classes.counts.values())
    if profile.read != profile.kept + rejected or kept != profile.kept:
        raise AssertionError(
            f"{profile.read} rows read, {profile.kept} kept, {rejected} rejected, {kept} in classes"
        )
    why = ""
    if rejected:
        kinds = [f"{kind} ({count:,})" for kind, count in profile.rejects.most_common(3)]
        line = min(row["line"] for rows in profile.examples.values() for row in rows)
        why = f" Reasons: {', '.join(kinds)}. The first such row is on line {line}."
    blamed = sum(n for kind, n in profile.rejects.items() if kind not in NOT_TO_BLAME)
    if blamed > allowed * profile.read:
        raise Refusal(
            "TooManyRejects",
            f"{blamed:,} of {profile.read:,} rows can't be used. max_rejected_fraction allows a "
            f"share of {allowed:.3g}.{why}",
            "clean/rejects.csv in the run's folder lists each row with its line and the reason. "
            "Fix these rows and upload the file again, or raise max_rejected_fraction.",
        )
    if len(classes.counts) < 2:
        what = f'only the class "{next(iter(classes.counts))}"' if classes.counts else "no class"
        aside = f" {rejected:,} rows were set aside.{why}" if why else ""
        raise Refusal(
            "OneClass",
            f'The label, column "{column}", has {what} in {kept:,} usable rows.{aside}',
            "A classifier needs rows of at least two classes. Add rows of another class. If this "
            "column isn't the label, name the one that is.",
        )
    if classes.single:
        rows = survey.sample.rows()
        row = next(row for row in rows if classes.name_of(row.label) in classes.single)
        example = f'such as "{row.label}" on line {row.line}'
        if classes.are_measured:
            raise Refusal(
                "ContinuousLabel",
                f'The label, column "{column}", holds measured numbers rather than classes: '
                f"{len(classes.counts):,} different ones in {kept:,} rows, {example}.",
                "A classifier needs classes. Name another column as the label, or put words for "
                'ranges in place of the numbers, such as "low" and "high".',
            )
        raise Refusal(
            "SingleRowClass",
            f'{len(classes.single):,} of {len(classes.counts):,} classes in column "{column}" have '
            f"a single row, {example}.",
            "A class needs at least two rows, one to train on and one to test on. Add rows, or "
            "delete these.",
        )
    check_classes(classes.counts, column)


def finish(
    s3: S3Client,
    registry: Registry,
    bucket: str,
    run: str,
    facts: Mapping[str, Any],
    survey: Survey,
    known: Sequence[str],
    parts: Sequence[tuple[str, Mapping[str, int]]],
    manifest: str,
) -> None:
    """Write profile, schema, settings and sample of a run, and last the manifest, by its name.

    The profile is also written if the rows are of no use. `known` are the dataset's classes;
    `parts` has the key of each part of the clean rows, and how often each label is in it.
    """
    folder, table, settings = layout.RunFolder(run), survey.table, survey.settings
    rows = survey.sample.rows()
    classes = file_classes(survey.labels, [*known, *settings.classes])
    profile = survey.profile.as_dict(classes.counts, _sampled_numbers(rows, table))
    about = {name: facts[name] for name in ("file", "settings")}
    write_json(s3, bucket, folder / layout.PROFILE, profile | about)
    check_usable(survey, classes)
    # A class that the settings spell otherwise than the dataset has its name there.
    names = {class_key(name): name for name in reversed([*known, *settings.classes])}
    listed = dict.fromkeys(names[class_key(name)] for name in settings.classes)
    new = [*listed, *class_order(set(classes.counts) - set(listed))]
    every = register_classes(registry, layout.dataset_of_run(run), new)
    schema = replace(table, classes=tuple(every), spellings=classes.spellings)
    write_json(s3, bucket, folder / layout.SCHEMA, schema.as_dict())
    write_json(s3, bucket, folder / layout.SETTINGS, settings.as_dict())
    write_json(s3, bucket, folder / layout.SAMPLE, {"rows": [row._asdict() for row in rows]})
    of_parts = [{"data": key, "classes": _counted(n, classes, every)} for key, n in parts]
    write_json(s3, bucket, folder / manifest, {"run": run, **facts, "parts": of_parts})


def _counted(spelled: Mapping[str, int], classes: FileClasses, every: Sequence[str]) -> list[int]:
    """Return the rows of each class in a part, by how often each spelling is in it."""
    counts = dict.fromkeys(every, 0)
    for label, count in spelled.items():
        # A class with a single row is not among the file's: the row is set aside.
        if (name := classes.name_of(label)) in classes.counts:
            counts[name] += count
    return list(counts.values())


def _sampled_numbers(rows: Sequence[SampledRow], table: Schema) -> dict[str, NDArray[np.float64]]:
    """Return the values of each number in a sample of the rows, NaN where one is missing."""
    found = csv.reader((row.text for row in rows), delimiter=table.delimiter, skipinitialspace=True)
    columns = list(zip(*found, strict=True))
    values = {}
    for place in of_role(table, Role.NUMBER):
        parse = NumberFormat.of(table.columns[place].format).parse
        numbers = [parse(text.strip()) for text in columns[place]] if columns else []
        values[table.columns[place].name] = np.array(numbers, float)
    return values
