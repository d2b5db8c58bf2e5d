"""Starting and removing the embedded AWS, as far as it takes no server."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli import deploy, embedded
from cli.errors import Problem
from cli.settings import Local


@pytest.fixture
def on_ctrl_c() -> Iterator[Callable[[Any], Any]]:
    """Set what Ctrl-C does; in the background of a script, tests begin with it ignored."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


def start(done: list[str]) -> None:
    with embedded.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("written down")


def test_ctrl_c_waits_until_what_must_not_be_cut_short_is_done(on_ctrl_c):
    on_ctrl_c(signal.default_int_handler)
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        start(done)
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_that_is_ignored_stays_so(on_ctrl_c):
    on_ctrl_c(signal.SIG_IGN)
    done: list[str] = []
    start(done)
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_state_whose_removal_is_cut_short_is_not_used_again(tmp_path, monkeypatch):
    local = Local(tmp_path / "local", 4566)
    local.state.mkdir(parents=True)
    (local.state / "s3.json").write_text("{}")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(embedded.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            embedded.remove_state(local)
    assert not local.state.exists()
    embedded.remove_state(local)
    assert not local.folder.exists()


def test_what_is_no_embedded_aws_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "ORPHAN_SECONDS", 0.1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        local = Local(tmp_path, other.getsockname()[1])
        with pytest.raises(Problem, match="Another program uses port"):
            embedded.start(local)


@pytest.mark.parametrize(
    ("has", "given", "expected"),
    [
        ({}, (), "you@example.com"),
        ({}, ("EndpointKind=async",), "you@example.com"),
        ({"ReportAddresses": "me@example.com"}, (), "me@example.com"),
        ({"ReportAddresses": "me@example.com"}, ("ReportAddresses=a@b.c",), "a@b.c"),
    ],
)
def test_reports_go_on_to_the_address_that_was_given_last(monkeypatch, has, given, expected):
    monkeypatch.setattr(deploy, "_stack_parameters", lambda: has)
    parameters = deploy._parameters(given)
    assert f"ReportAddresses={expected}" in parameters
    assert set(given) <= set(parameters)
