"""What all List operations share: filters, order and pages."""

import base64
from typing import Any

from local.sagemaker.errors import validation_error
from local.sagemaker.store import Document

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

    Returns
    -------
        The page, and the token of the next one or None.
    """
    found = [document for document in documents if matches(request, document, name, status)]
    return cut_page(request, ordered(request, found, name, status, default_order, default_sort))


def ordered(
    request: Document,
    documents: list[Document],
    name: str,
    status: str | None = None,
    default_order: str = "Descending",
    default_sort: str = "CreationTime",
) -> list[Document]:
    """Documents in the order that the request asks for; the name breaks ties.

    Without that, pages could repeat or skip some.
    """
    sort_by = request.get("SortBy", default_sort)
    member = {"Name": name, "Status": status}.get(sort_by) or sort_by
    return sorted(
        documents,
        key=lambda document: (document[member], document[name]),
        reverse=request.get("SortOrder", default_order) == "Descending",
    )


def cut_page[T](
    request: Document, found: list[T], default_size: int = DEFAULT_PAGE
) -> tuple[list[T], str | None]:
    """The page that the request asks for, and the token of the next one or None."""
    start = decode_token(request.get("NextToken"))
    end = start + int(request.get("MaxResults", default_size))
    return found[start:end], encode_token(end) if end < len(found) else None


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


def encode_token(position: int) -> str:
    """An opaque token for a position in the list."""
    return base64.urlsafe_b64encode(f"position:{position}".encode()).decode()


def decode_token(token: str | None) -> int:
    """The position that a token stands for, 0 without one."""
    if token is None:
        return 0
    try:
        prefix, _, position = base64.urlsafe_b64decode(token).decode("ascii").partition(":")
        if prefix != "position" or not position.isdecimal():
            raise ValueError(token)
        return int(position)
    except ValueError as error:
        raise validation_error("Invalid NextToken") from error
