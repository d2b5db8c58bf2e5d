"""What the owner of a dataset says of it: ``<dataset>/schema.json`` in the inbox."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

JSON_SCHEMA = Path(__file__).with_name("dataset.schema.json")


@dataclass(frozen=True)
class DatasetSchema:
    """The fields of ``dataset.schema.json``; None and empty tuples are to be detected."""

    label: str | None = None
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    delimiter: str | None = None
    encoding: str | None = None
    decimal: str = "."
    thousands: str | None = None
    missing: str = "refuse"
    standardisation: str = "none"
    duplicates: str = "report"
    group: str | None = None
    time: str | None = None


def parse_dataset_schema(content: bytes, key: str) -> DatasetSchema:
    """Return the schema that a dataset's ``schema.json`` holds.

    Raises
    ------
    Refusal
        It isn't JSON, or a field is not what the JSON Schema asks: the message names it.
    """
    try:
        fields = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{key} is not JSON: {error}") from error
    from fastjsonschema import JsonSchemaValueException

    try:
        _validator()(fields)
    except JsonSchemaValueException as error:
        raise _invalid(f"{key}: {_in_words(error)}") from error
    fields.pop("$schema", None)
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    schema = DatasetSchema(**(fields | lists))
    if problem := _contradiction(schema):
        raise _invalid(f"{key}: {problem}")
    return schema


@cache
def _validator() -> Callable[[Any], Any]:
    import fastjsonschema

    return fastjsonschema.compile(json.loads(JSON_SCHEMA.read_text()))


def _in_words(error: Any) -> str:
    if error.rule == "additionalProperties":
        known = error.definition["properties"]
        unknown = sorted(set(error.value) - set(known))
        return (
            f'there is no field "{unknown[0][:80]}"; the fields are {", ".join(sorted(known)[1:])}'
        )
    place = ".".join(error.path[1:])
    what = error.message.removeprefix(error.name).strip()
    return f'the field "{place}" {what}' if place else f"it {what}"


def _contradiction(schema: DatasetSchema) -> str | None:
    roles = {"label": schema.label, "group": schema.group, "time": schema.time}
    for name in ("label", "group"):
        if roles[name] is not None and roles[name] in schema.features:
            return f'the field "features" has "{roles[name]}", which is the {name}'
    for name, other in (("group", "label"), ("time", "label"), ("time", "group")):
        if roles[name] is not None and roles[name] == roles[other]:
            return f'the fields "{name}" and "{other}" name the same column'
    asked = [name for name in ("group", "time") if roles[name]]
    if schema.duplicates == "same_side":
        asked.append("duplicates")
    if len(asked) > 1:
        return f'the fields "{asked[0]}" and "{asked[1]}" ask for two different splits: choose one'
    if schema.thousands == schema.decimal:
        return f'the fields "thousands" and "decimal" are both "{schema.decimal}"'
    for name in ("decimal", "thousands"):
        if schema.delimiter and getattr(schema, name) == schema.delimiter:
            return f'the fields "{name}" and "delimiter" are both "{schema.delimiter}"'
    padded = [text for text in (*schema.classes, *schema.features) if text != text.strip()]
    if padded:
        return f'"{padded[0][:80]}" has spaces around it, which files are read without'
    return None


def _invalid(message: str) -> Refusal:
    return Refusal(
        "InvalidSchema",
        message if message.endswith(".") else f"{message}.",
        "Mend schema.json as docs/datasets.md describes it, then drop the file again.",
    )
