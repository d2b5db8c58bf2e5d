"""What is done to features before the model sees them: missing values, then scale.

The numbers in it are learned from the training rows alone. Split applies it to many rows at once,
Validate and Predict to one at a time, by this module; all give the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

DECIMALS = 8
"""Of standardised features. They are about 1 in size, so a 32-bit float holds no more."""


FARTHEST = 1e18
"""Its square is still finite as a 32-bit float, and so is the distance."""


@dataclass(frozen=True)
class FeatureTransform:
    """What is done to one feature.

    A missing value becomes `fill`, as text; then a number x becomes (x - offset) / scale. None
    leaves values as they are.
    """

    fill: str | None = None
    offset: float | None = None
    scale: float | None = None

    def apply(self, text: str) -> str:
        """Return what the model sees of a number as text; an empty text is a missing value."""
        text = text or self.fill or ""
        if self.offset is None or self.scale is None:
            return text
        return fixed((float(text) - self.offset) / self.scale)


@dataclass(frozen=True)
class Transform:
    """What is done to each feature, in the model's order."""

    features: tuple[FeatureTransform, ...]

    def apply(self, row: Sequence[str]) -> list[str]:
        """Return what the model sees of a row of features."""
        return [feature.apply(text) for feature, text in zip(self.features, row, strict=True)]

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the transform as ``transform.json`` holds it."""
        features = zip(names, self.features, strict=True)
        return {"features": {name: asdict(feature) for name, feature in features}}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the transform that ``transform.json`` holds."""
        return cls(tuple(FeatureTransform(**feature) for feature in fields["features"].values()))


def fixed(number: float) -> str:
    """Return a number, within ±`FARTHEST`, with `DECIMALS` decimals."""
    units = round(max(min(number, FARTHEST), -FARTHEST) * 10**DECIMALS)
    whole, part = divmod(abs(units), 10**DECIMALS)
    return f"{'-' if units < 0 else ''}{whole}.{part:0{DECIMALS}}"
