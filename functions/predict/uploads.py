"""Uploads to the inbox: presigned, so that files don't pass through the API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from pipeline import layout
from pipeline.settings import Settings
from predict.errors import ApiError, Code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

URL_SECONDS = 1800
"""How long a URL is valid; an upload that has begun by then may go on."""

SESSION_SECONDS = 3600
"""A role that is assumed in another role's session can't be kept for longer. Source: IAM user
guide, "Roles terms and concepts", role chaining."""

MAX_METADATA = 2048
"""Bytes. Source: Amazon S3 user guide, "Working with object metadata"."""

MAX_NAME = 200
"""Characters of a file's name; a key has 1,024 bytes at the most."""

_SHOWN = 80
_SETTINGS = list(Settings.__annotations__)
_NAMED: dict[str, tuple[type, str]] = {
    "label": (str, "a text"),
    "ignore": (list, "a list of texts"),
    "promote": (bool, "true or false"),
}
# A URL names the bucket's region: the global name answers with a redirect while a bucket is new.
_REGIONAL: Any = {"us_east_1_regional_endpoint": "regional"}
SIGNED = Config(
    signature_version="s3v4", s3=_REGIONAL, request_checksum_calculation="when_required"
)


class Inbox:
    """The inbox, and the role whose sessions presign uploads to it."""

    def __init__(self, sts: STSClient, bucket: str, role: str) -> None:
        self._sts = sts
        self._bucket = bucket
        self._role = role
        self._session: tuple[S3Client, datetime] | None = None

    @cached_property
    def origin(self) -> str:
        """Where uploads go, as a page's policy names it."""
        unsigned = Config(signature_version=UNSIGNED, s3=_REGIONAL)
        s3 = boto3.client("s3", config=unsigned)
        url = s3.generate_presigned_url("put_object", {"Bucket": self._bucket, "Key": "any"})
        return "{0.scheme}://{0.netloc}".format(urlsplit(url))

    def presigned_put(
        self, key: str, metadata: Mapping[str, str], *, once: bool = False
    ) -> dict[str, Any]:
        """Return how to put an object there, until when, and what key it has.

        If it can be put there only once, another is refused with 412. Source: Amazon S3 user
        guide, "How to prevent object overwrites with conditional writes".

        The headers are signed too: the request must have just these.
        """
        now = datetime.now(UTC)
        condition = {"IfNoneMatch": "*"} if once else {}
        url = self._signer(now).generate_presigned_url(
            "put_object",
            {"Bucket": self._bucket, "Key": key, "Metadata": dict(metadata)} | condition,
            ExpiresIn=URL_SECONDS,
        )
        headers = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
        if once:
            headers["if-none-match"] = "*"
        return {
            "upload": {"method": "PUT", "url": url, "headers": headers},
            "key": key,
            "expires": f"{now + timedelta(seconds=URL_SECONDS):%Y-%m-%dT%H:%M:%SZ}",
        }

    def _signer(self, now: datetime) -> S3Client:
        """Return a client in a session that lasts longer than a URL."""
        if self._session is None or self._session[1] < now + timedelta(seconds=URL_SECONDS + 60):
            given = self._sts.assume_role(
                RoleArn=self._role, RoleSessionName="uploads", DurationSeconds=SESSION_SECONDS
            )["Credentials"]
            client = boto3.client(
                "s3",
                config=SIGNED,
                aws_access_key_id=given["AccessKeyId"],
                aws_secret_access_key=given["SecretAccessKey"],
                aws_session_token=given["SessionToken"],
            )
            self._session = client, given["Expiration"]
        return self._session[0]


@dataclass(frozen=True)
class Upload:
    """A file that somebody wants to upload."""

    key: str
    metadata: dict[str, str]


def read_upload(dataset: str, body: str) -> Upload:
    """Return what a request's body asks for; raise an `ApiError` that says what is wrong with it.

    Parameters
    ----------
    body
        A JSON object: the file's ``name`` and any settings, as ``schema.json`` has them.
    """
    if not layout.is_dataset(dataset):
        raise _invalid(
            f'"{dataset[:_SHOWN]}" can\'t be the name of a dataset. Use 1 to 32 of a-z and 0-9, '
            "with hyphens between them."
        )
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, Code.INVALID_JSON, f"The body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ApiError(400, Code.INVALID_JSON, 'The body must be an object with a "name".')
    name = check_name(fields.pop("name", None))
    return Upload(f"{dataset}/{name}", metadata_of(fields))


def metadata_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as the metadata of an upload has them, which is ASCII.

    What values they may have is checked with the file: the report tells. Only what the API's
    document has by name is checked here too.
    """
    metadata = {}
    for name, value in settings.items():
        if name not in _SETTINGS:
            known = ", ".join(_SETTINGS)
            raise _invalid(f'There is no setting "{name[:_SHOWN]}"; the settings are {known}.')
        kind, what = _NAMED.get(name, (object, ""))
        if not isinstance(value, kind):
            raise _invalid(f'"{name}" must be {what}.')
        if value is not None:
            metadata[name.replace("_", "-")] = _as_text(name, value)
    if sum(len(name) + len(text) for name, text in metadata.items()) > MAX_METADATA:
        raise _invalid(
            f"These settings are too long for one upload, which takes {MAX_METADATA:,} bytes. Keep "
            "them in the dataset's schema.json."
        )
    return metadata


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ";".join(quote(item, safe="") for item in value)
    if isinstance(value, str):
        return quote(value, safe="")
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise _invalid(f'"{name}" must be a text, a number, true, false, or a list of texts.')


def check_name(name: Any) -> str:
    """Return a name that a file may have; raise an `ApiError` if it may not."""
    is_name = isinstance(name, str) and re.fullmatch(r"[^/\\\x00-\x1f\x7f\ud800-\udfff]+", name)
    if not is_name or len(name) > MAX_NAME or not name.lower().endswith(layout.SUFFIXES):
        raise _invalid(
            f'"name" must be the name of a file that ends with .csv or .csv.gz, of at most '
            f"{MAX_NAME} characters and without slashes."
        )
    return str(name)


def _invalid(message: str) -> ApiError:
    return ApiError(400, Code.INVALID_UPLOAD, message)
