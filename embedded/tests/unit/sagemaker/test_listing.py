"""Pages of lists whose items come and go while somebody reads them."""

from typing import Any

import pytest

from embedded_aws.aws.errors import ServiceError
from embedded_aws.sagemaker.listing import list_page


def models(*numbers: int) -> list[dict[str, Any]]:
    """Models, two of which at a time were created in the same second."""
    return [{"ModelName": f"model-{number}", "CreationTime": number // 2} for number in numbers]


def page(found: list[dict[str, Any]], token: str | None = None, **asked: Any) -> tuple[Any, Any]:
    """The names on a page, and the next token."""
    request = {**asked, **({"NextToken": token} if token else {})}
    listed, token = list_page(request, found, "ModelName")
    return [item["ModelName"] for item in listed], token


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("by", ["Name", "CreationTime"])
def test_pages_together_have_each_item_once(order: str, by: str) -> None:
    token, seen = None, []
    while True:
        names, token = page(models(*range(9)), token, MaxResults=2, SortOrder=order, SortBy=by)
        seen += names
        if token is None:
            break
    names = [f"model-{number}" for number in range(9)]
    assert seen == (names if order == "Ascending" else names[::-1])


def test_deleting_what_is_on_a_page_hides_nothing_on_the_next() -> None:
    left, token, deleted = models(*range(9)), None, []
    while True:
        names, token = page(left, token, MaxResults=2)
        deleted += names
        left = [item for item in left if item["ModelName"] not in names]
        if token is None:
            break
    assert len(deleted) == 9


def test_what_is_created_between_pages_repeats_nothing() -> None:
    first, token = page(models(*range(6)), MaxResults=3)
    second, _ = page(models(*range(9)), token, MaxResults=3)
    assert not set(first) & set(second)


def test_a_page_that_is_the_last_has_no_token() -> None:
    assert page(models(1, 2), MaxResults=2)[1] is None
    assert page([], MaxResults=2) == ([], None)


@pytest.mark.parametrize("token", ["nonsense", "WzEsIFtdXQ==", "MQ==", "////", "\u00e9"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(ServiceError, match="Invalid NextToken"):
        page(models(1, 2), token)


def test_a_token_of_another_order_is_refused() -> None:
    _, token = page(models(1, 2), MaxResults=1, SortBy="Name")
    with pytest.raises(ServiceError, match="Invalid NextToken"):
        page(models(1, 2), token, SortBy="CreationTime")


def test_the_filter_by_name_leaves_pages_short_or_empty() -> None:
    found = models(1, 2, 3, 11)
    request = {"NameContains": "MODEL-1", "MaxResults": 2, "SortBy": "Name"}
    first, token = list_page(request, found, "ModelName")
    assert (first, token is None) == ([], False)
    second, token = list_page({**request, "NextToken": token}, found, "ModelName")
    assert [item["ModelName"] for item in second] == ["model-11", "model-1"]
    assert token is None
