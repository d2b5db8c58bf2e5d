"""Whether a validated model may go live."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from pipeline.errors import Refusal
from pipeline.settings import Settings

CHANCE = 0.05
"""What happens less often by chance isn't taken for chance."""

_CHECK_COLUMNS = (
    "The report lists all columns: check that the label is the right one and that no column was "
    "left out that tells the classes apart."
)

_MAPS = {
    "none": "raw values",
    "zscore": "z-scores",
    "minmax": "a range from 0 to 1",
    "importance": "z-scores weighted by importance",
    "nca": "Neighbourhood Components Analysis",
}


def check_gates(
    metrics: Mapping[str, Any],
    settings: Settings,
    split: Mapping[str, Any],
    choice: Mapping[str, Any],
    live_classes: Collection[str],
) -> None:
    """Raise a `Refusal` if a model doesn't pass a gate.

    Parameters
    ----------
    metrics
        Those of the held-out rows.
    split, choice
        What ``split.json`` and ``choice.json`` hold.
    live_classes
        Those that the dataset's live model has learned, if there is one.
    """
    if not settings.allow_changes:
        _check_classes(split, live_classes)
    _check_rows(metrics["rows"], settings, split)
    advice = f"{_CHECK_COLUMNS} {what_was_tried(choice)}".rstrip()
    _check_baseline(metrics, advice)
    for name, code, least in (
        ("accuracy", "AccuracyTooLow", settings.minimum_accuracy),
        ("macro_f1", "MacroF1TooLow", settings.minimum_macro_f1),
    ):
        if metrics[name] < least:
            raise Refusal(
                code,
                f"The model's {name.replace('_f1', ' F1')} on the held-out rows is "
                f"{metrics[name]:.4f}. minimum_{name} is {least:g}.",
                f"{advice} Or lower minimum_{name}.",
            )
    recalls = {name: of["recall"] for name, of in metrics["per_class"].items() if of["support"]}
    worst = min(recalls, key=recalls.__getitem__)
    if recalls[worst] < settings.minimum_recall:
        raise Refusal(
            "RecallTooLow",
            f'The model finds {recalls[worst]:.1%} of the held-out rows of "{worst}". '
            f"minimum_recall is {settings.minimum_recall:.1%}.",
            f"{advice} Or lower minimum_recall.",
        )


def what_was_tried(choice: Mapping[str, Any]) -> str:
    """Return how well each map did in cross-validation, for whoever wonders what else to try."""
    best: dict[str, float] = {}
    for score in choice["scores"]:
        name = _MAPS[score["map"]]
        best[name] = max(score["accuracy"]["mean"], best.get(name, 0.0))
    if not best:
        return ""
    found = ", ".join(f"{name} {accuracy:.3f}" for name, accuracy in best.items())
    return f"Cross-validation on the training rows found these accuracies, at the best k: {found}."


def _check_classes(split: Mapping[str, Any], live_classes: Collection[str]) -> None:
    """Raise a `Refusal` if the live model has learned a class that the new one hasn't."""
    learned = {name for name, rows in split["classes"].items() if rows["train"]}
    if lost := [name for name in live_classes if name not in learned]:
        raise Refusal(
            "LostClass",
            f"The file has no training rows of {len(lost):,} of the {len(live_classes):,} classes "
            f'of the live model, such as "{lost[0]}". The new model would never predict them.',
            "Add rows of these classes and upload the file again. Or accept the change: upload it "
            "with --allow-changes (metadata allow-changes=true).",
        )


def _check_rows(held_out: int, settings: Settings, split: Mapping[str, Any]) -> None:
    """Raise a `Refusal` if too few rows were held out to tell how good the model is."""
    least, most = settings.minimum_test_rows, settings.max_test_rows
    if held_out >= least:
        return
    if most < least:
        remedy = f"Raise max_test_rows, which is {most:,}, or lower minimum_test_rows."
    else:
        rows = math.ceil(least / settings.test_fraction)
        remedy = f"Upload a file with about {rows:,} rows or more"
        # To two digits, and rounded up.
        share = math.ceil(100 * least / sum(split["rows"].values())) / 100
        if settings.test_fraction < share <= 0.5:
            remedy += f", hold out more of them (--set test_fraction={share:g})"
        remedy += ", or lower minimum_test_rows."
    raise Refusal(
        "TooFewTestRows",
        f"Only {held_out:,} rows were held out, too few to tell how good the model is. "
        f"minimum_test_rows is {least:,}.",
        remedy,
    )


def _check_baseline(metrics: Mapping[str, Any], advice: str) -> None:
    """Raise a `Refusal` if a model is no better than its most frequent class, or than chance."""
    baseline = metrics["baseline"]
    always = f'always predicting "{baseline["class"]}"'
    for name, is_worse in (
        ("macro_f1", metrics["macro_f1"] <= baseline["macro_f1"]),
        ("accuracy", metrics["accuracy"] < baseline["accuracy"] and baseline["p_value"] < CHANCE),
    ):
        if is_worse:
            raise Refusal(
                "NotBetterThanBaseline",
                f"The model is no better than {always}: its {name.replace('_f1', ' F1')} on the "
                f"{metrics['rows']:,} held-out rows is {metrics[name]:.4f}, that of {always} is "
                f"{baseline[name]:.4f}.",
                advice,
            )
    # A model that is right on every row needs no test, which can't be made for a single class.
    if metrics["kappa_p_value"] >= CHANCE and metrics["accuracy"] < 1:
        raise Refusal(
            "NoBetterThanChance",
            "The model's predictions agree with the label no more than by chance: it is right on "
            f"{metrics['accuracy']:.1%} of the {metrics['rows']:,} held-out rows, {always} on "
            f"{baseline['accuracy']:.1%}. Cohen's kappa is {metrics['kappa']:.3f} with p = "
            f"{metrics['kappa_p_value']:.3f}. p must be below {CHANCE:g}.",
            advice,
        )
