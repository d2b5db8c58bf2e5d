"""What happens to the server when the folder of its state is deleted."""

import os
import signal
import threading
from pathlib import Path

import pytest

from embedded_aws.ministack import saving


@pytest.mark.parametrize("replaced", [False, True])
def test_the_server_ends_without_saving_when_its_folder_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    folder, ended = tmp_path / "state", threading.Event()
    folder.mkdir()
    monkeypatch.setattr(saving, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(saving, "_gone", threading.Event())
    monkeypatch.setattr(saving.persistence, "PERSIST_STATE", True)
    monkeypatch.setattr(saving.persistence, "STATE_DIR", str(folder))
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: told.append(given))
    seen = threading.Event()
    identity = saving._identity

    def watched(path: str) -> tuple[int, int] | None:
        found = identity(path)
        seen.set()
        return found

    monkeypatch.setattr(saving, "_identity", watched)
    watcher = threading.Thread(target=saving.watch_folder, args=(ended,))
    watcher.start()
    assert seen.wait(10)
    folder.rename(tmp_path / "elsewhere")
    if replaced:
        folder.mkdir()
    watcher.join(10)
    ended.set()
    assert told == [(os.getpid(), signal.SIGTERM)]
    saved: list[object] = []
    saving.save_all(saved.append, {})
    assert saved == []
