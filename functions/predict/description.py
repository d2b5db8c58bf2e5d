"""What a client needs to know of a live model to ask it."""

from __future__ import annotations

from typing import Any

from pipeline.registry import LIVE, LiveModel
from pipeline.schema import Role
from pipeline.transform import Encoding
from predict.models import Models


def described(models: Models, model: LiveModel) -> dict[str, Any]:
    """Return a live model with its features, schema and metrics, and an example to ask it."""
    run = model.run
    schema, choice, profile = models.schema(run), models.choice(run), models.profile(run)
    example = models.example(run)
    return {
        "dataset": model.dataset,
        LIVE: {
            "run": run,
            "endpoint_kind": model.endpoint_kind,
            "promoted": model.promoted,
            "metrics": models.metrics(run),
        },
        "schema": {
            "label": schema.label,
            "features": schema.features,
            "types": [schema.column(name).role for name in schema.features],
            "classes": schema.classes,
        },
        "label": schema.label,
        "classes": schema.classes,
        "features": [
            _feature(each, profile.get(each.name, {})) for each in models.transform(run).encodings
        ],
        **{name: choice[name] for name in ("k", "weights", "map", "metric") if "map" in choice},
        **({} if example is None else {"example": example}),
    }


def _feature(encoding: Encoding, profile: dict[str, Any]) -> dict[str, Any]:
    """Return what may be sent for a feature; a range or categories, as far as they are known."""
    feature: dict[str, Any] = {
        "name": encoding.name,
        "role": encoding.role,
        "nullable": encoding.fill is not None,
    }
    if encoding.role is Role.NUMBER and "min" in profile:
        feature |= {"minimum": profile["min"], "maximum": profile["max"]}
    if encoding.role is Role.CATEGORY:
        # A release before 0.2 wrote only what has a number of its own.
        feature["categories"] = encoding.categories or [v for v in encoding.values if v]
    return feature
