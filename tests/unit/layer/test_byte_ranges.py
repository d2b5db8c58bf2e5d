"""Reading from S3 when it fails; that it reads what is there is tested against the embedded AWS."""

import io
from typing import Any

import boto3
import pytest
from botocore.exceptions import IncompleteReadError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from pipeline.byte_ranges import ObjectVersion, read_ranges
from pipeline.errors import Refusal
from pipeline.uploaded import UploadedFile, find_file
from preprocess.source import read_schema

VERSION = ObjectVersion("inbox", "rows.csv", 5, version_id="v1")


@pytest.fixture
def s3() -> Any:
    return boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


def body(content: bytes, promised: int) -> dict[str, Any]:
    return {"Body": StreamingBody(io.BytesIO(content), promised)}


def test_a_body_that_breaks_off_is_asked_for_again(s3):
    asked = {"Bucket": "inbox", "Key": "rows.csv", "VersionId": "v1", "Range": "bytes=0-4"}
    with Stubber(s3) as stub:
        stub.add_response("get_object", body(b"12", 5), asked)
        stub.add_response("get_object", body(b"12345", 5), asked)
        assert b"".join(read_ranges(s3, VERSION)) == b"12345"


def test_a_body_that_always_breaks_off_is_an_error_for_a_later_attempt(s3):
    with Stubber(s3) as stub:
        for _ in range(4):
            stub.add_response("get_object", body(b"12", 5))
        with pytest.raises(IncompleteReadError):
            list(read_ranges(s3, VERSION))


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (404, "ObjectGone"), (412, "ObjectReplaced")]
)
def test_what_s3_answers_for_good_is_a_refusal_that_names_the_object(s3, status, code):
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", "Code", "the reason", status)
        stub.add_client_error("head_object", "Code", "the reason", status)
        with pytest.raises(Refusal) as refused:
            list(UploadedFile(s3, VERSION).chunks())
        assert refused.value.code == code
        with pytest.raises(Refusal) as refused:
            find_file(s3, "inbox", "rows.csv", version_id=None, etag="e")
    assert refused.value.code == code
    assert "s3://inbox/rows.csv" in refused.value.message


def test_what_may_pass_is_not_refused(s3):
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", "SlowDown", "later", 503)
        with pytest.raises(s3.exceptions.ClientError):
            list(UploadedFile(s3, VERSION).chunks())


def test_a_schema_that_may_not_be_read_is_refused_and_not_passed_over(s3):
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", "AccessDenied", "no", 403)
        with pytest.raises(Refusal) as refused:
            read_schema(s3, "inbox", "iris")
    assert "s3://inbox/iris/schema.json" in refused.value.message
