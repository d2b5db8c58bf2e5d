"""What the execution roles of SageMaker must allow, where the server enforces that."""

from collections.abc import Callable, Iterable

from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Scope, nothing

require_assumable: Callable[[Scope, str], None] = nothing
"""Refuse, with a ``ValidationException``, a role that SageMaker can't assume."""
require_permissions: Callable[[Scope, str, Iterable[Need]], None] = nothing
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
