"""What a report is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pipeline.registry import Status


@dataclass(frozen=True)
class Facts:
    """What is known of a run: how it ended, and what the files of its folder hold.

    A file that the run has not come to is None. `restores` names the run whose model is deployed
    again: with `pins` that is a rollback, after which the dataset is pinned, and with `repairs` it
    is the live one, whose endpoint was gone. `canary` tells how the model did on some of the
    requests before it was to go live, or why it wasn't tried on any. `stages` has the seconds that
    each took, `costs` an estimate in USD, `links` the address of each place; `example` is a
    held-out row as the API takes it.
    """

    run: str
    dataset: str
    status: Status
    source: str
    folder: str
    version: str = ""
    metrics: dict[str, Any] | None = None
    wrong: dict[str, Any] | None = None
    profile: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] | None = None
    choice: dict[str, Any] | None = None
    training_accuracy: float | None = None
    problem: dict[str, str] | None = None
    canary: dict[str, Any] | None = None
    restores: str = ""
    pins: bool = False
    repairs: bool = False
    previous_is_live: bool = False
    predictions_url: str | None = None
    api_authorization: str = "key"
    example: list[Any] | None = None
    stages: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The name of the file that was uploaded."""
        return self.source.rpartition("/")[2] or "the file"

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as ``report/report.json`` holds them."""
        return vars(self) | {"status": str(self.status)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the facts that `as_dict` was made from."""
        return cls(**{**fields, "status": Status(fields["status"])})
