"""What there is to know about a run's data and model, in sentences: what its metrics rest on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

_SHOWN = 5

_MAPS = {
    "none": "The features are taken as they are.",
    "zscore": "The features are standardised to z-scores.",
    "minmax": "The features are scaled to a range from 0 to 1.",
    "importance": "The features are standardised, and weighted by their importance.",
    "nca": "The distance is learned by Neighbourhood Components Analysis.",
}


def data_notes(
    profile: dict[str, Any],
    schema: dict[str, Any],
    settings: dict[str, Any],
    split: dict[str, Any] | None,
    choice: dict[str, Any] | None,
) -> list[str]:
    """Return what is worth telling, of what the files of a run's folder hold.

    Parameters
    ----------
    split, choice
        What ``split.json`` and ``choice.json`` hold; they may not have come about.
    """
    return [
        *_settings(profile),
        *_rejects(profile),
        *_missing(profile, schema, settings),
        *_spellings(schema),
        *_sides(settings, split),
        *_model(choice),
        *_index(split),
    ]


def columns_table(schema: dict[str, Any], choice: dict[str, Any] | None) -> list[list[str]]:
    """Return what each column is and why, and what share it has in the distances."""
    shares = (choice or {}).get("columns", {})
    return [
        ["column", "role", "why", "share of the distance"],
        *(
            [
                column["name"] or "(no name)",
                column["role"],
                column["reason"],
                f"{shares[column['name']]:.1%}" if column["name"] in shares else "",
            ]
            for column in schema.get("columns", ())
        ),
    ]


def _settings(profile: dict[str, Any]) -> Iterator[str]:
    given = profile.get("settings", {})
    if schema := given.get("schema"):
        yield (
            f"The dataset's {schema['key']}, uploaded {schema['since'][:16]}, applies: it sets "
            f"{_listed(schema['settings'])}."
        )
    if given.get("upload"):
        yield f"The upload itself sets {_listed(given['upload'])}."


def _rejects(profile: dict[str, Any]) -> Iterator[str]:
    lines = profile.get("first_lines", {})
    told = [
        f"{reason} ({count:,}, the first on line {lines[reason][0]})"
        if lines.get(reason)
        else f"{reason} ({count:,})"
        for reason, count in profile.get("rejects", {}).items()
    ]
    if told:
        yield f"Rows were set aside: {_listed(told)}. clean/rejects.csv has them with their lines."


def _missing(
    profile: dict[str, Any], schema: dict[str, Any], settings: dict[str, Any]
) -> Iterator[str]:
    roles = {column["name"]: column["role"] for column in schema.get("columns", ())}
    counts: dict[str, list[str]] = defaultdict(list)
    for name, feature in profile["features"].items():
        if feature.get("missing"):
            kind = "category" if roles.get(name) == "category" else "number"
            counts[kind].append(f"{name} ({feature['missing']:,})")
    if counts["number"]:
        yield (
            f"Missing values were replaced by the {settings.get('missing', 'median')} of the "
            f"training rows: {_listed(counts['number'])}."
        )
    if counts["category"]:
        yield f"Missing values count as a category of their own: {_listed(counts['category'])}."


def _spellings(schema: dict[str, Any]) -> Iterator[str]:
    if spellings := schema.get("spellings"):
        told = [f'"{written}" is "{name}"' for written, name in spellings.items()]
        yield f"Some classes are written in more than one way: {_listed(told)}."


def _sides(settings: dict[str, Any], split: dict[str, Any] | None) -> Iterator[str]:
    if split is None:
        return
    match split["by"]:
        case "group":
            yield f'Rows with the same "{settings["group"]}" are on the same side of the split.'
        case "time":
            yield f'The last rows by "{settings["time"]}" are held out.'
        case "text":
            yield "Equal rows are on the same side of the split."
    duplicates = split["duplicates"]
    if count := duplicates["held_out_rows_in_training"]:
        about = "" if duplicates["is_exact"] else "About "
        remedy = (
            ""
            if split["by"] in ("group", "time")
            else ' To keep equal rows on one side, set "duplicates" to "same_side".'
        )
        yield (
            f"{about}{count:,} of the {split['rows']['test']:,} held-out rows equal a training row "
            f"in all that the model sees, which flatters the metrics.{remedy}"
        )
    one_sided = [name for name, of in split["classes"].items() if not (of["train"] and of["test"])]
    if one_sided:
        yield f"Classes with rows on one side of the split only: {_listed(one_sided)}."


def _model(choice: dict[str, Any] | None) -> Iterator[str]:
    if choice is None:
        return
    k = choice["k"]
    voters = "The nearest neighbour decides" if k == 1 else f"The {k} nearest neighbours vote"
    weighed = ", weighted by distance" if choice["weights"] == "distance" else ""
    metric = ", by cosine" if choice["metric"] == "COSINE" else ""
    yield f"{voters}{weighed}{metric}. {_MAPS[choice['map']]}"
    if choice["by"] == "cross-validation":
        chosen, best = _score(choice, choice), _score(choice, choice["best"])
        tie = ""
        if chosen is not best:
            tie = (
                f" The best of all ({choice['best']['map']}: {best['accuracy']['mean']:.4f}) is "
                "not better beyond chance, so the simpler one was taken."
            )
        yield (
            f"This was chosen by {choice['folds']}-fold cross-validation on {choice['rows']:,} "
            f"training rows: accuracy {chosen['accuracy']['mean']:.4f} ± "
            f"{chosen['accuracy']['std']:.4f} over the folds.{tie}"
        )


def _score(choice: dict[str, Any], which: dict[str, Any]) -> dict[str, Any]:
    names = ("map", "k", "weights", "metric")
    found: dict[str, Any] = next(
        score for score in choice["scores"] if all(score[n] == which[n] for n in names)
    )
    return found


def _index(split: dict[str, Any] | None) -> Iterator[str]:
    if split is None or "hyperparameters" not in split:
        return
    rows, indexed = split["rows"]["train"], int(split["hyperparameters"]["sample_size"])
    if indexed < rows:
        yield (
            f"The index has a random sample of {indexed:,} of the {rows:,} training rows: more "
            "would not fit the endpoint's memory, or sample_size asks for no more."
        )
    if split["hyperparameters"]["index_type"] != "faiss.Flat":
        yield "The index is an inverted file: fast, and it misses a few of the nearest neighbours."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
