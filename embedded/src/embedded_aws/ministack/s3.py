"""Amazon S3: versions in events, ranges of versions; who may know of objects and use their keys.

With S3_PERSIST bodies are kept in files only, those of older versions too.
"""

import contextvars
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

from ministack import app
from ministack.core import iam_actions
from ministack.services import eventbridge, s3

from embedded_aws.aws.permissions import Need
from embedded_aws.ministack import authorization, keys
from embedded_aws.ministack.patch import Function, patch

created_version: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "created_version", default=None
)
NO_VERSION = "S3's events on EventBridge have no version-id"
EVENT_STRUCTURE = 'Amazon S3 user guide, "EventBridge event message structure"'


@patch(s3, "_fire_s3_event", fixes=NO_VERSION, source=EVENT_STRUCTURE)
def fire_with_version(original: Function, *args: Any, **kwargs: Any) -> None:
    """Remember the version for the event that follows."""
    token = created_version.set(kwargs.get("version_id"))
    try:
        original(*args, **kwargs)
    finally:
        created_version.reset(token)


@patch(eventbridge, "_dispatch_event", fixes=NO_VERSION, source=EVENT_STRUCTURE)
def dispatch_with_version(original: Function, event: dict[str, Any], view: Any = None) -> Any:
    """Add the version to an event of S3's."""
    version = created_version.get()
    if version and event.get("Source") == "aws.s3":
        detail = json.loads(event["Detail"])
        detail["object"].setdefault("version-id", version)
        event = {**event, "Detail": json.dumps(detail)}
    return original(event, view)


@patch(
    s3,
    "_get_object",
    fixes="GetObject ignores Range when it is given a versionId",
    source="Amazon S3 API reference, GetObject",
)
def get_object(
    original: Function,
    bucket_name: str,
    key: str,
    headers: dict[str, str],
    query_params: dict[str, Any] | None = None,
) -> Any:
    """Cut the range out of a version."""
    asked = headers.get("range")
    if not asked or not s3._qp(query_params or {}, "versionId", ""):
        return original(bucket_name, key, headers, query_params)
    # The checksum of the whole says nothing of a part.
    without = {name: value for name, value in headers.items() if name != "x-amz-checksum-mode"}
    status, answered, body = original(bucket_name, key, without, query_params)
    if status != 200:
        return status, answered, body
    bounds = s3._parse_range(asked, len(body))
    if bounds is None:
        answered = {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"}
        return 416, answered, s3._xml_body(s3._range_error_xml(bucket_name, key))
    start, end = bounds
    ranged = {
        "Content-Length": str(end + 1 - start),
        "Content-Range": f"bytes {start}-{end}/{len(body)}",
    }
    return 206, {**answered, **ranged}, body[start : end + 1]


IN_PARTS = "an upload in parts has no tags"
CREATE_IN_PARTS = 'Amazon S3 API reference, CreateMultipartUpload, "x-amz-tagging"'


@patch(s3, "_create_multipart_upload", fixes=IN_PARTS, source=CREATE_IN_PARTS)
def create_multipart_upload(
    original: Function, bucket_name: str, key: str, headers: dict[str, str]
) -> Any:
    """Keep the tags that the object will have."""
    status, answered, body = original(bucket_name, key, headers)
    if status == 200 and headers.get("x-amz-tagging"):
        upload = ElementTree.fromstring(body).findtext(f"{{{s3.S3_NS}}}UploadId")
        tags = parse_qsl(headers["x-amz-tagging"], keep_blank_values=True)
        s3._multipart_uploads[upload]["tags"] = dict(tags)
    return status, answered, body


@patch(s3, "_complete_multipart_upload", fixes=IN_PARTS, source=CREATE_IN_PARTS)
def complete_multipart_upload(
    original: Function,
    bucket_name: str,
    key: str,
    body: bytes,
    query_params: dict[str, Any],
    headers: dict[str, str] | None = None,
) -> Any:
    """Give the object its tags."""
    upload = s3._multipart_uploads.get(s3._qp(query_params, "uploadId")) or {}
    response = original(bucket_name, key, body, query_params, headers)
    if response[0] == 200 and "tags" in upload:
        version = s3._buckets[bucket_name]["objects"][key].get("version_id")
        s3._object_tags[(bucket_name, key, version)] = upload["tags"]
        s3._persist_version_state(bucket_name, key, s3._buckets[bucket_name])
    return response


@patch(
    iam_actions,
    "s3_additional_checks",
    fixes="S3 lets those write tags with an object who may not tag it",
    source='Amazon S3 API reference, PutObject and CreateMultipartUpload, "x-amz-tagging"; user '
    'guide, "Categorizing your objects using tags", additional permissions',
    auth=True,
)
def additional_checks(
    original: Function,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query_params: dict[str, Any],
) -> Any:
    """Ask whoever writes an object with tags whether they may tag it."""
    checks = original(method, path, headers, body, query_params)
    if headers.get("x-amz-tagging"):
        checks = [*checks, ("s3:PutObjectTagging", f"arn:aws:s3:::{unquote(path).lstrip('/')}")]
    return checks


@patch(
    app.SERVICE_HANDLERS,
    "s3",
    fixes=(
        "S3 tells those who may not list a bucket which objects are missing",
        "S3 asks nobody for the KMS key of an object",
    ),
    source='Amazon S3 API reference, "GetObject" and "HeadObject", permissions; user guide, "Using '
    'server-side encryption with AWS KMS keys", permissions, and "Multipart upload API and '
    'permissions"',
    auth=True,
)
async def handle_request(
    original: Function,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query_params: Mapping[str, Any],
) -> Any:
    """Ask whoever writes or reads an object for its key, and tell of missing ones with care."""
    bucket, _, name = path.lstrip("/").partition("/")
    for key, actions in keys_of_write(method, bucket, headers, query_params) if name else ():
        refused = keys.refusal("s3", headers, query_params, key, actions)
        if refused:
            return refused
    response = await original(method, path, headers, body, query_params)
    if name and response[0] == 404 and method in ("GET", "HEAD"):
        lists = Need("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        denied = authorization.refusal("s3", headers, query_params, [lists])
        return (*denied[:2], denied[2] if method == "GET" else b"") if denied else response
    used = {k.lower(): v for k, v in response[1].items()}.get(KEY_HEADER)
    if method == "GET" and name and used and response[0] < 300:
        return keys.refusal("s3", headers, query_params, used, ["kms:Decrypt"]) or response
    return response


NOT_IN_MEMORY = "the memory of the process doesn't grow with what is stored"


@patch(s3, "_persist_object", serves=NOT_IN_MEMORY)
def persist_object(original: Function, bucket: str, key: str, obj: Any) -> None:
    """Let go of the bodies of all versions that are in files now: MiniStack reads them from there.

    The current one is in the object's file, once that is written, older ones in files of their own.
    """
    original(bucket, key, obj)
    current = obj.get("version_id") or "null" if isinstance(obj, dict) else None
    for version in s3._object_versions.get((bucket, key)) or []:
        is_written = version["version_id"] == current and obj.get("body") is None
        if is_written or s3._version_file_exists(bucket, key, version["version_id"]):
            version["data"] = None


KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"


def keys_of_write(
    method: str, bucket: str, headers: Mapping[str, str], query_params: Mapping[str, Any]
) -> Iterable[tuple[str, list[str]]]:
    """Yield the keys that a request writes with, and reads with if it copies."""
    begins_multipart = method == "POST" and "uploads" in query_params
    subresources = set(query_params) - {"x-id"}
    if not begins_multipart and (method != "PUT" or subresources):
        return
    key = key_of_new_object(bucket, headers)
    if key:
        yield key, ["kms:GenerateDataKey", *(["kms:Decrypt"] if begins_multipart else [])]
    source = headers.get("x-amz-copy-source", "").lstrip("/").partition("/")[0]
    copied = key_of_new_object(source, {}) if source else None
    if copied:
        yield copied, ["kms:Decrypt"]


def key_of_new_object(bucket: str, headers: Mapping[str, str]) -> str | None:
    """The key that an object is encrypted with: the request's, or the bucket's."""
    if headers.get("x-amz-server-side-encryption") == "AES256":
        return None
    stated = headers.get(KEY_HEADER) or s3._bucket_default_sse_headers(bucket).get(KEY_HEADER)
    return str(stated) if stated else None
