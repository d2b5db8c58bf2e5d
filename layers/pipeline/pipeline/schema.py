"""What the columns of a dataset mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Schema:
    """The label, the features in the model's order, and the classes: the index is the integer."""

    label: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    ignored: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the schema as ``clean/schema.json`` holds it."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the schema that ``clean/schema.json`` holds; other fields are passed over."""
        return cls(
            label=fields["label"],
            features=tuple(fields["features"]),
            classes=tuple(fields["classes"]),
            ignored=tuple(fields.get("ignored", ())),
        )
