"""What runs have deployed in SageMaker."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

from pipeline.layout import RUN, dataset_of_run
from pipeline.registry import run_sort

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_sagemaker import SageMakerClient

_SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack")


@dataclass(frozen=True)
class Deployments:
    """What runs have deployed: the names of each kind, which are those of the runs.

    Endpoints that are `serving` answer requests.
    """

    endpoints: list[str]
    configs: list[str]
    models: list[str]
    serving: list[str] = field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """The runs that have deployed any of it."""
        return sorted({*self.endpoints, *self.configs, *self.models})


def find_deployments(sagemaker: SageMakerClient, table: Table) -> Deployments:
    """Find the endpoints, configurations and models of the runs in the registry.

    What SageMaker has is the truth: a run may have stopped half-way. Others' endpoints, another
    stack's among them, are not in this stack's registry. What is being deleted is passed over.
    """
    is_own = cache(partial(_is_registered, table))
    statuses = _statuses(sagemaker)
    serving = [name for name, status in statuses.items() if status in _SERVING]
    listed = (list(statuses), list_configs(sagemaker), list_models(sagemaker), serving)
    return Deployments(*([n for n in names if is_own(n)] for names in listed))


def _statuses(sagemaker: SageMakerClient) -> dict[str, str]:
    return {
        endpoint["EndpointName"]: endpoint["EndpointStatus"]
        for page in sagemaker.get_paginator("list_endpoints").paginate()
        for endpoint in page["Endpoints"]
        if endpoint["EndpointStatus"] != "Deleting"
    }


def list_endpoints(sagemaker: SageMakerClient) -> list[str]:
    """Return the names of all endpoints, but for those that are being deleted."""
    return list(_statuses(sagemaker))


def list_configs(sagemaker: SageMakerClient) -> list[str]:
    """Return the names of all endpoint configurations."""
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate()
    return [config["EndpointConfigName"] for page in pages for config in page["EndpointConfigs"]]


def list_models(sagemaker: SageMakerClient) -> list[str]:
    """Return the names of all models."""
    pages = sagemaker.get_paginator("list_models").paginate()
    return [model["ModelName"] for page in pages for model in page["Models"]]


def _is_registered(table: Table, name: str) -> bool:
    if not RUN.fullmatch(name):
        return False
    key = {"dataset": dataset_of_run(name), "sort": run_sort(name)}
    return "Item" in table.get_item(Key=key)
