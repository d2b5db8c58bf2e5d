"""What the columns of a run's file mean, and what its classes are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Self


class Role(StrEnum):
    """What a column is to the model. Numbers, booleans and categories are features."""

    LABEL = "label"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    IDENTIFIER = "identifier"
    CONSTANT = "constant"
    EMPTY = "empty"
    TEXT = "text"
    DATE = "date"
    IGNORED = "ignored"


FEATURE_ROLES = frozenset({Role.NUMBER, Role.BOOLEAN, Role.CATEGORY})


@dataclass(frozen=True)
class Column:
    """A column of the file. `format` says how it writes its numbers, where that isn't plain."""

    name: str
    role: Role
    reason: str
    format: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Schema:
    """A run's columns and classes, as ``clean/schema.json`` holds them.

    `features` are in the model's order, `columns` in the file's: a row of ``clean/data.csv`` has
    just these. The place of a class is the integer that the model learns; `spellings` has the class
    of each other way in which the file writes one.
    """

    label: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    spellings: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    delimiter: str = ","

    def class_of(self, label: str) -> int:
        """Return the integer of the class that a label spells, -1 if it spells none."""
        return self._integers.get(self.spellings.get(label, label), -1)

    @cached_property
    def _integers(self) -> dict[str, int]:
        return {name: integer for integer, name in enumerate(self.classes)}

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each column in a row."""
        return {column.name: place for place, column in enumerate(self.columns)}

    def column(self, name: str) -> Column:
        """Return a column by its name."""
        return self.columns[self.places[name]]

    def as_dict(self) -> dict[str, Any]:
        """Return the schema as ``clean/schema.json`` holds it."""
        # A release before 0.2 would take features as they are. By this it looks for a transform,
        # can't read it, and fails: an update that is taken back gives no wrong predictions.
        return asdict(self) | {"standardisation": "learned"}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the schema that ``clean/schema.json`` holds.

        A release before 0.2 wrote no columns: all features are numbers then.
        """
        features = tuple(fields["features"])
        columns = [
            Column(**each | {"role": Role(each["role"])}) for each in fields.get("columns", ())
        ]
        return cls(
            label=fields["label"],
            features=features,
            classes=tuple(fields["classes"]),
            spellings=fields.get("spellings", {}),
            columns=tuple(columns) or tuple(Column(n, Role.NUMBER, "") for n in features),
            delimiter=fields.get("delimiter", ","),
        )
