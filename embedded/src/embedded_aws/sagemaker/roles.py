"""What the execution roles of SageMaker must allow, where the server enforces that."""

from collections.abc import Callable, Iterable

from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Scope


def require_nothing_of_role(scope: Scope, role: str) -> None:
    """Stands in where roles are not enforced."""


require_assumable: Callable[[Scope, str], None] = require_nothing_of_role
"""Refuse, with a ``ValidationException``, a role that SageMaker can't assume."""


def allows_anything(scope: Scope, role: str, wanted: Iterable[Need]) -> None:
    """Stands in where roles are not enforced."""


require_permissions: Callable[[Scope, str, Iterable[Need]], None] = allows_anything
"""Refuse a role without the permissions that it needs."""


def pulls_any_image(scope: Scope, image: str) -> bool:
    """Stands in where roles are not enforced."""
    return True


may_pull_image: Callable[[Scope, str], bool] = pulls_any_image
"""Whether the scope's role may pull an image from Amazon ECR."""

CANNOT_PULL_IMAGE = (
    "Cannot pull algorithm container. Either the image does not exist or its permissions are "
    "incorrect."
)
