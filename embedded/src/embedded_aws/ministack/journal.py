"""What the server has accepted since it last saved its state, so that a kill loses none of it.

AWS keeps an event that it has accepted, and an execution that it has started. Here state is saved
once it is quiet for a second, so these two are written to a file at once, and dropped from it by
the next saving after they are done with.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

from ministack.core import persistence

_entries: dict[str, dict[str, Any]] = {}
"""What was accepted, by its id; those that are done with have ``done``."""
_lock = threading.Lock()


def _file() -> Path:
    return Path(persistence.STATE_DIR) / "accepted.jsonl"


def note(kind: str, identity: str, data: Any) -> None:
    """Write down that something was accepted."""
    entry = {"id": identity, "kind": kind, "data": data}
    with _lock:
        _entries[identity] = entry
        if persistence.PERSIST_STATE:
            with _file().open("a") as file:
                file.write(json.dumps(entry) + "\n")


def done(identity: str) -> None:
    """Let the next saving drop what was accepted: its effects are saved then, too."""
    with _lock:
        if identity in _entries:
            _entries[identity]["done"] = True


def all_done() -> list[str]:
    """What a saving that begins now may drop."""
    with _lock:
        return [identity for identity, entry in _entries.items() if entry.get("done")]


def drop(identities: list[str]) -> None:
    """Drop what a saving has covered."""
    with _lock:
        for identity in identities:
            _entries.pop(identity, None)
        if identities and persistence.PERSIST_STATE:
            rest = [json.dumps(entry) + "\n" for entry in _entries.values()]
            beside = _file().with_suffix(".new")
            beside.write_text("".join(rest))
            os.replace(beside, _file())


def accepted_before(kind: str) -> list[tuple[str, Any]]:
    """What an earlier server had accepted and not saved, in order: ids and data.

    Each stays written down until it is accepted again or done.
    """
    if not persistence.PERSIST_STATE or not _file().exists():
        return []
    found = {}
    for line in _file().read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            # The last line of a server that was killed while it wrote.
            continue
        if entry["kind"] == kind:
            found[entry["id"]] = entry
    with _lock:
        for identity, entry in found.items():
            _entries.setdefault(identity, {**entry, "done": False})
    return [(identity, entry["data"]) for identity, entry in found.items()]
