"""What happens to the server when the folder of its state is deleted."""

import os
import signal
import threading
from pathlib import Path

import pytest
from ministack import app
from ministack.core import persistence

from embedded_aws.ministack import state_folder


@pytest.mark.parametrize("replaced", [False, True])
def test_the_server_ends_without_saving_when_its_folder_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    folder, seen, stopped = tmp_path / "state", threading.Event(), threading.Event()
    folder.mkdir()
    monkeypatch.setattr(state_folder, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(app, "PERSIST_STATE", True)
    monkeypatch.setattr(persistence, "PERSIST_STATE", True)
    monkeypatch.setattr(persistence, "STATE_DIR", str(folder))
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: told.append(given))
    identity = state_folder.identity

    def watched(path: str) -> tuple[int, int] | None:
        found = identity(path)
        seen.set()
        return found

    monkeypatch.setattr(state_folder, "identity", watched)
    watcher = threading.Thread(target=state_folder.watch, args=(stopped,))
    watcher.start()
    assert seen.wait(10)
    folder.rename(tmp_path / "elsewhere")
    if replaced:
        folder.mkdir()
    watcher.join(10)
    stopped.set()
    assert told == [(os.getpid(), signal.SIGTERM)]
    assert not app.PERSIST_STATE
    assert not persistence.PERSIST_STATE
