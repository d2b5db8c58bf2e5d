"""What there is to know about a file's data, in sentences: what its metrics rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

SCALE_RATIO = 10
"""Between the spreads of two features; from here on the wider one decides alone."""

_SHOWN = 5


def data_notes(
    dataset: str, profile: dict[str, Any], schema: dict[str, Any], split: dict[str, Any] | None
) -> list[str]:
    """Return what is worth telling of a file, of its profile, schema and split.

    Parameters
    ----------
    profile, schema, split
        What ``clean/profile.json``, ``clean/schema.json`` and ``split.json`` hold; the last may
        not have come about.
    """
    schema_file = f"{dataset}/schema.json"
    return [
        *_rejects(profile),
        *_columns(schema),
        *_missing(profile, schema),
        *_scales(profile, schema, schema_file),
        *_sides(schema, split, schema_file),
    ]


def _rejects(profile: dict[str, Any]) -> Iterator[str]:
    reasons = list(profile.get("rejects", {}).items())
    if reasons:
        told = _listed([f"{reason} ({count:,})" for reason, count in reasons])
        yield f"Rows were set aside for: {told}; clean/rejects.csv has them with their lines."


def _columns(schema: dict[str, Any]) -> Iterator[str]:
    if schema.get("ignored"):
        yield f"Columns that were not used: {_listed(schema['ignored'])}."


def _missing(profile: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    counts = {
        name: of_feature["missing"]
        for name, of_feature in profile["features"].items()
        if of_feature.get("missing")
    }
    if counts:
        told = _listed([f"{name} ({count:,})" for name, count in counts.items()])
        yield (
            f"Missing values were replaced by the {schema['missing']} of the training rows: {told}."
        )


def _scales(profile: dict[str, Any], schema: dict[str, Any], schema_file: str) -> Iterator[str]:
    if schema.get("standardisation", "none") != "none":
        yield (
            f"Features were standardised ({schema['standardisation']}), as learned from the "
            "training rows; predictions take them as they are in the file."
        )
        return
    spreads = {name: of["std"] for name, of in profile["features"].items() if of["std"] > 0}
    if len(spreads) < 2:
        return
    widest, narrowest = max(spreads, key=spreads.__getitem__), min(spreads, key=spreads.__getitem__)
    ratio = spreads[widest] / spreads[narrowest]
    if ratio > SCALE_RATIO:
        yield (
            f'The features differ in scale: "{widest}" varies {ratio:,.0f} times as much as '
            f'"{narrowest}", and k-NN goes by distance. Standardise them: '
            f'{{"standardisation": "zscore"}} in {schema_file}.'
        )


def _sides(schema: dict[str, Any], split: dict[str, Any] | None, schema_file: str) -> Iterator[str]:
    if split is None:
        return
    match split["by"]:
        case "group":
            yield f'Rows of one "{schema["group"]}" are all on one side of the split.'
        case "time":
            yield f'The rows that are last by "{schema["time"]}" are held out.'
        case "text":
            yield "Rows that are the same are all on one side of the split."
    duplicates = split["duplicates"]
    if count := duplicates["held_out_rows_in_training"]:
        about = "" if duplicates["is_exact"] else "About "
        remedy = (
            ""
            if split["by"] in ("group", "time")
            else f' To keep equal rows on one side: {{"duplicates": "same_side"}} in {schema_file}.'
        )
        yield (
            f"{about}{count:,} of the {split['rows']['test']:,} held-out rows are in the training "
            f"rows too, which flatters the metrics.{remedy}"
        )
    one_sided = [name for name, of in split["classes"].items() if not (of["train"] and of["test"])]
    if one_sided:
        yield f"Classes with rows on one side of the split only: {_listed(one_sided)}."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
