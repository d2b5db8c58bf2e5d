"""The tables of SageMaker's resources, and their ARNs."""

from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Table, Tables

training_jobs = Table()
tuning_jobs = Table()
transform_jobs = Table()
models = Table()
endpoint_configs = Table()
endpoints = Table()
async_requests = Table()
"""Requests to asynchronous endpoints that aren't answered yet, by a random id."""
tags = Table()
"""Tags by the ARN of what they are on: ``{key: value}``."""

TABLES = Tables(
    {
        "training_jobs": training_jobs,
        "tuning_jobs": tuning_jobs,
        "transform_jobs": transform_jobs,
        "models": models,
        "endpoint_configs": endpoint_configs,
        "endpoints": endpoints,
        "async_requests": async_requests,
        "tags": tags,
    }
)


def arn(scope: Scope, kind: str, name: str) -> str:
    """The ARN of a resource; AWS writes its name in it in small letters."""
    return scope.arn("sagemaker", f"{kind}/{name.lower()}")
