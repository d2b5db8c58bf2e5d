"""When state is saved."""

import threading
from typing import Any

import pytest

from embedded_aws.ministack import saving


def test_nothing_is_saved_after_what_is_saved_while_the_server_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(saving, "_stopped", threading.Event())
    saved: list[dict[str, Any]] = []

    def save_beside(state: dict[str, Any]) -> None:
        thread = threading.Thread(target=saving.save_all, args=(saved.append, state))
        thread.start()
        thread.join()

    save_beside({"state": "running"})
    # MiniStack does so in the loop of its events, which is the main thread's.
    saving.save_all(saved.append, {"state": "stopping"})
    save_beside({"state": "failed as the interpreter ended"})
    assert saved == [{"state": "running"}, {"state": "stopping"}]
