"""What was done with a run's data and how its model was made, in sentences and tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.wording import MAPS, percent
from report.words import listed

Table = list[list[str]]


def data_notes(
    profile: dict[str, Any],
    schema: dict[str, Any],
    settings: dict[str, Any],
    split: dict[str, Any] | None,
    choice: dict[str, Any] | None,
) -> tuple[list[str], list[str]]:
    """Return what is worth telling of the data, and of how the model was made.

    Parameters
    ----------
    split, choice
        What ``split.json`` and ``choice.json`` hold; they may not have come about.
    """
    return [
        *_settings(profile, settings),
        *_rejects(profile),
        *_missing(profile, schema, settings),
        *_spellings(schema),
        *_sides(settings, split),
    ], [*_model(choice), *_index(split)]


def columns_table(schema: dict[str, Any], shares: dict[str, float]) -> Table:
    """Return what each column is and why, and what share it has in the distances."""
    return [
        ["column", "role", "why", "share of the distance"],
        *(
            [
                column["name"] or "(no name)",
                column["role"],
                column["reason"],
                percent(shares[column["name"]]) if column["name"] in shares else "",
            ]
            for column in schema["columns"]
        ),
    ]


def tried_table(choice: dict[str, Any]) -> Table:
    """Return how well the best candidate of each map and distance did, the best first."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for score in sorted(choice["scores"], key=lambda score: score["brier"]["mean"]):
        best.setdefault((score["map"], score["metric"]), score)
    return [
        ["features as", "neighbours", "weights", "distance", "accuracy", "Brier score"],
        *(
            [
                MAPS[score["map"]],
                str(score["k"]),
                score["weights"],
                score["metric"],
                *(f"{score[n]['mean']:.4f} ± {score[n]['std']:.4f}" for n in ("accuracy", "brier")),
            ]
            for score in best.values()
        ),
    ]


def _settings(profile: dict[str, Any], settings: dict[str, Any]) -> Iterator[str]:
    given = profile.get("settings", {})
    upload = given.get("upload", ())
    if schema := given.get("schema"):
        named = [name for name in schema["settings"] if name not in upload]
        yield (
            f"{schema['key']}, which was uploaded on {schema['since'][:16]} UTC, applies: it sets "
            f"{listed(_values(named, settings)) or 'nothing'}."
        )
    if upload:
        yield f"The upload itself sets {listed(_values(upload, settings))}."


def _values(names: Sequence[str], settings: dict[str, Any]) -> list[str]:
    """Return settings as NAME=VALUE."""

    def text(value: Any) -> str:
        if isinstance(value, list):
            return ";".join(map(str, value))
        return str(value).lower() if isinstance(value, bool) else str(value)

    return [f"{name}={text(settings[name])}" if name in settings else name for name in names]


def _rejects(profile: dict[str, Any]) -> Iterator[str]:
    lines = profile.get("first_lines", {})

    def told(kind: str, count: int) -> str:
        examples = [f"{line:,}" for line in lines.get(kind, ())]
        if not examples:
            return f"{kind} ({count:,})"
        more = ", …" if count > len(examples) else ""
        return f"{kind} ({count:,}: line{'s'[: count > 1]} {', '.join(examples)}{more})"

    rejects = profile.get("rejects", {})
    if rejects:
        found = listed([told(kind, count) for kind, count in rejects.items()], "; ")
        yield f"Rows were set aside: {found}. clean/rejects.csv has each with line and reason."


def _missing(
    profile: dict[str, Any], schema: dict[str, Any], settings: dict[str, Any]
) -> Iterator[str]:
    roles = {column["name"]: column["role"] for column in schema.get("columns", ())}
    counts: dict[str, list[str]] = defaultdict(list)
    for name, feature in profile["features"].items():
        if feature.get("missing"):
            counts[roles.get(name, "number")].append(f"{name} ({feature['missing']:,})")
    for role, what in (
        ("number", f"the {settings.get('missing', 'median')} of the training rows"),
        ("boolean", "what most training rows have"),
        ("category", "a category of their own"),
    ):
        if counts[role]:
            yield f"Missing values are imputed by {what}: {listed(counts[role])}."


def _spellings(schema: dict[str, Any]) -> Iterator[str]:
    if spellings := schema.get("spellings"):
        told = [f'"{written}" is "{name}"' for written, name in spellings.items()]
        yield f"Some classes are written in more than one way: {listed(told)}."


def _sides(settings: dict[str, Any], split: dict[str, Any] | None) -> Iterator[str]:
    if split is None:
        return
    match split["by"]:
        case "group":
            yield f'Rows with the same "{settings.get("group")}" are on the same side of the split.'
        case "time":
            yield f'The last rows by "{settings.get("time")}" are held out.'
        case "text":
            yield "Equal rows are on the same side of the split."
    duplicates = split["duplicates"]
    if count := duplicates["held_out_rows_in_training"]:
        about = "" if duplicates["is_exact"] else "About "
        remedy = (
            ""
            if split["by"] != "class"
            else " To keep equal rows on one side, upload it with --set duplicates=same_side."
        )
        yield (
            f"{about}{count:,} of the {split['rows']['test']:,} held-out rows equal a training row "
            f"in all that the model sees, which flatters the metrics.{remedy}"
        )
    one_sided = [name for name, of in split["classes"].items() if not (of["train"] and of["test"])]
    if one_sided:
        yield f"Classes with rows on one side of the split only: {listed(one_sided)}."


def _model(choice: dict[str, Any] | None) -> Iterator[str]:
    if choice is None:
        return
    k = choice["k"]
    voters = "The nearest neighbour decides" if k == 1 else f"The {k} nearest neighbours vote"
    weighed = ", weighted by distance" if choice["weights"] == "distance" else ""
    metric = "one minus the cosine" if choice["metric"] == "COSINE" else "Euclidean"
    how = {
        "settings": " The settings ask for this.",
        "default": " There are too few training rows to choose by cross-validation.",
    }
    by = how.get(choice["by"], "")
    yield f"{voters}{weighed}. Distances are {metric}, of {MAPS[choice['map']]}.{by}"
    if choice["by"] == "cross-validation":
        chosen, best = score_of(choice, choice), score_of(choice, choice["best"])
        tie = ""
        if chosen is not best:
            tie = (
                f" The best Brier score, {best['brier']['mean']:.4f}, is that of "
                f"{MAPS[best['map']]}; it is better by less than one standard error, so the "
                "simpler was taken."
            )
        yield (
            f"This was chosen by {choice['folds']}-fold cross-validation on {choice['rows']:,} "
            f"training rows: accuracy {chosen['accuracy']['mean']:.4f} ± "
            f"{chosen['accuracy']['std']:.4f} over the folds, Brier score "
            f"{chosen['brier']['mean']:.4f} (lower is better).{tie}"
        )
    shares = sorted(choice.get("columns", {}).items(), key=lambda item: -item[1])
    if len(shares) > 1:
        most = [f"{name} ({percent(share, 0)})" for name, share in shares[:5] if share >= 0.01]
        yield f"The model looks most at {', '.join(most)}."


def score_of(choice: dict[str, Any], which: dict[str, Any]) -> dict[str, Any]:
    """Return what cross-validation measured of a candidate."""
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
            f"The index holds {indexed:,} of the {rows:,} training rows, drawn at random; "
            f"{rows - indexed:,} were left out. More don't fit into the memory that serves or "
            "trains it, or sample_size asks for no more."
        )
    if split["hyperparameters"]["index_type"] != "faiss.Flat":
        yield "The index is an inverted file: fast, and it misses a few of the nearest neighbours."
