"""Pages of SageMaker's List operations, where NameContains is applied to what is on a page.

A page may so be short or empty, with the token of a next one.
Source: boto/boto3 issues 1966, 2521 and 4158 (models), 2973 (endpoints), 2838 and 3347 (training
jobs); the other List operations are taken to be alike.
"""

from embedded_aws.aws import paging
from embedded_aws.aws.table import Document


def list_page(
    request: Document,
    documents: list[Document],
    name: str,
    status: str | None = None,
    default_order: str = "Descending",
    default_sort: str = "CreationTime",
) -> tuple[list[Document], str | None]:
    """Filter, order and cut a page as ``paging.list_page`` does; then by name."""
    page, token = paging.list_page(
        without_name(request), documents, name, status, default_order, default_sort
    )
    return named(request, page, name), token


def without_name(request: Document) -> Document:
    """The request without its filter by name."""
    return {member: value for member, value in request.items() if member != "NameContains"}


def named(request: Document, page: list[Document], name: str) -> list[Document]:
    """What of a page the filter by name leaves."""
    wanted = request.get("NameContains", "").lower()
    return [document for document in page if wanted in document[name].lower()]
