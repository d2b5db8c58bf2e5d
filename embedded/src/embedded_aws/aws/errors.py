"""Errors as APIs report them."""

from typing import Any


class ServiceError(Exception):
    """An error answer: its code, its message and the HTTP status.

    The code is one that the service model declares or, for nearly everything else,
    ``ValidationException``. ``details`` are further members of the answer.
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
    """What services answer to nearly everything that they refuse."""
    return ServiceError("ValidationException", message)
