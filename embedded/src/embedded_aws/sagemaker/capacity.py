"""How many jobs run at a time on this machine; the others wait their turn."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from embedded_aws.sagemaker.jobs import changed

RECHECK_SECONDS = 1.0


class Capacity:
    """A number of places, given in the order in which they are asked for.

    ``changed`` is what tells those who wait that something may have happened to their job.
    """

    def __init__(self, places: int, changed: threading.Condition) -> None:
        self.free = places
        self.changed = changed
        self.queue: list[object] = []

    @contextmanager
    def place(self, waiting: Callable[[], None], check: Callable[[], None]) -> Iterator[None]:
        """Hold a place; ``waiting`` is called once if there is none yet.

        ``check`` is called whenever something changed, and leaves off by raising.
        """
        ticket = object()
        with self.changed:
            self.queue.append(ticket)
            at_once = self.at_turn(ticket)
        try:
            if not at_once:
                waiting()
            with self.changed:
                while not self.at_turn(ticket):
                    check()
                    self.changed.wait(RECHECK_SECONDS)
                self.free -= 1
        finally:
            with self.changed:
                self.queue.remove(ticket)
                self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.free += 1
                self.changed.notify_all()

    def at_turn(self, ticket: object) -> bool:
        """Whether there is a place for the holder of the ticket."""
        return self.queue.index(ticket) < self.free


instances = Capacity(max(2, os.cpu_count() or 1), changed)
"""Where training and transform jobs run: as many at a time as there are processors."""
