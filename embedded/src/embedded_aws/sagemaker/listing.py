"""SageMaker's List operations: filters, order and pages. NameContains filters what is on a page.

So a page can be short or empty and still have the token of a next one.
Source: boto/boto3 issues 1966, 2521 and 4158 (models), 2973 (endpoints), 2838 and 3347 (training
jobs); the other List operations are taken to be alike.
"""

from typing import Any

from embedded_aws.aws.paging import cut_page
from embedded_aws.aws.table import Document


def list_page(
    request: Document,
    documents: list[Document],
    name: str,
    status: str | None = None,
    default_order: str = "Descending",
    default_sort: str = "CreationTime",
) -> tuple[list[Document], str | None]:
    """Filter, order and cut a page of documents, as a List request asks; then filter by name.

    ``name`` and ``status`` are the members that hold a document's name and status. By what, and
    which way, documents are ordered unless asked otherwise depends on the operation.

    Returns the page, and the token of the next one or None.
    """
    found = [document for document in documents if matches(request, document, status)]
    page, token = sorted_page(request, found, name, status, default_order, default_sort)
    return named(request, page, name), token


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


def matches(request: Document, document: Document, status: str | None) -> bool:
    """Whether a document passes the filters of the request, but for that by name."""

    def value(member: str) -> Any:
        return document.get(member, 0)

    return (
        (status is None or request.get("StatusEquals") in (None, document[status]))
        and value("CreationTime") > request.get("CreationTimeAfter", float("-inf"))
        and value("CreationTime") < request.get("CreationTimeBefore", float("inf"))
        and value("LastModifiedTime") > request.get("LastModifiedTimeAfter", float("-inf"))
        and value("LastModifiedTime") < request.get("LastModifiedTimeBefore", float("inf"))
    )


def named(request: Document, page: list[Document], name: str) -> list[Document]:
    """What of a page the filter by name leaves."""
    wanted = request.get("NameContains", "").lower()
    return [document for document in page if wanted in document[name].lower()]
