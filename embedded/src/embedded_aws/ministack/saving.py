"""State that is saved when a run or a deployment has ended, not only when the server does.

MiniStack saves the state of its services while it stops, so what happened since the last stop would
be lost with a server that is killed. Like the server this takes hold of MiniStack's
internals, and the same test watches over it.
"""

import threading
from collections.abc import Callable
from typing import Any

from ministack import app as ministack_app
from ministack.core import persistence
from ministack.services import stepfunctions
from ministack.services.cloudformation import stacks

QUIET_SECONDS = 1.0
"""Changes that follow each other sooner are saved together."""

_changed = threading.Event()
_saving = threading.Lock()


def install() -> None:
    """Take notice of ends of executions and of changes of stacks, and save one at a time."""
    save_all = persistence.save_all

    def save_all_alone(services: dict[str, Any]) -> None:
        with _saving:
            save_all(services)

    ministack_app.save_all = save_all_alone
    stepfunctions._emit_execution_status_event = noticed(stepfunctions._emit_execution_status_event)
    stacks._add_event = noticed(stacks._add_event)


def noticed(change: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does the same, and is noticed."""

    def change_noticed(*arguments: Any, **options: Any) -> Any:
        result = change(*arguments, **options)
        _changed.set()
        return result

    return change_noticed


def run_forever(stopped: threading.Event) -> None:
    """Save what has changed, once it is quiet for a second."""
    while persistence.PERSIST_STATE and not stopped.is_set():
        if not _changed.wait(QUIET_SECONDS):
            continue
        while _changed.is_set():
            _changed.clear()
            stopped.wait(QUIET_SECONDS)
        if not stopped.is_set():
            ministack_app.save_all(ministack_app._build_persistence_save_dict())
