"""Which AWS a command talks to, and how the next command is named."""

import json
import os
import sys
from pathlib import Path

import boto3
import click
import pytest
from click.testing import CliRunner

from cli import __main__, program
from cli.command import Command, Commands, pass_target
from cli.program import cli
from cli.settings import checkout, repeat_options, this_command
from cli.target import Target


@pytest.fixture(autouse=True)
def _environment(tmp_path, monkeypatch):
    """Nothing that a command sets outlives its test."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name in ("NO_PROXY", "no_proxy", "PORT"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    # Else a client without credentials asks the machine's network for some.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-1\n")
    monkeypatch.setenv("KNN_LOCAL_DIR", str(tmp_path / "local"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    environment = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environment)
    repeat_options([])


def target_of(*arguments: str) -> Target:
    """The target of a command that does nothing, called with these arguments."""
    found: list[Target] = []

    @click.command("look", cls=Command)
    @pass_target
    def look(target: Target) -> None:
        found.append(target)

    group = Commands("program", sections={"All": [look]})
    result = CliRunner().invoke(group, [*arguments], obj=Target())
    assert result.exit_code == 0, result.output
    return found[0]


@pytest.mark.parametrize(
    ("arguments", "is_aws", "as_json"),
    [
        (["look"], False, False),
        (["--aws", "look"], True, False),
        (["look", "--aws"], True, False),
        (["--json", "look", "--profile", "work"], True, True),
        (["look", "--region", "eu-west-1", "--json"], True, True),
    ],
)
def test_options_may_stand_before_the_command_and_after_it(arguments, is_aws, as_json):
    target = target_of(*arguments)
    assert (target.is_aws, target.as_json) == (is_aws, as_json)


def test_the_embedded_aws_is_talked_to_unless_asked_otherwise():
    local = target_of("look").local
    assert local is not None
    assert boto3.client("s3").meta.endpoint_url == local.endpoint_url


def test_a_profile_and_a_region_are_those_of_all_clients_and_of_the_next_command():
    target = target_of("look", "--profile", "work", "--stack-name", "mine")
    assert target.local is None
    assert boto3.client("s3").meta.region_name == "eu-west-1"
    assert this_command().endswith(" --aws --profile work --stack-name mine")
    target = target_of("look", "--region", "ap-south-1")
    assert target.local is None
    assert boto3.client("s3").meta.region_name == "ap-south-1"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the program as its user does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["knn", *arguments])
        code = program.main()
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["runs"], 1, "Start it: make run"),
        (["runs", "--profile", "nobody"], 1, "aws configure list-profiles"),
        (["--stack-name", "other", "runs"], 1, "--stack-name"),
        (["up", "--aws"], 1, "make deploy ADDRESS="),
        (["down", "--aws"], 1, "teardown"),
        (["no-such-command"], 2, "No such command"),
        (["logs", "--lines", "none"], 2, "not a valid integer"),
    ],
)
def test_what_cannot_be_done_ends_with_a_code_and_the_next_command(capsys, arguments, code, says):
    ended, out, err = run(capsys, *arguments)
    assert (ended, out) == (code, "")
    assert says in err


def test_an_error_is_json_for_programs(capsys):
    ended, out, err = run(capsys, "runs", "--json")
    assert (ended, out) == (1, "")
    assert json.loads(err)["error"]["exit_code"] == 1


def test_a_stopped_embedded_aws_has_a_status(capsys):
    ended, out, _ = run(capsys, "status", "--json")
    assert (ended, json.loads(out)["state"]) == (1, "stopped")


def test_without_a_checkout_building_is_refused_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("cli.settings.ROOT", tmp_path)
    with pytest.raises(click.ClickException, match="needs a checkout"):
        checkout()


def test_the_next_command_is_named_as_this_one_was_called(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin/knn"
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert this_command() == "bin/knn"
    monkeypatch.setenv("PATH", str(script.parent))
    assert this_command() == "knn"
    monkeypatch.setattr(sys, "argv", [str(Path(__main__.__file__))])
    assert this_command().endswith(" -m cli")


def test_completion_completes_commands_and_their_options(monkeypatch, capsys):
    monkeypatch.setenv("_KNN_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "knn ro")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        run(capsys)
    assert "rollback" in capsys.readouterr().out
    result = CliRunner().invoke(cli, ["completion", "bash"])
    assert "_KNN_COMPLETE=bash_complete" in result.output
