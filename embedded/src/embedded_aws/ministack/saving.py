"""State that is saved when a run or a deployment has ended, not only when the server does."""

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import persistence
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import lambda_svc, stepfunctions
from ministack.services.cloudformation import changesets, handlers, stacks

from embedded_aws.ministack import journal
from embedded_aws.ministack.patch import Function, patch

QUIET_SECONDS, MAX_SECONDS = 1.0, 10.0
"""Changes that follow each other sooner are saved together, but not put off for longer."""
SAVED_LATE = (
    "MiniStack saves the state of its services while it stops, so what happened since the last "
    "stop would be lost with a server that is killed"
)
SAVED_OFTEN = (
    "MiniStack saves once, so it may take seconds; while it encodes, no request can be answered"
)

logger = logging.getLogger(__name__)
_changed = threading.Event()
_saving = threading.Lock()
_stopped = threading.Event()


@patch(app, "save_all", serves=SAVED_LATE)
def save_all(original: Function, services: dict[str, Any]) -> None:
    """Save one at a time, and nothing more once MiniStack has saved while it stops.

    What still runs then fails because the interpreter ends. It is interrupted, and hasn't failed.
    """
    with _saving:
        if _stopped.is_set():
            return
        covered = journal.all_done()
        original(services)
        journal.drop(covered)
        if threading.current_thread() is threading.main_thread():
            _stopped.set()


@patch(persistence, "save_state", serves=SAVED_OFTEN)
def save_state(original: Function, service: str, data: dict[str, Any]) -> None:
    """Encode in C: `json.dump`, which writes bit by bit, encodes in Python."""
    if not persistence.PERSIST_STATE:
        return
    state = {"__ministack_format__": persistence._state_format_version(service), "payload": data}
    path = Path(persistence.STATE_DIR) / f"{service}.json"
    partial = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(state, default=persistence._json_default))
        partial.replace(path)
    except (OSError, RuntimeError, TypeError, ValueError):
        # What other services have to save is saved all the same.
        logger.exception("the state of %s can't be saved", service)


@patch(stepfunctions, "get_state", serves=SAVED_OFTEN)
def stepfunctions_state(original: Function) -> dict[str, Any]:
    """Copy nothing: histories are long, and are encoded at once."""
    return {
        "state_machines": stepfunctions._state_machines,
        "executions": stepfunctions._executions,
        "tags": stepfunctions._tags,
        "activities": stepfunctions._activities,
        "state_machine_versions": stepfunctions._state_machine_versions,
        "state_machine_aliases": stepfunctions._state_machine_aliases,
        "map_runs": stepfunctions._map_runs,
    }


@patch(lambda_svc, "get_state", serves=SAVED_OFTEN)
def lambda_state(original: Function) -> dict[str, Any]:
    """Keep layers where the code of functions is kept: in files, written once."""
    state: dict[str, Any] = original()
    for version in _layer_versions(state["layers"]):
        lambda_svc._write_code_blob(version["_zip_data"])
        version["_zip_data"] = {lambda_svc._BLOB_REF_KEY: _digest(version)}
    return state


@patch(lambda_svc, "_prune_orphan_code_blobs", serves=SAVED_OFTEN)
def prune_blobs(original: Function, referenced: set[str]) -> None:
    """Keep the files of layers."""
    original(referenced | {_digest(version) for version in _layer_versions(lambda_svc._layers)})


@patch(lambda_svc, "_restore_state", serves=SAVED_OFTEN)
def restore_lambda(original: Function, data: dict[str, Any]) -> None:
    """Read layers back from their files."""
    for version in _layer_versions(data["layers"]):
        if isinstance(version["_zip_data"], dict):
            version["_zip_data"] = lambda_svc._read_code_blob(_digest(version))
    original(data)


def _layer_versions(layers: AccountRegionScopedDict) -> Iterator[dict[str, Any]]:
    """Yield the versions of all layers that have content."""
    for layer in layers.all_values():
        yield from (version for version in layer["versions"] if version["_zip_data"])


def _digest(version: dict[str, Any]) -> str:
    """Return what the file of a layer's version is called."""
    return base64.b64decode(version["Content"]["CodeSha256"]).hex()


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
