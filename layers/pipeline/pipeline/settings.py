"""The settings in force for a run: the stack's, then the dataset's, then the upload's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """The fields of ``schema.json``, as docs/datasets.md describes them.

    None, "auto" and empty tuples leave the choice to the pipeline.
    """

    label: str | None = None
    features: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    missing: str = "median"
    duplicates: str = "report"
    group: str | None = None
    time: str | None = None
    test_fraction: float = 0.25
    max_test_rows: int = 20_000
    max_rejected_fraction: float = 0.1
    seed: int = 0
    standardisation: str = AUTO
    k: int | str = AUTO
    weights: str = AUTO
    metric: str = AUTO
    sample_size: int | str = AUTO
    index_type: str = AUTO
    minimum_test_rows: int = 10
    minimum_accuracy: float = 0.0
    minimum_macro_f1: float = 0.0
    minimum_recall: float = 0.0
    maximum_drop: float | str = AUTO
    allow_changes: bool = False
    promote: bool = True
    endpoint_kind: str | None = None
    canary_percent: int = 0
    canary_minutes: int = 10

    @property
    def imputes(self) -> bool:
        """Whether features may be missing: they get the mean or median of the training rows."""
        return self.missing != "refuse"

    @property
    def split_by(self) -> str:
        """What the split goes by: ``group``, ``time``, equal rows (``text``), or ``class``."""
        if self.group:
            return "group"
        if self.time:
            return "time"
        return "text" if self.duplicates == "same_side" else "class"

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as ``clean/settings.json`` holds them: those that are set."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Return the settings in a dictionary; other fields are ignored."""
        own = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
            if name in own
        }
        return cls(**values)
