"""What code can come to import, lazily too: told from its source, not by running it."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

WHOLE = ""
"""Stands for what a module does when it is imported."""


@dataclass
class Module:
    """A module of ours: its top-level definitions, and what names stand for in it."""

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    meanings: dict[str, tuple[str, str]] = field(default_factory=dict)


def sources(folder: Path) -> dict[str, Path]:
    """The modules in a folder of the import path."""
    found = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes, but for what is only there for type checkers."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(node.orelse)
            continue
        yield node
        yield from statements(ast.iter_child_nodes(node))


def imported(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str, str]]:
    """Each import: module, name in it (or none), and what it is called here."""
    for node in statements(nodes):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, WHOLE, alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for alias in node.names:
                yield node.module or "", alias.name, alias.asname or alias.name


def parsed(path: Path) -> Module:
    module = Module({WHOLE: []})
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            module.definitions[node.name] = [node]
        else:
            module.definitions[WHOLE].append(node)
    module.meanings = {
        called: (name, part) for name, part, called in imported(module.definitions[WHOLE])
    }
    return module


def reachable_imports(start: str, own: Mapping[str, Path], shared: Mapping[str, Path]) -> set[str]:
    """The modules, and names in them (``module:name``), that code beginning in `start` may import.

    All of a module in `own` counts as reached; of a module in `shared`, what is used of it.
    """
    modules = {name: parsed(path) for name, path in {**own, **shared}.items()}
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(start, WHOLE)]
    while waiting:
        place = waiting.pop()
        name, definition = place
        if place in seen or name not in modules or definition not in modules[name].definitions:
            continue
        seen.add(place)
        module = modules[name]
        if name in own:
            waiting += [(name, other) for other in module.definitions]
        nodes = module.definitions[definition]
        meanings = dict(module.meanings)
        for source, part, called in imported(nodes):
            submodule = f"{source}.{part}" if f"{source}.{part}" in modules else None
            found.add(submodule or (f"{source}:{part}" if part else source))
            waiting.append((submodule or source, WHOLE))
            meanings[called] = (source, part)
        for node in statements(nodes):
            if isinstance(node, ast.Name):
                waiting.append((name, node.id))
                source, part = meanings.get(node.id, (WHOLE, WHOLE))
                waiting.append((source, part))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                source, part = meanings.get(node.value.id, (WHOLE, WHOLE))
                waiting.append((f"{source}.{part}" if part else source, node.attr))
    return found
