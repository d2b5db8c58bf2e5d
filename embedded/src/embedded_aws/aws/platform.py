"""What a service needs of the AWS around it, each a plain function on account and region.

S3, SNS, CloudWatch and CloudWatch Logs are called over HTTP like by any client, so nothing here
depends on how the server keeps them. What no client may do is reached from within, through names
that the server sets: events and metrics of AWS's own, and acting as a role.
"""

import functools
import logging
import re
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, BinaryIO, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

logger = logging.getLogger(__name__)
client_lock = threading.Lock()


@dataclass(frozen=True)
class Scope:
    """The account and region that a resource belongs to, and the role that acts in them, if any."""

    account: str
    region: str
    role: str | None = None

    def acting_as(self, role: str | None) -> "Scope":
        """The same account and region, reached as an execution role by its ARN."""
        return replace(self, role=role)

    @property
    def partition(self) -> str:
        """The partition that the region lies in."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a service's resource, ``job/name`` say."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def nothing(*arguments: Any) -> None:
    """Stands in until the server sets what is really done."""


publish_event: Callable[[Scope, str, str, str, Any], None] = nothing
"""Publish an event: its source, detail type, the resource's ARN and the detail."""
publish_metric: Callable[[Scope, str, str, float, str, dict[str, str]], None] = nothing
"""Publish a metric: its namespace, name, value, unit and dimensions."""


class Credentials(NamedTuple):
    """What a client signs with."""

    access_key: str
    secret_key: str
    token: str | None


def account_credentials(scope: Scope) -> Credentials:
    """Sign for the account: the access key is what selects it. A role changes nothing."""
    return Credentials(scope.account, "embedded", None)


credentials_of: Callable[[Scope], Credentials] = account_credentials
"""How to sign in a scope; where roles are enforced, the server sets one that heeds them."""


def client(service: Any, scope: Scope) -> Any:
    """A boto3 client of this server, in a scope and as its role."""
    return cached_client(service, scope.region, credentials_of(scope))


@functools.cache
def cached_client(service: Any, region: str, credentials: Credentials) -> Any:
    """One client for each service, region and signer: making one takes 100 ms."""
    # Creating clients isn't thread-safe in boto3's default session.
    with client_lock:
        return boto3.session.Session().client(
            service,
            region_name=region,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"total_max_attempts": 2},
                s3={"addressing_style": "path"},
                max_pool_connections=32,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )


def s3(scope: Scope) -> "S3Client":
    """The S3 client of a scope."""
    return client("s3", scope)  # type: ignore[no-any-return]


def logs(scope: Scope) -> "CloudWatchLogsClient":
    """The CloudWatch Logs client of a scope."""
    return client("logs", scope)  # type: ignore[no-any-return]


class DataError(Exception):
    """An S3 location can't be read or written; the message is for the customer."""


class AccessDenied(DataError):
    """The role may not read or write an S3 location."""


@contextmanager
def customer_location(what: str) -> Iterator[None]:
    """Turn what S3, or botocore before it asks, has against a location into a ``DataError``.

    That S3 can't be reached is no fault of the location, and stays what it is.
    """
    try:
        yield
    except ClientError as error:
        raise (AccessDenied if is_denied(error) else DataError)(f"{what}: {error}") from error
    except (ConnectionError, HTTPClientError):
        raise
    except BotoCoreError as error:
        raise DataError(f"{what}: {error}") from error


# Source: Amazon S3 user guide, "Virtual hosting of general purpose buckets".
HTTPS_LOCATION = re.compile(
    r"https://(?:(?P<bucket>[^/]+)\.)?s3[.-](?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?(?:/(?P<path>.*))?",
    re.DOTALL,
)


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``, or of the same as an ``https://`` URL of S3.

    Raises DataError: it is neither.
    """
    path = uri.removeprefix("s3://") if uri.startswith("s3://") else ""
    if match := HTTPS_LOCATION.fullmatch(uri):
        path = "/".join(part for part in (match["bucket"], match["path"]) if part)
        path = urllib.parse.unquote(path)
    bucket, _, key = path.partition("/")
    if not bucket:
        raise DataError(f'"{uri}" is not an S3 URL')
    return bucket, key


def list_keys(scope: Scope, uri: str) -> Iterator[str]:
    """Yield the keys below an S3 prefix in their order, but for those that stand for folders."""
    bucket, prefix = split_s3_uri(uri)
    with customer_location(f'can not list "{uri}"'):
        pages = s3(scope).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            yield from (
                item["Key"] for item in page.get("Contents", []) if not item["Key"].endswith("/")
            )


def object_exists(scope: Scope, uri: str) -> bool:
    """Whether there is an object at the S3 URI.

    Raises AccessDenied: the scope's role may not know.
    """
    bucket, key = split_s3_uri(uri)
    try:
        with customer_location(f'can not read "{uri}"'):
            s3(scope).head_object(Bucket=bucket, Key=key)
    except AccessDenied:
        raise
    except DataError:
        return False
    return True


def get_object(scope: Scope, bucket: str, key: str) -> "GetObjectOutputTypeDef":
    """An object with what S3 knows of it."""
    with customer_location(f'can not read "s3://{bucket}/{key}"'):
        return s3(scope).get_object(Bucket=bucket, Key=key)


def open_object(scope: Scope, bucket: str, key: str) -> BinaryIO:
    """The object's body as a stream."""
    return get_object(scope, bucket, key)["Body"]  # type: ignore[return-value]


def chunks(stream: BinaryIO, size: int = 1024 * 1024) -> Iterator[bytes]:
    """The stream in pieces."""
    while chunk := stream.read(size):
        yield chunk


def put_object(
    scope: Scope,
    uri: str,
    body: bytes | IO[bytes],
    content_type: str = "binary/octet-stream",
    kms_key: str | None = None,
) -> None:
    """Write an object, encrypted with a KMS key if there is one."""
    bucket, key = split_s3_uri(uri)
    encryption: dict[str, Any] = (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
    )
    with customer_location(f'can not write "{uri}"'):
        s3(scope).put_object(
            Bucket=bucket, Key=key, Body=body, ContentType=content_type, **encryption
        )


@contextmanager
def unless_denied() -> Iterator[None]:
    """Pass over what the role may not do, as SageMaker does with logs and metrics."""
    try:
        yield
    except ClientError as error:
        if not is_denied(error):
            raise


def is_denied(error: ClientError) -> bool:
    """Whether a call failed for want of permission, by the codes of the services used here."""
    return error.response["Error"]["Code"] in (
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "403",
    )


class LogStream:
    """A stream in CloudWatch Logs, created with its first line."""

    def __init__(self, scope: Scope, group: str, stream: str) -> None:
        self.scope = scope
        self.group = group
        self.stream = stream
        self.lock = threading.Lock()

    @property
    def arn(self) -> str:
        """ARN of the stream."""
        return self.scope.arn("logs", f"log-group:{self.group}:log-stream:{self.stream}")

    def write(self, lines: list[str]) -> None:
        """Append lines with the present time.

        What logs doesn't suffer when that fails: a role that may not leaves no log, and no error.
        """
        if not lines:
            return
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines]
        client = logs(self.scope)
        try:
            with self.lock:
                try:
                    self.put(client, events)
                except client.exceptions.ResourceNotFoundException:
                    self.create(client)
                    self.put(client, events)
        except (BotoCoreError, ClientError) as error:
            if not (isinstance(error, ClientError) and is_denied(error)):
                logger.warning("lines of the log %s were lost", self.stream, exc_info=True)

    def put(self, client: Any, events: list[dict[str, Any]]) -> None:
        """Append events."""
        client.put_log_events(logGroupName=self.group, logStreamName=self.stream, logEvents=events)

    def create(self, client: Any) -> None:
        """Create the stream, and its group where that isn't there either."""
        exists = client.exceptions.ResourceAlreadyExistsException
        with suppress(exists):
            client.create_log_group(logGroupName=self.group)
        with suppress(exists):
            client.create_log_stream(logGroupName=self.group, logStreamName=self.stream)


def new_id() -> str:
    """A random id, as in request ids and names of outputs."""
    return str(uuid.uuid4())
