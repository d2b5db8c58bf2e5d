"""Why a file is no table that can be read."""

from __future__ import annotations


class TableError(Exception):
    """The file can't be read as a table; reading it again would change nothing.

    `code` is stable and machine-readable, such as ``EmptyFile``; `message` says what is wrong and
    where, `remedy` what to do about it.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
