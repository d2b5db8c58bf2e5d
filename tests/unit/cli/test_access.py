"""How calls to the API authenticate."""

from urllib.request import Request

import boto3
import pytest

from cli.access import VARIABLE, by_key, by_signature, by_token
from cli.errors import Problem


@pytest.fixture
def request_() -> Request:
    return Request("https://a.example/v1/datasets", b"{}", {"content-type": "application/json"})


def test_a_key_is_shown(request_):
    by_key("abc")(request_)
    assert request_.get_header("X-api-key") == "abc"


def test_a_token_comes_from_the_environment(request_, monkeypatch):
    monkeypatch.setenv(VARIABLE, "abc")
    by_token()(request_)
    assert request_.get_header("Authorization") == "abc"


def test_without_a_token_it_is_said_where_to_put_one(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(Problem, match=f"export {VARIABLE}="):
        by_token()


def test_a_request_is_signed_for_its_region_with_the_session_of_a_role(request_, monkeypatch):
    credentials = {"aws_access_key_id": "A", "aws_secret_access_key": "b", "aws_session_token": "c"}
    session = boto3.Session(region_name="eu-west-1", **credentials)
    monkeypatch.setattr("boto3._get_default_session", lambda: session)
    by_signature()(request_)
    signature = request_.get_header("Authorization")
    assert "/eu-west-1/execute-api/aws4_request" in signature
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token" in signature
    assert request_.get_header("X-amz-security-token") == "c"


def test_without_credentials_nothing_can_be_signed(monkeypatch):
    session = boto3.Session(region_name="eu-west-1")
    monkeypatch.setattr(session, "get_credentials", lambda: None)
    monkeypatch.setattr("boto3._get_default_session", lambda: session)
    with pytest.raises(Problem, match="no AWS credentials"):
        by_signature()
