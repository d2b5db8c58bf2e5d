"""What Application Auto Scaling keeps: targets, policies, activities and tags."""

from typing import Any

from embedded_aws.aws.table import Table, lock

targets = Table()
"""Scalable targets by resource ID and scalable dimension, ``endpoint/a/variant/b|sagemaker:…``."""
policies = Table()
"""Scaling policies by target and policy name, as DescribeScalingPolicies shows them."""
activities = Table()
"""Scaling activities by id."""
tags = Table()
"""Tags by the ARN of their scalable target: ``{key: value}``."""

TABLES = {"targets": targets, "policies": policies, "activities": activities, "tags": tags}


def target_key(request: dict[str, Any]) -> str:
    """What identifies a scalable target within a scope."""
    return f"{request['ResourceId']}|{request['ScalableDimension']}"


def policy_key(request: dict[str, Any]) -> str:
    """What identifies a scaling policy within a scope."""
    return f"{target_key(request)}|{request['PolicyName']}"


def get_state() -> dict[str, Any]:
    """Everything to keep, as plain JSON."""
    with lock:
        return {name: table.to_json() for name, table in TABLES.items()}


def restore(state: dict[str, Any]) -> None:
    """Put back what ``get_state`` gave."""
    for name, table in TABLES.items():
        table.load_json(state.get(name, []))


def reset() -> None:
    """Forget everything."""
    for table in TABLES.values():
        table.rows.clear()
