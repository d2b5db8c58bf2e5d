"""Pages of a list, and the tokens that lead to the next."""

import base64
import json
from collections.abc import Callable
from typing import Any

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.table import Document

DEFAULT_PAGE = 10


def cut_page[T](
    request: Document,
    found: list[T],
    key: Callable[[T], tuple[Any, ...]],
    descending: bool = False,
    default_size: int = DEFAULT_PAGE,
) -> tuple[list[T], str | None]:
    """The page that the request asks for, in the order of a key, and the token of the next or None.

    A token tells where the last page ended, not how many items came before, so that what is
    created or deleted meanwhile neither repeats nor hides others.
    """
    found = sorted(found, key=key, reverse=descending)
    if "NextToken" in request:
        last = decode_token(request["NextToken"])
        try:
            found = [
                item for item in found if (key(item) < last if descending else key(item) > last)
            ]
        except TypeError as error:
            # The token is of a list in another order.
            raise validation_error("Invalid NextToken") from error
    page = found[: int(request.get("MaxResults", default_size))]
    return page, encode_token(key(page[-1])) if len(page) < len(found) else None


def encode_token(last: tuple[Any, ...]) -> str:
    """An opaque token for the key of the last item of a page."""
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def decode_token(token: str) -> tuple[Any, ...]:
    """The key that a token stands for."""
    try:
        last = json.loads(base64.urlsafe_b64decode(token))
        if not isinstance(last, list):
            raise ValueError(token)
        return tuple(last)
    except ValueError as error:
        raise validation_error("Invalid NextToken") from error
