"""What the columns of a dataset mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, Self

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})


def is_missing(field: str) -> bool:
    """Whether a field says that there is no value."""
    return field.strip().lower() in MISSING


@dataclass(frozen=True)
class Schema:
    """The label, the features in the model's order, and the classes: the index is the integer.

    Classes that the dataset has had before are among them, whether the file has rows of them or
    not. The other fields are what the dataset's owner has asked for.
    """

    label: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    missing: str = "refuse"
    standardisation: str = "none"
    duplicates: str = "report"
    group: str | None = None
    time: str | None = None

    @property
    def imputes(self) -> bool:
        """Whether features may be missing: they get the mean or median of the training rows."""
        return self.missing != "refuse"

    @property
    def transforms(self) -> bool:
        """Whether the model sees other numbers than those that were written."""
        return self.imputes or self.standardisation != "none"

    def as_dict(self) -> dict[str, Any]:
        """Return the schema as ``clean/schema.json`` holds it."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the schema that ``clean/schema.json`` holds; other fields are passed over."""
        own = {field.name for field in dataclass_fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
            if name in own
        }
        return cls(**values)
