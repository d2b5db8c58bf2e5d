"""State that is saved when a run or a deployment has ended, not only when the server does."""

import threading
import time
from typing import Any

from ministack import app
from ministack.core import persistence
from ministack.services import stepfunctions
from ministack.services.cloudformation import changesets, handlers, stacks

from embedded_aws.ministack import journal
from embedded_aws.ministack.patch import Function, patch

QUIET_SECONDS, MAX_SECONDS = 1.0, 10.0
"""Changes that follow each other sooner are saved together, but not put off for longer."""
SAVED_LATE = (
    "MiniStack saves the state of its services while it stops, so what happened since the last "
    "stop would be lost with a server that is killed"
)

_changed = threading.Event()
_saving = threading.Lock()


@patch(app, "save_all", serves=SAVED_LATE)
def save_all(original: Function, services: dict[str, Any]) -> None:
    """Save one at a time."""
    with _saving:
        covered = journal.all_done()
        original(services)
        journal.drop(covered)


@patch(stepfunctions, "_emit_execution_status_event", serves=SAVED_LATE)
@patch(changesets, "_add_event", serves=SAVED_LATE)
@patch(handlers, "_add_event", serves=SAVED_LATE)
@patch(stacks, "_add_event", serves=SAVED_LATE)
def noticed(original: Function, *args: Any, **kwargs: Any) -> Any:
    """Take notice of ends of executions and of changes of stacks."""
    result = original(*args, **kwargs)
    _changed.set()
    return result


def run_forever(stopped: threading.Event) -> None:
    """Save what has changed, once it is quiet for a second."""
    while persistence.PERSIST_STATE and not stopped.is_set():
        if not _changed.wait(QUIET_SECONDS):
            continue
        latest = time.monotonic() + MAX_SECONDS
        while _changed.is_set() and time.monotonic() < latest:
            _changed.clear()
            stopped.wait(QUIET_SECONDS)
        if not stopped.is_set():
            app.save_all(app._build_persistence_save_dict())
