"""How all commands are made: the options that they share, the list of them, their completion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import click
from click.exceptions import Exit
from click.shell_completion import CompletionItem

from cli.errors import EXIT_CODES, NOT_DONE
from cli.follow import all_runs
from cli.settings import STACK_NAME
from cli.target import Target

pass_target = click.make_pass_decorator(Target, ensure=True)


def target_options(*, shown: bool) -> list[click.Parameter]:
    """Return the options that say which AWS is meant and how to answer.

    They may stand before the command and after it; only the list of all commands shows them all.
    """
    return [
        _option("--aws", "aws", "Talk to AWS, with your AWS configuration.", shown, is_flag=True),
        _option("--profile", "profile", "Talk to AWS with this profile.", shown, metavar="NAME"),
        _option("--region", "region", "Talk to AWS in this region.", shown, metavar="NAME"),
        _option(
            "--stack-name",
            "stack_name",
            f"Name of the stack on AWS.  [default: {STACK_NAME}]",
            shown,
            metavar="NAME",
        ),
        _option("--json", "as_json", "Answer with JSON, for programs.", True, is_flag=True),
    ]


def _option(name: str, field: str, text: str, shown: bool, **how: Any) -> click.Option:
    def set_field(context: click.Context, _: click.Parameter, value: Any) -> None:
        # What isn't given after the command must not undo what is given before it.
        if value:
            setattr(context.ensure_object(Target), field, value)

    return click.Option(
        [name, field], help=text, hidden=not shown, expose_value=False, callback=set_field, **how
    )


class Command(click.Command):
    """A command with the options that all share."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += target_options(shown=False)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, and that there are more options."""
        write_examples(self.epilog, formatter)


class SubGroup(click.Group):
    """A command of several, such as ``keys``."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += target_options(shown=False)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, and that there are more options."""
        write_examples(self.epilog, formatter)


def write_examples(examples: str | None, formatter: click.HelpFormatter) -> None:
    """Write examples of a command, and which options it has besides."""
    with formatter.section("To work on AWS"):
        formatter.write_text("--aws, --profile NAME, --region NAME, --stack-name NAME")
    if examples:
        with formatter.section("Examples"):
            formatter.write_text(examples)


class Commands(click.Group):
    """All commands, listed by what they are for."""

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **kw: Any):
        super().__init__(*args, **kw)
        self.params += target_options(shown=True)
        self.sections = sections
        for commands in sections.values():
            for each in commands:
                self.add_command(each)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, a section each, and what their exit codes mean."""
        wide = max(map(len, self.commands))
        limit = formatter.width - 6 - wide
        for title, commands in self.sections.items():
            with formatter.section(title):
                # As wide in each section, so that all descriptions begin in one column.
                formatter.write_dl(
                    [(f"{each.name:<{wide}}", each.get_short_help_str(limit)) for each in commands]
                )

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes, then what is written at the end anyway."""
        with formatter.section("Exit codes"):
            formatter.write_text(EXIT_CODES)
        super().format_epilog(context, formatter)


command = partial(click.command, cls=Command)


def confirmed(target: Target, question: str, *, yes: bool) -> None:
    """Go on if the user says so, or has said so beforehand; otherwise end the command.

    Where nobody sits at a terminal nobody can be asked.
    """
    if yes:
        return
    if target.as_json or not click.get_text_stream("stdin").isatty():
        raise click.UsageError(f"{question} Nobody can be asked here: add --yes.")
    if not click.confirm(question, err=True):
        click.echo("Nothing was done.", err=True)
        raise Exit(NOT_DONE)


def _completed(find: Callable[[Target], list[str]]) -> Any:
    """Return what completes a name; an AWS that doesn't answer completes nothing."""

    def complete(
        context: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found: list[str] = []
        with suppress(Exception):
            target = context.find_object(Target) or Target()
            found = find(target)
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]

    return complete


def _runs(target: Target) -> list[str]:
    return [item["run"] for item in reversed(all_runs(target.stack(), None))]


def _datasets(target: Target) -> list[str]:
    return sorted({item["dataset"] for item in all_runs(target.stack(), None)})


complete_run = _completed(_runs)
complete_dataset = _completed(_datasets)
