"""The one error that is an answer rather than an accident."""

from __future__ import annotations

from typing import Self

MAX_MESSAGE = 8000
"""Characters of a message: it goes into an execution's input, of 262,144 bytes at most.
Source: Step Functions API reference, StartExecution."""


class Refusal(Exception):
    """The file or the model can't be used as it is; trying again would change nothing.

    The `code` is stable, such as ``NoLabel``. The `message` tells people what is wrong, with line
    and column where there are any, cut to `MAX_MESSAGE`; the `remedy` what to do about it.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        if len(message) > MAX_MESSAGE:
            message = f"{message[:MAX_MESSAGE]}…"
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def as_dict(self) -> dict[str, str]:
        """Return code, message and remedy, as ``status.json`` and the mail carry them."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy}

    @classmethod
    def from_dict(cls, fields: dict[str, str]) -> Self:
        """Return the refusal that `as_dict` was made from."""
        return cls(**fields)


class OutOfTime(Refusal):
    """A function's time ends before it has read the rows."""

    def __init__(self) -> None:
        super().__init__(
            "OutOfTime",
            "Reading the file's rows takes longer than there is time.",
            "Upload the file uncompressed, as UTF-8: one over LargeFileMegabytes is then read in "
            "parts, all at once. If it was, lower LargeFileMegabytes and LargeFilePartMegabytes.",
        )


class BegunBeforeUpdate(Refusal):
    """A run began before an update, and what was made of its file has a form of that time."""

    def __init__(self) -> None:
        super().__init__(
            "BegunBeforeUpdate",
            "The application was updated while the file was on its way to a model, and no longer "
            "reads what was made of it.",
            "Upload the file again.",
        )
