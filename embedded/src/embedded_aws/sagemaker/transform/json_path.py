"""The JSONPath expressions of batch transform's filters.

Only what SageMaker supports, and as it documents it: a slice includes its end, several names
select an object of them, and what isn't there is an error.
Source: developer guide, "Associate Prediction Results with Input Records"; API reference,
"DataProcessing"; for what it refuses, aws/aws-sdk issue 184 (characters of names) and
aws/sagemaker-python-sdk issue 1112 (several ranges).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

OPERATORS = tuple("$[]*. ,:-'")
"""What an expression may hold besides letters and digits."""
NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
QUOTED = r"'[^']*'"
INDEX = r"-?\d+"
PART = rf"(?:{INDEX})?:(?:{INDEX})?|{INDEX}"
STEP = re.compile(
    rf"\.(?P<name>{NAME})"
    rf"|(?P<wildcard>\.\*|\.?\[\*\])"
    rf"|\.?\[\s*(?P<names>(?:{QUOTED})(?:\s*,\s*(?:{QUOTED}))*)\s*\]"
    rf"|\.?\[\s*(?P<indexes>(?:{PART})(?:\s*,\s*(?:{PART}))*)\s*\]"
)

Step = Callable[[Any], Any]


class JsonPathError(Exception):
    """The expression isn't one that batch transform knows."""


class NotFoundError(Exception):
    """The value has nothing where the expression points."""


class UnsupportedError(Exception):
    """The expression is refused only once it is applied."""


@dataclass(frozen=True)
class JsonPath:
    """A compiled expression: for each step, what it selects, and whether that may be many."""

    expression: str
    steps: tuple[tuple[Step, bool], ...]

    def select(self, value: Any) -> Any:
        """The part of a value that the expression points to.

        Raises NotFoundError: there is nothing there; UnsupportedError: it has several ranges.
        """
        many = False
        for step, spreads in self.steps:
            if not many:
                value = step(value)
            elif spreads:
                value = [item for found in value for item in step(found)]
            else:
                value = [step(found) for found in value]
            many = many or spreads
        return value


def compile_path(expression: str) -> JsonPath:
    """Compile an expression, ``$[0,5:]`` say.

    Raises JsonPathError: it isn't one.
    """
    text = expression.strip()
    if not text.startswith("$"):
        raise JsonPathError(f"{expression!r} must begin with $")
    return JsonPath(expression, tuple(compile_steps(text, expression)))


def unexpected_character(expression: str) -> str | None:
    """The first character that no expression may have, in names neither."""
    for character in expression:
        if character not in OPERATORS and not (character.isascii() and character.isalnum()):
            return character
    return None


def compile_steps(text: str, expression: str) -> Iterator[tuple[Step, bool]]:
    """Compile what follows the ``$``."""
    at = 1
    while at < len(text):
        match = STEP.match(text, at)
        if match is None:
            raise JsonPathError(f"{expression!r} has something else than a step at {text[at:]!r}")
        at = match.end()
        if match["wildcard"]:
            yield every, True
        elif match["indexes"]:
            parts = [part.strip() for part in match["indexes"].split(",")]
            single = len(parts) == 1 and ":" not in parts[0]
            yield (at_index(int(parts[0])), False) if single else (at_indexes(parts), True)
        else:
            names = [match["name"]] if match["name"] else unquote(match["names"])
            if len(names) > 1 and at < len(text):
                raise JsonPathError(f"{expression!r} goes on below several names")
            yield (child(names[0]), False) if len(names) == 1 else (children(names), False)


def unquote(names: str) -> list[str]:
    """The names in a list of quoted names."""
    return [quoted[1:-1] for quoted in re.findall(QUOTED, names)]


def every(value: Any) -> list[Any]:
    """All that a value consists of."""
    if isinstance(value, dict):
        return list(value.values())
    return list(items(value))


def items(value: Any) -> list[Any]:
    """The elements of an array."""
    if not isinstance(value, list):
        raise NotFoundError("an index needs an array")
    return value


def child(name: str) -> Step:
    """The member of that name."""

    def select(value: Any) -> Any:
        if not isinstance(value, dict) or name not in value:
            raise NotFoundError(f"there is no {name!r}")
        return value[name]

    return select


def children(names: list[str]) -> Step:
    """An object of the members of those names."""
    return lambda value: {name: child(name)(value) for name in names}


def at_index(index: int) -> Step:
    """The element at an index; -1 is the last."""
    return lambda value: items(value)[inside(index, items(value))]


def at_indexes(parts: list[str]) -> Step:
    """The elements at several indexes and slices, in the order in which they are written."""

    def select(value: Any) -> list[Any]:
        if sum(":" in part for part in parts) > 1:
            raise UnsupportedError(
                "only single range filters of format (eg: [1:5]) are supported. Format "
                f"[{','.join(parts)}] is not supported"
            )
        elements = items(value)
        return [element for part in parts for element in selected(part, elements)]

    return select


def selected(part: str, elements: list[Any]) -> list[Any]:
    """The elements at an index, or from the first of a slice to the last, that one included."""
    start, colon, end = part.partition(":")
    if not colon:
        return [elements[inside(int(part), elements)]]
    if not elements and not start and not end:
        return []
    first = inside(int(start), elements) if start else 0
    last = inside(int(end), elements) if end else len(elements) - 1
    return elements[first : last + 1]


def inside(index: int, elements: list[Any]) -> int:
    """The index counted from the beginning; an error beyond the array's ends."""
    from_start = index + len(elements) if index < 0 else index
    if not 0 <= from_start < len(elements):
        raise NotFoundError(f"there is no index {index} among {len(elements)}")
    return from_start
