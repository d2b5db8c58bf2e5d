"""What all List operations share: filters, order and pages."""

import base64
import json
from collections.abc import Callable
from typing import Any

from embedded_aws.aws.errors import validation_error
from embedded_aws.aws.table import Document

DEFAULT_PAGE = 10


def list_page(
    request: Document,
    documents: list[Document],
    name: str,
    status: str | None = None,
    default_order: str = "Descending",
    default_sort: str = "CreationTime",
) -> tuple[list[Document], str | None]:
    """Filter, order and cut a page of documents, as a List request asks.

    ``name`` and ``status`` are the members that hold a document's name and status. By what, and
    which way, documents are ordered unless asked otherwise depends on the operation.

    Returns the page, and the token of the next one or None.
    """
    found = [document for document in documents if matches(request, document, name, status)]
    return sorted_page(request, found, name, status, default_order, default_sort)


def sorted_page(
    request: Document,
    found: list[Document],
    name: str,
    status: str | None = None,
    default_order: str = "Descending",
    default_sort: str = "CreationTime",
) -> tuple[list[Document], str | None]:
    """Order and cut a page, as ``list_page`` does, of documents that have passed the filters."""
    sort_by = request.get("SortBy", default_sort)
    member = {"Name": name, "Status": status}.get(sort_by) or sort_by
    return cut_page(
        request,
        found,
        # The name breaks ties: without that, pages could repeat or skip some.
        key=lambda document: (document[member], document[name]),
        descending=request.get("SortOrder", default_order) == "Descending",
    )


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


def matches(request: Document, document: Document, name: str, status: str | None) -> bool:
    """Whether a document passes the filters of the request."""

    def value(member: str) -> Any:
        return document.get(member, 0)

    return (
        request.get("NameContains", "").lower() in document[name].lower()
        and (status is None or request.get("StatusEquals") in (None, document[status]))
        and value("CreationTime") > request.get("CreationTimeAfter", float("-inf"))
        and value("CreationTime") < request.get("CreationTimeBefore", float("inf"))
        and value("LastModifiedTime") > request.get("LastModifiedTimeAfter", float("-inf"))
        and value("LastModifiedTime") < request.get("LastModifiedTimeBefore", float("inf"))
    )


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
