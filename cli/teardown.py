"""Deleting the stack, and what stays of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError

from cli.errors import Problem
from cli.settings import this_command
from cli.stack import Stack, stack_resources


def left_behind(stack_name: str, stack: Stack) -> list[str]:
    """Return the names of what outlives the stack: buckets, the registry, a key, an identity."""
    ids = stack_resources(stack_name)
    named = ("InboxBucket", "RunsBucket", "RegistryTable", "CustomerManagedKey", "ReportIdentity")
    return [f"{name} {ids[name]}" for name in named if name in ids]


def tear_down(stack_name: str, *, poll_seconds: float) -> Iterator[str]:
    """Delete the stack; yield what is being deleted while it is.

    Raises
    ------
    Problem
        It is protected, or something could not be deleted.
    """
    cloudformation = boto3.client("cloudformation")
    stack: Any = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    if stack.get("EnableTerminationProtection"):
        raise Problem(
            f"{stack_name} is protected from deletion. Take that off first: aws cloudformation "
            "update-termination-protection --no-enable-termination-protection --stack-name "
            f"{stack_name}"
        )
    # By its id a stack is found after its end too.
    stack_id = stack["StackId"]
    cloudformation.delete_stack(StackName=stack_id)
    while True:
        try:
            found = cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            return
        if not found or found[0]["StackStatus"] == "DELETE_COMPLETE":
            return
        if found[0]["StackStatus"] != "DELETE_IN_PROGRESS":
            why = found[0].get("StackStatusReason", found[0]["StackStatus"])
            raise Problem(f"{why} Try again: {this_command()} teardown")
        yield found[0]["StackStatus"]
        time.sleep(poll_seconds)
