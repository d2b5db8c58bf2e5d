"""Which settings a run goes by: the stack's, over them schema.json's, over them the upload's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pipeline.errors import Refusal
from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

JSON_SCHEMA = Path(__file__).with_name("dataset.schema.json")

_TRUE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Given:
    """Settings, and which of them a ``schema.json`` and the upload itself have given."""

    settings: Settings
    by_schema: tuple[str, ...] = ()
    by_upload: tuple[str, ...] = field(default=())


def resolve_settings(
    stack: Mapping[str, str],
    schema: bytes | None = None,
    schema_key: str = "schema.json",
    metadata: Mapping[str, str] | None = None,
) -> Given:
    """Return the settings in force.

    Parameters
    ----------
    stack
        The stack's, as texts.
    schema
        What the dataset's ``schema.json`` holds, if there is one.
    metadata
        The object's metadata. Names of settings may have hyphens for underscores; a list has ``;``
        between its items; what isn't ASCII, and ``;`` in an item, is percent-encoded.

    Raises
    ------
    Refusal
        A setting is unknown, has no such value, or contradicts another; or the schema isn't JSON.
    """
    by_schema = _schema_fields(schema, schema_key) if schema is not None else {}
    by_upload = _metadata_fields(metadata or {})
    settings = Settings.from_dict(
        {name: value_of(name, text) for name, text in stack.items()} | by_schema | by_upload
    )
    if problem := _contradiction(settings):
        raise _invalid(problem)
    return Given(settings, tuple(by_schema), tuple(by_upload))


def value_of(name: str, text: str) -> Any:
    """Return the value that a text is for a setting; the text itself if it is none.

    Raises
    ------
    Refusal
        There is no such setting.
    """
    if name not in _properties():
        raise _invalid(_no_setting(name))
    kind = json.dumps(_properties()[name])
    if "#/definitions/names" in kind or '"array"' in kind:
        return [unquote(item).strip() for item in text.split(";") if item.strip()]
    text = unquote(text).strip()
    if '"boolean"' in kind:
        return _TRUE.get(text.lower(), text)
    if '"integer"' in kind or '"number"' in kind or "#/definitions/share" in kind:
        try:
            return float(text) if '"integer"' not in kind else int(text)
        except ValueError:
            return text
    return text


def _schema_fields(content: bytes, key: str) -> dict[str, Any]:
    try:
        fields = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{key} is not JSON: {error}") from error
    _check(fields, key)
    fields.pop("$schema", None)
    return dict(fields)


def _metadata_fields(metadata: Mapping[str, str]) -> dict[str, Any]:
    names = list(_properties())
    fields = {}
    for key, text in metadata.items():
        name = key.lower().replace("-", "_")
        if name in names:
            fields[name] = value_of(name, text)
        elif close := get_close_matches(name, names, n=1, cutoff=0.75):
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
        raise _invalid(f"{where}: {_in_words(error)}") from error


@cache
def _validator() -> Callable[[Any], Any]:
    import fastjsonschema

    return fastjsonschema.compile(json.loads(JSON_SCHEMA.read_text()))


@cache
def _properties() -> dict[str, Any]:
    properties = dict(json.loads(JSON_SCHEMA.read_text())["properties"])
    del properties["$schema"]
    return properties


def _in_words(error: Any) -> str:
    if error.rule == "additionalProperties":
        return _no_setting(sorted(set(error.value) - set(error.definition["properties"]))[0])
    place = ".".join(error.path[1:])
    what = error.message.removeprefix(error.name).strip()
    return f'"{place}" {what}' if place else f"it {what}"


def _no_setting(name: str) -> str:
    close = get_close_matches(name, list(_properties()), n=1)
    hint = f' (do you mean "{close[0]}"?)' if close else ""
    known = ", ".join(_properties())
    return f'there is no setting "{name[:80]}"{hint}; the settings are {known}'


def _contradiction(settings: Settings) -> str | None:
    roles = {"label": settings.label, "group": settings.group, "time": settings.time}
    for name in ("label", "group"):
        if roles[name] is not None and roles[name] in settings.features:
            return f'"features" has "{roles[name]}", which is the {name}'
    for name, column in roles.items():
        if column is not None and column in settings.ignore:
            return f'"ignore" has "{column}", which is the {name}'
    both = [name for name in settings.features if name in settings.ignore]
    if both:
        return f'both "features" and "ignore" have "{both[0]}"'
    for name, other in (("group", "label"), ("time", "label"), ("time", "group")):
        if roles[name] is not None and roles[name] == roles[other]:
            return f'"{name}" and "{other}" name the same column'
    asked = [name for name in ("group", "time") if roles[name]]
    if settings.duplicates == "same_side":
        asked.append("duplicates")
    if len(asked) > 1:
        return f'"{asked[0]}" and "{asked[1]}" ask for two different splits: choose one'
    if settings.thousands and settings.thousands == settings.decimal:
        return f'"thousands" and "decimal" are both "{settings.decimal}"'
    for name in ("decimal", "thousands"):
        if settings.delimiter and getattr(settings, name) == settings.delimiter:
            return f'"{name}" and "delimiter" are both "{settings.delimiter}"'
    if settings.metric == "COSINE" and settings.weights == "distance":
        return '"weights" can be "distance" only with the "metric" L2'
    padded = [text for text in (*settings.classes, *settings.features) if text != text.strip()]
    if padded:
        return f'"{padded[0][:80]}" has spaces around it, which files are read without'
    return None


def _invalid(message: str) -> Refusal:
    return Refusal(
        "InvalidSettings",
        message if message.endswith(".") else f"{message}.",
        "Correct the setting (docs/datasets.md lists all), then upload the file again.",
    )
