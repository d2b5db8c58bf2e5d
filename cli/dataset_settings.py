"""A dataset's settings: its schema.json in the inbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import boto3

from cli.errors import Problem
from cli.stack import Stack
from pipeline.errors import Refusal
from pipeline.run import is_dataset
from preprocess.settings import resolve_settings, value_of


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
        raise Problem(f'"{dataset}" can\'t be the name of a dataset.')
    s3, key = boto3.client("s3"), f"{dataset}/schema.json"
    try:
        given = json.load(s3.get_object(Bucket=stack.inbox, Key=key)["Body"])
    except s3.exceptions.NoSuchKey:
        given = {}
    if unknown := [name for name in remove if name not in given]:
        raise Problem(f"{dataset} has no setting {unknown[0]}.")
    kept = {name: value for name, value in given.items() if name not in remove}
    try:
        wanted = kept | {name: value_of(name, text) for name, text in changes.items()}
        body = json.dumps(wanted, indent=2, ensure_ascii=False).encode()
        resolve_settings({}, body, key)
    except Refusal as refusal:
        raise Problem(refusal.message) from refusal
    if wanted and wanted != given:
        s3.put_object(Bucket=stack.inbox, Key=key, Body=body, ContentType="application/json")
    elif given and not wanted:
        s3.delete_object(Bucket=stack.inbox, Key=key)
    return wanted
