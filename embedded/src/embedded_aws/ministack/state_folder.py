"""The folder of the state: whoever deletes it while the server runs wants the server to end."""

import os
import signal
import threading

from ministack import app
from ministack.core import persistence

WATCH_SECONDS = 1.0


def watch(stopped: threading.Event) -> None:
    """End the server, without saving, when its folder is deleted or another takes its place."""
    if not persistence.PERSIST_STATE:
        return
    first = None
    while not stopped.wait(WATCH_SECONDS):
        found = identity(persistence.STATE_DIR)
        if first is not None and found != first:
            print(f"{persistence.STATE_DIR} was deleted: the server ends.", flush=True)
            # Saving would make the folder anew.
            app.PERSIST_STATE = persistence.PERSIST_STATE = False
            os.kill(os.getpid(), signal.SIGTERM)
            return
        first = found


def identity(folder: str) -> tuple[int, int] | None:
    """Return what tells a folder from another of its name, None if there is none."""
    try:
        found = os.stat(folder)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
