"""What a client sends, checked and turned into the rows that the endpoint takes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from pipeline.endpoint import csv_lines
from pipeline.transform import BadValue, Transform
from predict.errors import ApiError, Code

MAX_INSTANCES = 10_000
"""Few enough that an answer comes in time, and fits."""

_SHOWN = 80
"""Characters of a value or a name in a message."""

_LISTED = 20
"""Names in a message."""


def request_to_csv(
    content_type: str, body: str, transform: Transform, unused: Iterable[str] = ()
) -> list[str]:
    """Return the instances of a request as lines of CSV that hold what the model sees.

    Parameters
    ----------
    content_type
        ``application/json`` with ``{"instances": […]}``, each a list of values or an object by
        feature name; or ``text/csv`` rows of features, or of any columns with their names first.
    unused
        Columns of the training file that the model doesn't use, such as the label: an instance by
        name may have them.

    Raises
    ------
    ApiError
        With status 400 (naming the instance and the feature), 413 or 415.
    """
    features = _Features([encoding.name for encoding in transform.encodings], unused)
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json":
        rows = _json_rows(body, features)
    elif media_type == "text/csv":
        rows = _csv_rows(body, features)
    else:
        raise ApiError(
            415,
            Code.UNSUPPORTED_MEDIA_TYPE,
            f'"{media_type[:_SHOWN]}" is not understood: send application/json or text/csv.',
        )
    try:
        seen = transform.apply(rows)
    except BadValue as error:
        value = rows[error.row][features.names.index(error.column)]
        text = value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        raise _invalid(error.row, f': "{error.column}" {error.why}: {text[:_SHOWN]}.') from error
    return csv_lines(seen)


class _Features:
    """The names of a model's features, and of the columns that it leaves unused."""

    def __init__(self, names: Sequence[str], unused: Iterable[str]) -> None:
        self.names = names
        self.places = {name: place for place, name in enumerate(names)}
        self._known = self.places.keys() | unused

    @property
    def listed(self) -> str:
        """The features, for a message."""
        return f"the features are {_listed(self.names)}."

    def difference(self, names: Mapping[str, Any]) -> str:
        """Return in words which features are missing among names, and which names are unknown."""
        missing = [f'"{name[:_SHOWN]}"' for name in self.names if name not in names]
        unknown = [f'"{name[:_SHOWN]}"' for name in names if name not in self._known]
        said = []
        if missing:
            said.append(f"has no {_listed(missing)}")
        if unknown:
            said.append(f"has an unknown {_listed(unknown)}")
        return " and ".join(said)

    def header(self, record: Sequence[str]) -> list[str] | None:
        """Return the names in a record of CSV if it is a header, None if it is a row.

        It is one if it has the names of all features, or nothing but names of columns. Case doesn't
        matter, unless that is all that tells two columns apart.
        """
        folded: dict[str, str] = {}
        for name in self._known:
            folded[name.casefold()] = "" if name.casefold() in folded else name
        names = [
            field if field in self._known else folded.get(field.casefold()) or field
            for field in record
        ]
        # A column may have no name, and a row no value.
        named = set(filter(None, names))
        is_header = named and (self.places.keys() <= named or named <= self._known)
        return names if is_header else None


def _json_rows(body: str, features: _Features) -> Sequence[list[Any]]:
    try:
        content = _parsed(body)
    except RecursionError as error:
        raise ApiError(400, Code.INVALID_JSON, "The body is nested too deeply.") from error
    except ValueError as error:
        raise ApiError(400, Code.INVALID_JSON, f"The body is not JSON: {error}.") from error
    instances = content.get("instances") if isinstance(content, dict) else None
    if not isinstance(instances, list):
        message = 'The body must be an object with a list "instances".'
        raise ApiError(400, Code.NO_INSTANCES, message)
    _check_number(len(instances))
    return [_instance(number, each, features) for number, each in enumerate(instances)]


def _parsed(body: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # The standard library takes twice as long, and NaN and 1e999 as numbers: then what is
        # wrong can be told by instance and feature.
        return json.loads(body, parse_int=float)


def _instance(number: int, instance: Any, features: _Features) -> list[Any]:
    if isinstance(instance, list):
        _check_width(number, len(instance), features)
        return instance
    if not isinstance(instance, dict):
        raise _invalid(number, " must be a list of values or an object by feature name.")
    if instance.keys() != features.places.keys() and (what := features.difference(instance)):
        raise _invalid(number, f" {what}; {features.listed}")
    return [instance[name] for name in features.names]


def _csv_rows(body: str, features: _Features) -> Sequence[list[Any]]:
    lines = io.StringIO(body.removeprefix("\ufeff"))
    try:
        records = [record for record in csv.reader(lines, strict=True) if record]
    except csv.Error as error:
        raise ApiError(400, Code.INVALID_CSV, f"The body is not CSV: {error}.") from error
    names = features.header([field.strip() for field in records[0]]) if records else None
    rows = records if names is None else records[1:]
    _check_number(len(rows))
    if names is None:
        for number, row in enumerate(rows):
            _check_width(number, len(row), features)
        return rows
    places = {name: place for place, name in enumerate(names) if name}
    what = features.difference(places)
    if not what and len(places) < sum(map(bool, names)):
        what = "names a column twice"
    if what:
        raise ApiError(400, Code.INVALID_CSV, f"The header {what}; {features.listed}")
    order = [places[name] for name in features.names]
    for number, row in enumerate(rows):
        if len(row) != len(names):
            what = f" has {_values(len(row))} where the header has {len(names)} names."
            raise _invalid(number, what)
    return [[row[place] for place in order] for row in rows]


def _check_number(instances: int) -> None:
    if not instances:
        raise ApiError(400, Code.NO_INSTANCES, "There is no instance to predict.")
    if instances > MAX_INSTANCES:
        raise ApiError(
            413,
            Code.TOO_MANY_INSTANCES,
            f"There are {instances:,} instances, more than the {MAX_INSTANCES:,} that are "
            "predicted at once: send them in several requests.",
        )


def _check_width(number: int, width: int, features: _Features) -> None:
    if width != len(features.names):
        raise _invalid(
            number,
            f" has {_values(width)} where the model has {len(features.names)} features: "
            f"{_listed(features.names)}.",
        )


def _values(number: int) -> str:
    return f"{number} value{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(name[: _SHOWN + 2] for name in names[:_LISTED]) + more


def _invalid(number: int, what: str) -> ApiError:
    return ApiError(400, Code.INVALID_INSTANCE, f"Instance {number}{what}")
