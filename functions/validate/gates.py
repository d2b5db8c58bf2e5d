"""Whether a validated model may go live."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from pipeline.errors import Refusal
from pipeline.settings import Settings

CHANCE = 0.05
"""What happens less often by chance isn't taken for chance."""

_ADD_COLUMNS = (
    "The features say too little about the label. Add columns that tell the classes apart, or more "
    "rows, and upload the file again."
)


def check_gates(
    metrics: dict[str, Any],
    settings: Settings,
    of_file: Collection[str],
    live_classes: Collection[str],
    tried: str,
) -> None:
    """Raise a `Refusal` if a model doesn't pass a gate.

    Parameters
    ----------
    metrics
        Those of the held-out rows.
    of_file
        The classes that the file has rows of.
    live_classes
        Those that the dataset's live model knows, if there is one.
    tried
        What was tried to make it better, in words.
    """
    lost = [name for name in live_classes if name not in of_file]
    if lost and not settings.allow_changes:
        raise Refusal(
            "LostClass",
            f"The file has no rows of {len(lost):,} of the {len(live_classes):,} classes of the "
            f'live model, such as "{lost[0]}". The new model would never predict them.',
            "Add rows of these classes and upload the file again; or accept the change with "
            "--allow-changes (metadata allow-changes=true).",
        )
    if metrics["rows"] < (least_rows := settings.minimum_test_rows):
        raise Refusal(
            "TooFewTestRows",
            f"Only {metrics['rows']:,} rows were held out, too few to tell how good the model is: "
            f"at least {least_rows:,} are needed.",
            f"Upload a file with at least {math.ceil(least_rows / settings.test_fraction):,} rows, "
            "hold out a greater test_fraction, or lower minimum_test_rows.",
        )
    _check_baseline(metrics, tried)
    for name, least in (
        ("accuracy", settings.minimum_accuracy),
        ("macro_f1", settings.minimum_macro_f1),
    ):
        if metrics[name] < least:
            raise Refusal(
                f"{'Accuracy' if name == 'accuracy' else 'MacroF1'}TooLow",
                f"The model's {name.replace('_', ' ').replace('f1', 'F1')} on the held-out rows is "
                f"{metrics[name]:.4f}; minimum_{name} asks for at least {least:g}. {tried}",
                f"Look at the confusion matrix, upload a better file, or lower minimum_{name}.",
            )
    recalls = {n: c["recall"] for n, c in metrics["per_class"].items() if c["support"]}
    worst = min(recalls, key=recalls.__getitem__)
    if recalls[worst] < settings.minimum_recall:
        raise Refusal(
            "RecallTooLow",
            f'The model finds {recalls[worst]:.1%} of the held-out rows of "{worst}"; '
            f"minimum_recall asks for at least {settings.minimum_recall:.1%}. {tried}",
            f'Add rows of "{worst}" and upload the file again, or lower minimum_recall.',
        )


def _check_baseline(metrics: dict[str, Any], tried: str) -> None:
    baseline = metrics["baseline"]
    always = f'always predicting "{baseline["class"]}"'
    if metrics["kappa_p_value"] > CHANCE and metrics["macro_f1"] > baseline["macro_f1"]:
        raise Refusal(
            "NoBetterThanChance",
            f"The model is right on {metrics['accuracy']:.1%} of the {metrics['rows']:,} held-out "
            f"rows; {always} is right on {baseline['accuracy']:.1%}. What it predicts agrees with "
            f"the label no more than chance does. {tried}",
            _ADD_COLUMNS,
        )
    if metrics["macro_f1"] <= baseline["macro_f1"]:
        name, ours, its = "macro F1", metrics["macro_f1"], baseline["macro_f1"]
    elif metrics["accuracy"] < baseline["accuracy"] and baseline["p_value"] < CHANCE:
        name, ours, its = "accuracy", metrics["accuracy"], baseline["accuracy"]
    else:
        return
    raise Refusal(
        "NotBetterThanBaseline",
        f"The model is no better than {always}: its {name} on the held-out rows is {ours:.4f}, "
        f"that of {always} is {its:.4f}. {tried}",
        _ADD_COLUMNS,
    )
