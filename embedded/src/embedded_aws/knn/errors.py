"""Errors of the algorithm: the customer's doing, or a request that can't be served."""


class ClientError(Exception):
    """Training can't go on because of what the customer gave: data or hyperparameters.

    SageMaker shows it as the job's failure reason, ``ClientError: <message>``.
    """


class DataError(Exception):
    """Rows that can't be read; the message says where and what."""


class MissingValueError(DataError):
    """A cell is empty, or not a number (NaN)."""


class InfiniteValueError(DataError):
    """A number is infinite, or too large for a 32-bit float."""


class RequestError(Exception):
    """A request for predictions that can't be answered; ``status`` is the HTTP status (4xx)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
