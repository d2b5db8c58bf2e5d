"""The API keys of the stack's usage plan: its own, and those that were added for clients."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3

from cli.errors import Problem
from cli.settings import this_command
from cli.stack import Stack

OWN = "the stack's own"
"""The name of the key that the stack is deployed with."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class ApiKey:
    """An API key; its value only if it was asked for."""

    name: str
    id: str
    enabled: bool
    created: datetime
    value: str | None = None


class Keys:
    """The keys that the API of a stack takes.

    Those that are added have the stack's name before their own, so that others' are left alone.
    """

    def __init__(self, stack: Stack, stack_name: str) -> None:
        self._gateway = boto3.client("apigateway")
        self._own = stack.api_key_id
        self._prefix = f"{stack_name}/"
        plans = self._gateway.get_usage_plans(keyId=self._own)["items"]
        if not plans:
            raise Problem(
                "The stack's API key is in no usage plan, so no key works. Deploy the stack again: "
                "make run, or make deploy on AWS"
            )
        self._plan = plans[0]["id"]

    def all(self, *, values: bool = False) -> list[ApiKey]:
        """Return all keys of the plan, the oldest first."""
        pages = self._gateway.get_paginator("get_usage_plan_keys").paginate(usagePlanId=self._plan)
        ids = [key["id"] for page in pages for key in page["items"]]
        keys = filter(None, (self._get(key, value=values) for key in ids))
        return sorted(keys, key=lambda key: key.created)

    def named(self, name: str, *, value: bool = False) -> ApiKey:
        """Return the key of a name, or of an id.

        Raises
        ------
        Problem
            There is none.
        """
        for key in self.all(values=value):
            if name in (key.name, key.id):
                return key
        raise Problem(f'There is no API key "{name}". See {this_command()} keys list')

    def add(self, name: str) -> ApiKey:
        """Make a key; what can't be put into the plan is deleted again.

        Raises
        ------
        Problem
            It can't be called so, or there is one already.
        """
        if not _NAME.fullmatch(name):
            raise Problem(
                f'"{name}" can\'t name a key: use up to 64 letters, digits, and - _ . between them.'
            )
        if any(key.name == name for key in self.all()):
            raise Problem(
                f'There is a key "{name}" already. Choose another name, or revoke it first: '
                f"{this_command()} keys revoke {name}"
            )
        made = self._gateway.create_api_key(name=f"{self._prefix}{name}", enabled=True)
        try:
            self._gateway.create_usage_plan_key(
                usagePlanId=self._plan, keyId=made["id"], keyType="API_KEY"
            )
        except BaseException:
            self._gateway.delete_api_key(apiKey=made["id"])
            raise
        key = self._get(made["id"], value=True)
        if key is None:
            raise Problem(f"{name} was revoked meanwhile. See {this_command()} keys list")
        return key

    def revoke(self, key: ApiKey) -> bool:
        """Delete a key; the stack's own, and those made elsewhere, are only disabled.

        Returns False if it was only disabled.
        """
        if self._is_added(key):
            self._gateway.delete_usage_plan_key(usagePlanId=self._plan, keyId=key.id)
            self._gateway.delete_api_key(apiKey=key.id)
            return True
        self._enable(key, "false")
        return False

    def enable(self, key: ApiKey) -> None:
        """Let a key that was disabled work again."""
        self._enable(key, "true")

    def _enable(self, key: ApiKey, value: str) -> None:
        patch: Any = [{"op": "replace", "path": "/enabled", "value": value}]
        self._gateway.update_api_key(apiKey=key.id, patchOperations=patch)

    def added(self) -> list[ApiKey]:
        """Return the keys that were added, which the stack doesn't delete."""
        return [key for key in self.all() if self._is_added(key)]

    def _is_added(self, key: ApiKey) -> bool:
        return self._gateway.get_api_key(apiKey=key.id)["name"].startswith(self._prefix)

    def _get(self, key_id: str, *, value: bool) -> ApiKey | None:
        """Return a key, None if it has been deleted since it was listed."""
        try:
            found = self._gateway.get_api_key(apiKey=key_id, includeValue=value)
        except self._gateway.exceptions.NotFoundException:
            return None
        name = OWN if key_id == self._own else found["name"].removeprefix(self._prefix)
        return ApiKey(
            name,
            key_id,
            bool(found["enabled"]),
            found["createdDate"],
            found["value"] if value else None,
        )


def masked(value: str) -> str:
    """Return a key as it may be shown: enough to tell it from others."""
    return f"…{value[-4:]}"
