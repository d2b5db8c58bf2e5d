"""How SageMaker finds its way about S3 and the logs, whatever it is given for a location."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from embedded_aws.aws import platform
from embedded_aws.aws.platform import AccessDenied, DataError, LogStream, Scope

SCOPE = Scope("000000000000", "us-east-1")


def client_error(code: str) -> ClientError:
    """An error of a service."""
    return ClientError({"Error": {"Code": code, "Message": code}}, "Operation")


# --- locations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("s3://bucket/some/key", ("bucket", "some/key")),
        ("s3://bucket", ("bucket", "")),
        ("https://bucket.s3.eu-west-1.amazonaws.com/some/key", ("bucket", "some/key")),
        ("https://my.bucket.s3.amazonaws.com/some/key", ("my.bucket", "some/key")),
        ("https://bucket.s3-us-west-2.amazonaws.com/key", ("bucket", "key")),
        ("https://s3.us-east-1.amazonaws.com/bucket/some/key", ("bucket", "some/key")),
        ("https://s3.amazonaws.com/bucket/a%20key", ("bucket", "a key")),
        ("https://bucket.s3.cn-north-1.amazonaws.com.cn/key", ("bucket", "key")),
        ("https://bucket.s3.amazonaws.com", ("bucket", "")),
    ],
)
def test_a_location_is_taken_in_every_form_that_s3_has(uri: str, location: tuple[str, str]) -> None:
    assert platform.split_s3_uri(uri) == location


@pytest.mark.parametrize(
    "uri",
    [
        "s3://",
        "s3:///key",
        "https://example.com/bucket/key",
        "https://s3.amazonaws.com/",
        "https://s3.amazonaws.com.example.com/bucket/key",
        "bucket/key",
    ],
)
def test_what_is_no_location_of_s3_is_refused(uri: str) -> None:
    with pytest.raises(DataError, match="is not an S3 URL"):
        platform.split_s3_uri(uri)


@pytest.mark.parametrize(
    "touch",
    [
        lambda uri: platform.open_object(SCOPE, *platform.split_s3_uri(uri)),
        lambda uri: platform.put_object(SCOPE, uri, b""),
        lambda uri: list(platform.list_keys(SCOPE, uri)),
    ],
)
def test_a_name_that_no_bucket_can_have_is_the_customers_error(
    touch: Callable[[str], Any],
) -> None:
    with pytest.raises(DataError, match="Invalid bucket name"):
        touch("s3://Bad Bucket/key")


@pytest.mark.parametrize("uri", ["s3://Bad Bucket/key", "s3://bucket"])
def test_there_is_no_object_where_there_can_be_none(uri: str) -> None:
    assert not platform.object_exists(SCOPE, uri)


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (client_error("AccessDenied"), AccessDenied),
        (client_error("NoSuchKey"), DataError),
        (ParamValidationError(report="no"), DataError),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1"), EndpointConnectionError),
    ],
)
def test_only_what_is_wrong_with_a_location_is_the_customers_error(
    error: Exception, reported: type[Exception]
) -> None:
    with pytest.raises(reported) as raised, platform.customer_location("can not read"):
        raise error
    assert raised.type is reported


# --- logs ------------------------------------------------------------------------------------


class Logs:
    """CloudWatch Logs with one stream, which is there or not."""

    class exceptions:  # noqa: N801
        """The exceptions of its client."""

        class ResourceNotFoundException(ClientError):
            """There is no such group or stream."""

        class ResourceAlreadyExistsException(ClientError):
            """There is one already."""

    def __init__(self, there: bool, failure: Exception | None = None) -> None:
        self.there = there
        self.failure = failure
        self.calls: list[str] = []
        self.messages: list[str] = []

    def put_log_events(self, **request: Any) -> None:
        """PutLogEvents."""
        self.calls.append("put")
        if self.failure:
            raise self.failure
        if not self.there:
            missing = {"Error": {"Code": "ResourceNotFoundException"}}
            raise self.exceptions.ResourceNotFoundException(missing, "PutLogEvents")
        self.messages += [event["message"] for event in request["logEvents"]]

    def create_log_group(self, **_: Any) -> None:
        """CreateLogGroup of one that exists."""
        self.calls.append("group")
        raise self.exceptions.ResourceAlreadyExistsException({"Error": {}}, "CreateLogGroup")

    def create_log_stream(self, **_: Any) -> None:
        """CreateLogStream."""
        self.calls.append("stream")
        self.there = True


def test_a_line_of_a_stream_that_is_there_is_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = Logs(there=True)
    monkeypatch.setattr(platform, "logs", lambda scope: logs)
    LogStream(SCOPE, "group", "stream").write(["one"])
    LogStream(SCOPE, "group", "stream").write(["two"])
    assert (logs.calls, logs.messages) == (["put", "put"], ["one", "two"])


def test_a_stream_is_created_with_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = Logs(there=False)
    monkeypatch.setattr(platform, "logs", lambda scope: logs)
    LogStream(SCOPE, "group", "stream").write(["one"])
    assert (logs.calls, logs.messages) == (["put", "group", "stream", "put"], ["one"])


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (client_error("AccessDeniedException"), False),
        (client_error("ServiceUnavailable"), True),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1"), True),
    ],
)
def test_what_logs_does_not_suffer_when_a_line_is_lost(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    told: bool,
) -> None:
    monkeypatch.setattr(platform, "logs", lambda scope: Logs(True, failure))
    LogStream(SCOPE, "group", "stream").write(["one"])
    assert ("lines of the log stream were lost" in caplog.text) is told
