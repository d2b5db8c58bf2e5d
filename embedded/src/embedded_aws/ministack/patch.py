"""Where this takes hold of MiniStack: each function that is replaced, why, and by what.

MiniStack has no plug-in interface, so its functions and tables are patched, in one module for each
of its services. A patch is declared where it is written, and takes effect with `install`. What is
declared is also what the tests go by that say what an upgrade of MiniStack has moved, and what
``docs/upstream.md`` has to list.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Function = Callable[..., Any]


@dataclass(frozen=True)
class Patch:
    """A replacement for a function of a module, a class or a table, or a new entry of a table.

    ``fixes`` says what MiniStack does otherwise than AWS, and ``source`` where AWS documents it.
    ``serves`` says instead what the embedded AWS needs that MiniStack owes nobody.
    """

    target: Any
    name: str
    replacement: Any
    is_new: bool
    fixes: tuple[str, ...]
    serves: str
    source: str
    version: str
    """The version of MiniStack that it was written for."""
    auth: bool
    """Whether it takes effect only where IAM is enforced."""

    @property
    def current(self) -> Function:
        """The function that is called now."""
        table = self.target if isinstance(self.target, dict) else vars(self.target)
        function: Function = table[self.name]
        return function

    def install(self) -> None:
        """Put the replacement into its place; it is given the original first."""
        if self.is_new:
            self.target[self.name] = self.replacement
            return
        original = self.current

        # A function, since a class makes a method of nothing else.
        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            return self.replacement(original, *args, **kwargs)

        if isinstance(self.target, dict):
            self.target[self.name] = replacement
        else:
            setattr(self.target, self.name, replacement)


PATCHES: list[Patch] = []


def patch(
    target: Any,
    name: str,
    *,
    fixes: str | tuple[str, ...] = (),
    serves: str = "",
    source: str = "",
    version: str = "1.5.33",
    auth: bool = False,
) -> Callable[[Function], Function]:
    """Declare that the decorated function replaces one of MiniStack's."""

    def declare(replacement: Function) -> Function:
        titles = (fixes,) if isinstance(fixes, str) else fixes
        new = Patch(target, name, replacement, False, titles, serves, source, version, auth)
        PATCHES.append(new)
        return replacement

    return declare


def add(
    table: dict[str, Any],
    name: str,
    value: Any,
    *,
    fixes: str = "",
    serves: str = "",
    source: str = "",
    version: str = "1.5.33",
) -> None:
    """Declare an entry that one of MiniStack's tables lacks."""
    titles = (fixes,) if fixes else ()
    PATCHES.append(Patch(table, name, value, True, titles, serves, source, version, False))


def load() -> list[Patch]:
    """Import the modules beside this one, which declares their patches, and return all patches."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
    return PATCHES


def install(auth: bool) -> None:
    """Install what is declared, with or without what enforces IAM."""
    for declared in load():
        if auth or not declared.auth:
            declared.install()
