"""Errors as SageMaker's API reports them."""

from typing import Any


class ServiceError(Exception):
    """An error answer: its code, its message and the HTTP status.

    Codes that the service model declares (``ResourceInUse``, ``ResourceNotFound``,
    ``ResourceLimitExceeded``) and, for nearly everything else, ``ValidationException``, which
    it doesn't declare. ``details`` are further members of the answer.
    """

    def __init__(
        self, code: str, message: str, status: int = 400, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details or {}


def validation_error(message: str) -> ServiceError:
    """What SageMaker answers to nearly everything that it refuses."""
    return ServiceError("ValidationException", message)


def not_found(kind: str, arn: str) -> ServiceError:
    """Return ``Could not find endpoint "arn:…".``."""
    return validation_error(f'Could not find {kind} "{arn}".')


def already_exists(kind: str, arn: str) -> ServiceError:
    """Return ``Cannot create already existing endpoint "arn:…".``.

    Source: seen in hashicorp/terraform-provider-aws issue 40080 and
    awslabs/spot-tagging-bot-for-digital-assets issue 2.
    """
    return validation_error(f'Cannot create already existing {kind} "{arn}".')
