"""The environment of the command line, for tests that use its modules."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cli.settings import Local


@contextmanager
def local_environment(local: Local, others: Mapping[str, str] | None = None) -> Iterator[None]:
    """Point this process to an embedded AWS, as the command line does, for as long as needed."""
    before = dict(os.environ)
    os.environ.update(others or {})
    local.use()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
