"""Uploading again what was uploaded before: how one trains on it again, and how one begins anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

from cli.errors import Problem
from cli.follow import Dropped
from cli.settings import this_command
from cli.stack import Stack
from pipeline.layout import dataset_of_run
from pipeline.registry import LIVE, run_sort


def drop_again(
    stack: Stack, item: dict[str, Any], metadata: Mapping[str, str] | None = None
) -> Dropped:
    """Make the version of a file that a run came from the newest in the inbox.

    Parameters
    ----------
    metadata
        Settings to add to those that the file was uploaded with.

    Raises
    ------
    Problem
        The version is gone.
    """
    source = item["source"]
    s3 = boto3.client("s3")
    earlier: Any = {
        "Bucket": source["bucket"],
        "Key": source["key"],
        "VersionId": source["version"],
    }
    try:
        # A copy in parts, of a large file, doesn't take its metadata along by itself.
        before = s3.head_object(**earlier)["Metadata"]
        given = {"Metadata": {**before, **(metadata or {})}, "MetadataDirective": "REPLACE"}
        s3.copy(earlier, stack.inbox, source["key"], ExtraArgs=given)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (404, 405):
            raise
        raise Problem(
            f"Version {source['version']} of s3://{source['bucket']}/{source['key']} no longer "
            f"exists. Upload the file yourself: {this_command()} drop FILE"
        ) from error
    version = s3.head_object(Bucket=stack.inbox, Key=source["key"])["VersionId"]
    return Dropped(source["key"], version, dataset_of_run(item["run"]))


def live_runs(table_name: str) -> Iterator[dict[str, Any]]:
    """Yield the items of the runs that a registry, of a stack that is gone, has as live.

    Raises
    ------
    Problem
        There is no such table.
    """
    table = boto3.resource("dynamodb").Table(table_name)
    query: dict[str, Any] = {"FilterExpression": Attr("sort").eq(LIVE)}
    while True:
        try:
            page: Any = table.scan(**query)
        except table.meta.client.exceptions.ResourceNotFoundException:
            raise Problem(
                f"There is no table {table_name}. List them: aws dynamodb list-tables"
            ) from None
        for live in page["Items"]:
            key = {"dataset": live["dataset"], "sort": run_sort(live["run"])}
            yield dict(table.get_item(Key=key)["Item"])
        if "LastEvaluatedKey" not in page:
            return
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
