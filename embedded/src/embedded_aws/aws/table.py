"""Where resources are kept: one table a kind, by account, region and name."""

import copy
import threading
from collections.abc import Iterator
from typing import Any

from embedded_aws.aws.platform import Scope

Document = dict[str, Any]

lock = threading.RLock()
"""Held while resources are read and changed; never while waiting for anything."""


class Table:
    """Resources of a kind. Documents are shaped like Describe answers, times in epoch seconds."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Document] = {}

    def get(self, scope: Scope, name: str) -> Document | None:
        """The resource of that name, the live object, or None."""
        return self.rows.get((scope.account, scope.region, name))

    def put(self, scope: Scope, name: str, document: Document) -> None:
        """Keep the resource under its name."""
        self.rows[scope.account, scope.region, name] = document

    def delete(self, scope: Scope, name: str) -> Document | None:
        """Forget the resource of that name, and return it if there was one."""
        return self.rows.pop((scope.account, scope.region, name), None)

    def all(self, scope: Scope) -> list[Document]:
        """The resources of a scope."""
        return [
            document
            for (account, region, _), document in list(self.rows.items())
            if (account, region) == (scope.account, scope.region)
        ]

    def everywhere(self) -> Iterator[tuple[Scope, str, Document]]:
        """Every resource with its scope and name."""
        for (account, region, name), document in list(self.rows.items()):
            yield Scope(account, region), name, document

    def to_json(self) -> list[list[Any]]:
        """All rows as plain JSON, a copy that doesn't change while it is written."""
        with lock:
            return [[*key, copy.deepcopy(document)] for key, document in self.rows.items()]

    def load_json(self, rows: list[list[Any]]) -> None:
        """Put rows back that ``to_json`` gave."""
        for account, region, name, document in rows:
            self.rows[account, region, name] = document


class Tables(dict[str, Table]):
    """The tables of a service by name: its state."""

    def get_state(self) -> Document:
        """Everything to keep, as plain JSON."""
        with lock:
            return {name: table.to_json() for name, table in self.items()}

    def load_persisted_state(self, state: Document) -> None:
        """Put back what ``get_state`` gave."""
        for name, table in self.items():
            table.load_json(state.get(name, []))

    def reset(self) -> None:
        """Forget everything."""
        for table in self.values():
            table.rows.clear()
