"""The help, which is the manual."""

import pytest
from click.testing import CliRunner

from cli.__main__ import cli


def shown(*command: str) -> list[str]:
    result = CliRunner().invoke(cli, [*command, "--help"], terminal_width=80)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_each_command_is_listed_with_a_whole_sentence():
    lines = shown()
    listed = lines[lines.index("Commands:") + 1 :]
    assert {line.split()[0] for line in listed} == set(cli.commands)
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize("command", ["drop", "settings"])
def test_settings_are_shown_by_examples_that_are_no_longer_than_a_line(command):
    lines = shown(command)
    examples = [line.strip() for line in lines if line.startswith(f"  {command} titanic")]
    assert len(examples) >= 2
    assert max(map(len, lines)) <= 82
