"""Settings: those of an upload in its metadata, those of a dataset in its schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote as percent_encoded

import boto3

from cli.errors import Problem
from cli.settings import this_command
from cli.stack import Stack
from pipeline.errors import Refusal
from pipeline.layout import is_dataset
from preprocess.settings import resolve_settings, value_of

MAX_METADATA = 2048
"""Bytes. Source: Amazon S3 user guide, "Working with object metadata"."""

_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def named_value(text: str) -> tuple[str, str]:
    """Return name and value of a setting that is given as NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals:
        raise Problem(f'"{text}" is not a setting. Write NAME=VALUE, for example k=5.')
    return name.strip(), value.strip()


def metadata_of(
    label: str | None,
    ignore: Sequence[str],
    given: Sequence[str],
    *,
    allow_changes: bool,
    promote: bool,
) -> dict[str, str]:
    """Return the settings of an upload as its metadata has them, which is ASCII.

    Parameters
    ----------
    label, ignore
        Names of columns, as the file has them.
    given
        NAME=VALUE, with values as in metadata: ``;`` between items, percent-encoded.

    Raises
    ------
    Problem
        A setting is unknown, has no such value, or they are too long for metadata.
    """
    fields = dict(map(named_value, given))
    if label is not None:
        fields["label"] = percent_encoded(label, safe="")
    if ignore:
        fields["ignore"] = ";".join(percent_encoded(name, safe="") for name in ignore)
    if allow_changes:
        fields["allow_changes"] = "true"
    if not promote:
        fields["promote"] = "no"
    metadata = {
        name.replace("_", "-"): percent_encoded(text, safe=_ASCII) for name, text in fields.items()
    }
    with _problems():
        for name, text in fields.items():
            value_of(name, text)
        resolve_settings({}, metadata=metadata)
    if sum(len(name) + len(text) for name, text in metadata.items()) > MAX_METADATA:
        raise Problem(
            f"These settings are too long for one upload, which takes {MAX_METADATA:,} bytes. Set "
            "them for the dataset instead: "
            f"{this_command()} settings DATASET --set NAME=VALUE"
        )
    return metadata


def check_schema(content: bytes, key: str) -> None:
    """Raise a `Problem` if Preprocess would refuse a schema.json."""
    with _problems():
        resolve_settings({}, content, key)


def change_settings(
    stack: Stack, dataset: str, changes: Mapping[str, str], remove: Sequence[str]
) -> dict[str, Any]:
    """Set and remove settings of a dataset; return those that it then has.

    Raises
    ------
    Problem
        The dataset can't be called so, a setting is unknown or has no such value.
    """
    if not is_dataset(dataset):
        raise Problem(f'"{dataset}" can\'t be the name of a dataset. See {this_command()} datasets')
    s3, key = boto3.client("s3"), f"{dataset}/schema.json"
    given = _read_schema(s3, stack.inbox, key)
    if unknown := [name for name in remove if name not in given]:
        raise Problem(
            f"{dataset} has no setting {unknown[0]}. See {this_command()} settings {dataset}"
        )
    with _problems():
        wanted = {name: value for name, value in given.items() if name not in remove}
        wanted |= {name: value_of(name, text) for name, text in changes.items()}
        body = json.dumps(wanted, indent=2, ensure_ascii=False).encode()
        if changes or remove:
            resolve_settings({}, body, key)
    if wanted and wanted != given:
        s3.put_object(Bucket=stack.inbox, Key=key, Body=body, ContentType="application/json")
    elif given and not wanted:
        s3.delete_object(Bucket=stack.inbox, Key=key)
    return wanted


def _read_schema(s3: Any, bucket: str, key: str) -> dict[str, Any]:
    try:
        found = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8-sig"))
    except s3.exceptions.NoSuchKey:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Problem(
            f"s3://{bucket}/{key} is not a JSON object. Upload a valid one, or delete it: aws s3 "
            f"rm s3://{bucket}/{key}"
        )
    return found


@contextmanager
def _problems() -> Iterator[None]:
    """Tell the user what Preprocess would refuse."""
    try:
        yield
    except Refusal as refusal:
        raise Problem(refusal.message) from refusal
