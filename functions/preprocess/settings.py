"""Which settings a run goes by: the stack's, over them schema.json's, over them the upload's."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from pipeline.errors import Refusal
from pipeline.settings import Settings

JSON_SCHEMA = Path(__file__).with_name("dataset.schema.json")

_NAMES = list(Settings.__annotations__)
_CHARACTERS = {"tab": "\t", "space": " "}
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Given(NamedTuple):
    """Settings, and which of them a ``schema.json`` and the upload itself have given."""

    settings: Settings
    by_schema: tuple[str, ...] = ()
    by_upload: tuple[str, ...] = ()


def resolve_settings(
    stack: Mapping[str, str],
    schema: bytes | None = None,
    schema_key: str = "schema.json",
    metadata: Mapping[str, str] | None = None,
) -> Given:
    """Return the settings in force, or refuse what is none or contradicts another.

    In the stack's parameters and the object's metadata, values are texts: a list has ``;`` between
    its items; what isn't ASCII, and ``;`` in an item, is percent-encoded.
    """
    by_schema = {} if schema is None else _schema_fields(schema, schema_key)
    by_upload = _metadata_fields(metadata or {})
    by_stack = {name: value_of(name, text) for name, text in stack.items()}
    settings = Settings.from_dict(by_stack | by_schema | by_upload)
    check_settings(settings)
    return Given(settings, tuple(by_schema), tuple(by_upload))


def value_of(name: str, text: str) -> Any:
    """Return the value that a text is for a setting; the text itself if it is none."""
    if name not in _NAMES:
        raise _invalid(_no_setting(name))
    kind = Settings.__annotations__[name]
    if "tuple" in kind:
        return [unquote(item.strip()) for item in text.split(";") if item.strip()]
    text = unquote(text.strip())
    text = _CHARACTERS.get(text.lower(), text)
    if "bool" in kind:
        return _TRUTHS.get(text.lower(), text)
    read = int if "int" in kind else _number if "float" in kind else str
    try:
        return read(text)
    except ValueError:
        return text


def _schema_fields(content: bytes, key: str) -> dict[str, Any]:
    try:
        fields = json.loads(
            content.decode("utf-8-sig"), parse_float=_number, parse_constant=_number
        )
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{key} is not JSON: {error}") from error
    _check(fields, key)
    return {name: value for name, value in fields.items() if name != "$schema"}


def _number(text: str) -> float:
    """Return a number, a whole one as an integer: to JSON Schema 5.0 is one as well."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return int(value) if value.is_integer() else value


def _metadata_fields(metadata: Mapping[str, str]) -> dict[str, Any]:
    fields = {}
    for key, text in metadata.items():
        name = key.lower().replace("-", "_")
        if name in _NAMES:
            fields[name] = value_of(name, text)
        # Tools have keys of their own, such as mtime: one is only wrong if it looks like ours.
        elif close := get_close_matches(name, [n for n in _NAMES if n[0] == name[0]], 1, 0.75):
            raise _invalid(
                f'the upload\'s metadata has "{key}", which is no setting: it may mean "{close[0]}"'
            )
    _check(fields, "the upload's metadata")
    return fields


def _check(fields: Any, where: str) -> None:
    from fastjsonschema import JsonSchemaValueException

    try:
        _validator()(fields)
    except JsonSchemaValueException as error:
        place = ".".join(error.path[1:])
        said = str(error.message).removeprefix(str(error.name)).strip()
        if error.rule == "anyOf":
            said = "must be auto or a number in its range"
        what = f'"{place}" {said}' if place else f"it {said}"
        if error.rule == "additionalProperties":
            what = _no_setting(min(set(error.value) - {"$schema", *_NAMES}))
        raise _invalid(f"{where}: {what}") from error


@cache
def _validator() -> Callable[[Any], Any]:
    import fastjsonschema

    # Defaults are documented there; to fill them in would override the stack.
    return fastjsonschema.compile(json.loads(JSON_SCHEMA.read_text()), use_default=False)


def _no_setting(name: str) -> str:
    close = get_close_matches(name, _NAMES, n=1)
    hint = f' (do you mean "{close[0]}"?)' if close else ""
    return f'there is no setting "{name[:80]}"{hint}; the settings are {", ".join(_NAMES)}'


def check_settings(settings: Settings) -> None:
    """Refuse settings of which each is right by itself, but not all together."""
    for problem in _contradictions(settings):
        raise _invalid(problem)


def check_endpoint_kind(settings: Settings, offered: Sequence[str]) -> None:
    """Refuse a kind of endpoint that can't be had where the stack is."""
    if settings.endpoint_kind and settings.endpoint_kind not in offered:
        kinds = " or ".join(offered)
        raise Refusal(
            "EndpointKindNotOffered",
            f"endpoint_kind is {settings.endpoint_kind}. This stack can have {kinds} endpoints "
            "only: there are no serverless ones in a VPC, nor in every region.",
            f"Set endpoint_kind to {kinds}, then upload the file again. docs/datasets.md lists all "
            "settings.",
        )


def _contradictions(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with settings that are right each by itself."""
    roles = {"label": settings.label, "group": settings.group, "time": settings.time}
    for name, column in roles.items():
        for other in ("features", "ignore"):
            if column in getattr(settings, other) and (name, other) != ("time", "features"):
                yield f'"{other}" has "{column}", which is the {name}'
    for column, times in Counter(settings.features).items():
        if times > 1:
            yield f'"features" has "{column}" twice'
        if column in settings.ignore:
            yield f'both "features" and "ignore" have "{column}"'
    marks = {name: getattr(settings, name) for name in ("decimal", "thousands", "delimiter")}
    for (name, value), (other, same) in combinations([*roles.items(), *marks.items()], 2):
        if value is not None and value == same and (name in roles) is (other in roles):
            what = f"name the same column, {value}" if name in roles else f'are both "{value}"'
            yield f'"{name}" and "{other}" {what}'
    splits = [name for name in ("group", "time") if roles[name]]
    splits += ["duplicates"] * (settings.duplicates == "same_side")
    if len(splits) > 1:
        yield f'"{splits[0]}" and "{splits[1]}" ask for two different splits: choose one'
    if settings.metric == "COSINE" and settings.weights == "distance":
        yield '"weights" can be "distance" only with the "metric" L2'
    for text in (*settings.classes, *settings.features):
        if text != text.strip():
            yield f'"{text[:80]}" has spaces around it, which files are read without'


def _invalid(message: str) -> Refusal:
    return Refusal(
        "InvalidSettings",
        message if message.endswith(".") else f"{message}.",
        "Correct the setting, then upload the file again. docs/datasets.md lists all settings.",
    )
