"""The help, which is the manual."""

import re

import click
import pytest
from click.testing import CliRunner

from cli.program import cli
from cli.settings import program_version


def shown(*command: str) -> list[str]:
    result = CliRunner().invoke(cli, [*command, "--help"], terminal_width=80)
    assert result.exit_code == 0
    return result.output.splitlines()


def all_commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in cli.commands.items():
        subcommands = command.commands if isinstance(command, click.Group) else ()
        found += [(name, each) for each in subcommands] or [(name,)]
    return found


def test_each_command_is_listed_with_a_whole_sentence():
    listed = [line for line in shown() if re.match(r"  [a-z]+ +[A-Z]", line)]
    assert [line.split()[0] for line in listed] == list(cli.commands)
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_the_exit_codes_are_listed():
    assert {line.split()[0] for line in shown() if re.match(r"  \d+ ", line)} >= {"0", "1", "2"}


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_each_command_can_answer_with_json(command):
    assert any(line.startswith("  --json ") for line in shown(*command))


@pytest.mark.parametrize("command", ["drop", "settings", "predict", "delete", "logs"])
def test_a_command_is_shown_by_examples_that_are_no_longer_than_a_line(command):
    lines = shown(command)
    examples = [line.strip() for line in lines if line.startswith(f"  knn {command} ")]
    assert len(examples) >= 2
    assert max(map(len, lines)) <= 82


def test_the_version_is_that_of_the_project():
    result = CliRunner().invoke(cli, ["--version"])
    assert result.output == f"knn, version {program_version()}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", program_version())
