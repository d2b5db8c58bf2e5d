"""What Application Auto Scaling keeps: targets, policies, activities and tags."""

from typing import Any

from embedded_aws.aws.table import Table, Tables

targets = Table()
"""Scalable targets by resource ID and scalable dimension, ``endpoint/a/variant/b|sagemaker:…``."""
policies = Table()
"""Scaling policies by target and policy name, as DescribeScalingPolicies shows them."""
activities = Table()
"""Scaling activities by id."""
tags = Table()
"""Tags by the ARN of their scalable target: ``{key: value}``."""

TABLES = Tables({"targets": targets, "policies": policies, "activities": activities, "tags": tags})


def target_key(request: dict[str, Any]) -> str:
    """What identifies a scalable target within a scope."""
    return f"{request['ResourceId']}|{request['ScalableDimension']}"


def policy_key(request: dict[str, Any]) -> str:
    """What identifies a scaling policy within a scope."""
    return f"{target_key(request)}|{request['PolicyName']}"
