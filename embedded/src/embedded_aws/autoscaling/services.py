"""The services whose resources can be scaled, as the server registers them by their namespace."""

from collections.abc import Mapping
from typing import Protocol

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.platform import Scope
from embedded_aws.aws.table import Document


class ScalableService(Protocol):
    """What Application Auto Scaling has to know of a service; a module can be one.

    What is asked of a resource that isn't there raises a ``ServiceError``.
    """

    ROLE: str
    """How the name of the service-linked role ends."""
    DIMENSIONS: Mapping[str, str]
    """The scalable dimensions, and what each sets."""
    METRIC_NAMESPACE: str
    PREDEFINED_METRICS: Mapping[str, tuple[str, str, str, int]]
    """By type: the dimension that it scales, the metric, statistic and period in seconds."""

    def metric_dimensions(self, resource_id: str) -> list[dict[str, str]]:
        """The dimensions of a resource's metrics."""

    def is_at_rest(self, scope: Scope, resource_id: str) -> bool:
        """Whether the resource can be scaled now, and has been as it was last asked to."""

    def capacity(self, scope: Scope, resource_id: str, dimension: str) -> int:
        """The capacity that was asked for last."""

    def check_bounds(
        self, scope: Scope, resource_id: str, dimension: str, low: int, high: int
    ) -> None:
        """Refuse bounds that the resource can't have."""

    def set_capacity(self, scope: Scope, resource_id: str, dimension: str, desired: int) -> None:
        """Ask for a capacity."""


SERVICES: dict[str, ScalableService] = {}


def service_of(document: Document) -> ScalableService:
    """The service of a target, a policy, an activity or a request for one."""
    service = SERVICES.get(document["ServiceNamespace"])
    if service is None or document.get("ScalableDimension") not in service.DIMENSIONS:
        raise validation_error("Unsupported service namespace, resource type or scalable dimension")
    return service
