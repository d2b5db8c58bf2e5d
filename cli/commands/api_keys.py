"""The API keys of clients."""

from __future__ import annotations

import click

from cli.command import SubGroup, confirmed, pass_target
from cli.errors import Problem
from cli.keys import Keys
from cli.output import answer
from cli.render import table_lines
from cli.settings import this_command
from cli.target import Target

KEYS_EXAMPLES = """\b
knn keys list
knn keys add shop                 prints its value
knn keys revoke shop              the shop is refused within a minute"""


@click.group("keys", cls=SubGroup, epilog=KEYS_EXAMPLES)
def keys() -> None:
    """List, add and revoke the API keys of clients.

    Give each client its own: a leaked one can be revoked alone.
    """


@keys.command("list")
@click.option("--values", is_flag=True, help="Show the keys themselves.")
@pass_target
def list_command(target: Target, *, values: bool) -> None:
    """List the API keys."""
    found = Keys(target.stack(), target.stack_name).all(values=values)
    rows = [
        [
            each.name,
            each.id,
            "enabled" if each.enabled else "disabled",
            f"{each.created:%Y-%m-%d %H:%M}",
            *([each.value or ""] if values else []),
        ]
        for each in found
    ]
    told = [
        {"name": each.name, "id": each.id, "enabled": each.enabled}
        | {"created": each.created.isoformat()}
        | ({"value": each.value} if values else {})
        for each in found
    ]
    header = ["name", "id", "state", "created", *(["value"] if values else [])]
    answer(target, {"keys": told}, table_lines(header, rows))


@keys.command("add")
@click.argument("name")
@pass_target
def add(target: Target, name: str) -> None:
    """Make an API key called NAME, and print its value."""
    made = Keys(target.stack(), target.stack_name).add(name)
    click.echo(
        f"This is the key of {name}. To see it again: {this_command()} keys list --values", err=True
    )
    answer(target, {"name": name, "id": made.id, "key": made.value}, [str(made.value)])


@keys.command("revoke")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
@pass_target
def revoke(target: Target, name: str, *, yes: bool) -> None:
    """Revoke the API key NAME, which may also be its ID.

    The stack's own key, and those that were made elsewhere, are disabled; others are deleted.
    """
    of_stack = Keys(target.stack(), target.stack_name)
    key = of_stack.named(name)
    others = [each for each in of_stack.all() if each.enabled and each.id != key.id]
    if not others and key.enabled:
        raise Problem(
            f"{key.name} is the last key that works. Add another first: {this_command()} keys add "
            "NAME"
        )
    confirmed(target, f"Clients that use {key.name} will be refused. Revoke it?", yes=yes)
    deleted = of_stack.revoke(key)
    line = f"{key.name} is deleted." if deleted else f"{key.name} is disabled."
    if not deleted:
        line += f" To undo this: {this_command()} keys enable {key.id}"
    answer(target, {"name": key.name, "id": key.id, "deleted": deleted}, [line])


@keys.command("enable")
@click.argument("name")
@pass_target
def enable(target: Target, name: str) -> None:
    """Let the API key NAME work again after it was disabled."""
    of_stack = Keys(target.stack(), target.stack_name)
    key = of_stack.named(name)
    of_stack.enable(key)
    answer(target, {"name": key.name, "id": key.id}, [f"{key.name} works again."])
