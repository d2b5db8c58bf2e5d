"""Whether a validated model may go live."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from pipeline.errors import Refusal
from pipeline.settings import AUTO, Settings
from pipeline.wording import MAPS, percent
from validate.metrics import proportion_test, sign_test

CHANCE = 0.05
"""What happens less often by chance isn't taken for chance."""

MAX_DIFFERENCE = 0.001
"""By how much the accuracy of a model that is deployed again may differ from what it was."""

_CHECK_COLUMNS = (
    "The report lists all columns: check that the label is the right one and that no column was "
    "left out that tells the classes apart."
)


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
    if not settings.allow_changes:
        _check_live(metrics, settings.maximum_drop)
    advice = f"{_CHECK_COLUMNS} {what_was_tried(choice)}".rstrip()
    _check_baseline(metrics, f"{_none_found(metrics)}{advice}")
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
            f'The model finds {percent(recalls[worst])} of the held-out rows of "{worst}". '
            f"minimum_recall is {percent(settings.minimum_recall)}.",
            f"{advice} Or lower minimum_recall.",
        )


def what_was_tried(choice: Mapping[str, Any]) -> str:
    """Return how well each map did in cross-validation, for whoever wonders what else to try."""
    best: dict[str, float] = {}
    for score in choice["scores"]:
        name = MAPS[score["map"]]
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


def check_restored(metrics: Mapping[str, Any], before: Mapping[str, Any], restores: str) -> None:
    """Raise a `Refusal` if a model that is deployed again isn't as good as it was.

    It passed all gates then, and a person asks for it now. Another machine may add up distances in
    another order, which decides ties: so one row in a thousand may differ.
    """
    if metrics["rows"] == before["rows"] and (
        abs(metrics["accuracy"] - before["accuracy"]) <= MAX_DIFFERENCE
    ):
        return
    raise Refusal(
        "NotAsBefore",
        f"The model of {restores} was right on {percent(before['accuracy'], 2)} of its "
        f"{before['rows']:,} held-out rows. Deployed again it is right on "
        f"{percent(metrics['accuracy'], 2)} of {metrics['rows']:,}.",
        "The files of that run may be damaged: runs in the bucket have earlier versions. Roll back "
        "to another run, or train on its file again: knn retrain " + restores,
    )


def _check_live(metrics: Mapping[str, Any], maximum_drop: float | str) -> None:
    """Raise a `Refusal` if a model is worse than the live one, by more than chance would have it.

    With a maximum drop, it may be worse by so much, whether by chance or not, and by no more.

    On the rows that neither was trained on by McNemar's test: exact, one-sided. Without such rows
    each on its own held-out rows, by a one-sided test of two proportions. Sources: Q. McNemar,
    "Note on the sampling error of the difference between correlated proportions" (1947); NIST
    Engineering Statistics Handbook, 7.3.3, "How can we determine whether two processes produce the
    same proportion of defectives?"
    """
    live = metrics.get("live") or {}
    if "accuracy" in live:
        rows = f"the {live['rows']:,} held-out rows that neither was trained on"
        new, old = live["this"]["accuracy"], live["accuracy"]
        p_value = sign_test(live["better"], live["worse"])
        told = (
            f"{live['worse']:,} of them only the live one has right, {live['better']:,} only this"
        )
    elif own := live.get("own"):
        rows = "held-out rows, each on its own"
        new, old = metrics["accuracy"], own["accuracy"]
        p_value = proportion_test(new, metrics["rows"], old, own["rows"])
        told = f"that is {metrics['rows']:,} rows of this file, {own['rows']:,} of the earlier one"
    else:
        return
    if maximum_drop == AUTO:
        is_worse, limit = p_value < CHANCE, f"p = {p_value:.3f}; p must not be below {CHANCE:g}"
    else:
        # Differences of shares are not exact: 0.95 - 0.9 is a little less than 0.05.
        is_worse = old - new > float(maximum_drop) + 1e-9
        limit = f"maximum_drop is {percent(float(maximum_drop))}"
    if is_worse:
        raise Refusal(
            "WorseThanLive",
            f"The model is worse than the live one: it is right on {percent(new)} of {rows}, the "
            f"live one on {percent(old)}; {told} ({limit}).",
            "Look at what has changed in the file: the report compares its features and classes "
            "with those that the live model was trained on. To let it go live all the same, upload "
            "it with --allow-changes (metadata allow-changes=true).",
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


def _none_found(metrics: Mapping[str, Any]) -> str:
    """Say so if few rows have another class than the most frequent one, and none was found.

    Without a cell of the file: the API tells it to whoever has a key.
    """
    baseline = metrics["baseline"]
    found = any(of["recall"] for n, of in metrics["per_class"].items() if n != baseline["class"])
    if found or baseline["accuracy"] < 0.8:
        return ""
    return (
        f"Only {percent(1 - baseline['accuracy'])} of the held-out rows have another class, and "
        "the model found none of them. "
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
            f"{percent(metrics['accuracy'])} of the {metrics['rows']:,} held-out rows, {always} on "
            f"{percent(baseline['accuracy'])}. Cohen's kappa is {metrics['kappa']:.3f} with p = "
            f"{metrics['kappa_p_value']:.3f}. p must be below {CHANCE:g}.",
            advice,
        )
