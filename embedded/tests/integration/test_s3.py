"""What the embedded AWS adds to MiniStack's S3."""

import os
from pathlib import Path

import pytest

from embedded.tests.helpers.iris_jobs import unique
from embedded_aws.testing import EmbeddedAws

MEGABYTE = 1024 * 1024


def resident_bytes(process: int) -> int:
    """What a process holds in memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def bucket(embedded_aws: EmbeddedAws) -> str:
    """A versioned bucket."""
    s3, name = embedded_aws.client("s3"), unique("versions")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def versions(embedded_aws: EmbeddedAws, bucket: str, bodies: list[bytes]) -> list[str]:
    """Put one object after another under one key, and give the ids of its versions."""
    s3 = embedded_aws.client("s3")
    return [s3.put_object(Bucket=bucket, Key="a/b", Body=body)["VersionId"] for body in bodies]


def read(embedded_aws: EmbeddedAws, bucket: str, **version: str) -> bytes:
    """The body of the object, or of one of its versions."""
    answer = embedded_aws.client("s3").get_object(Bucket=bucket, Key="a/b", **version)
    body: bytes = answer["Body"].read()
    return body


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_versions_do_not_stay_in_memory(embedded_aws: EmbeddedAws, bucket: str) -> None:
    versions(embedded_aws, bucket, [bytes(25 * MEGABYTE)])
    before = resident_bytes(embedded_aws.process.pid)
    ids = versions(embedded_aws, bucket, [bytes([n]) * (25 * MEGABYTE) for n in range(30)])
    grown = resident_bytes(embedded_aws.process.pid) - before
    assert grown < 100 * MEGABYTE
    assert read(embedded_aws, bucket, VersionId=ids[3]) == bytes([3]) * (25 * MEGABYTE)


def test_each_version_can_be_read_whatever_becomes_of_the_others(
    embedded_aws: EmbeddedAws, bucket: str
) -> None:
    s3 = embedded_aws.client("s3")
    one, two, three = versions(embedded_aws, bucket, [b"one", b"two", b"three"])
    assert read(embedded_aws, bucket, VersionId=one) == b"one"
    assert read(embedded_aws, bucket, VersionId=three) == b"three"
    s3.delete_object(Bucket=bucket, Key="a/b", VersionId=three)
    assert read(embedded_aws, bucket) == b"two"
    marker = s3.delete_object(Bucket=bucket, Key="a/b")["VersionId"]
    assert read(embedded_aws, bucket, VersionId=two) == b"two"
    s3.delete_object(Bucket=bucket, Key="a/b", VersionId=marker)
    assert read(embedded_aws, bucket) == b"two"
    s3.delete_object(Bucket=bucket, Key="a/b", VersionId=two)
    assert read(embedded_aws, bucket) == b"one"


def test_what_was_there_before_versioning_and_while_it_was_suspended_can_be_read(
    embedded_aws: EmbeddedAws,
) -> None:
    s3, name = embedded_aws.client("s3"), unique("suspended")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a/b", Body=b"before")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    (enabled,) = versions(embedded_aws, name, [b"enabled"])
    assert read(embedded_aws, name, VersionId="null") == b"before"
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    for body in (b"suspended", b"again"):
        s3.put_object(Bucket=name, Key="a/b", Body=body)
    assert read(embedded_aws, name) == read(embedded_aws, name, VersionId="null") == b"again"
    assert read(embedded_aws, name, VersionId=enabled) == b"enabled"


def test_a_copy_and_an_upload_in_parts_are_versions_too(
    embedded_aws: EmbeddedAws, bucket: str
) -> None:
    s3 = embedded_aws.client("s3")
    (first,) = versions(embedded_aws, bucket, [b"first"])
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a/b")["UploadId"]
    target = {"Bucket": bucket, "Key": "a/b", "UploadId": upload}
    tag = s3.upload_part(**target, PartNumber=1, Body=b"parts")["ETag"]
    parts = s3.complete_multipart_upload(
        **target, MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": 1}]}
    )["VersionId"]
    source = {"Bucket": bucket, "Key": "a/b", "VersionId": first}
    s3.copy_object(Bucket=bucket, Key="a/b", CopySource=source)
    assert read(embedded_aws, bucket) == b"first"
    assert read(embedded_aws, bucket, VersionId=parts) == b"parts"
