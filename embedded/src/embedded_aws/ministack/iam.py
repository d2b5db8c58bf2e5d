"""IAM's view of requests: condition keys, resources, and what counts as secure."""

import contextvars
from email.utils import parseaddr
from typing import Any

from ministack import app
from ministack.core import iam_actions
from ministack.services import ses, ses_v2

from embedded_aws.ministack.patch import Function, patch


@patch(
    iam_actions,
    "request_tag_context",
    fixes="PutMetricData is authorized without the condition key cloudwatch:namespace",
    source='Service Authorization Reference, "Amazon CloudWatch"',
    auth=True,
)
def request_context(
    original: Function, service: str, iam_action: str, body: bytes, params: Any
) -> Any:
    """Add the namespace of metrics."""
    context = original(service, iam_action, body, params)
    if iam_action == "cloudwatch:PutMetricData":
        context["cloudwatch:namespace"] = iam_actions._param(body, params, "Namespace")
    return context


@patch(
    iam_actions,
    "extract_resource_arn",
    fixes="SES's SendEmail is authorized on any resource instead of the sending identity",
    source='Service Authorization Reference, "Amazon SES", SendEmail',
    auth=True,
)
def resource_arn(original: Function, service: str, method: str, path: str, *rest: Any) -> Any:
    """Name the identity that sends: the address, or the domain where only that is verified."""
    if service != "ses" or not path.rstrip("/").endswith("/v2/email/outbound-emails"):
        return original(service, method, path, *rest)
    _, body, _, region, account = rest
    sender = parseaddr(iam_actions._safe_json_field(body, "FromEmailAddress"))[1]
    verified = sender in ses_v2._identities or sender in ses._identities
    identity = sender if verified else sender.rpartition("@")[2]
    return f"arn:aws:ses:{region}:{account}:identity/{identity}"


plain_http: contextvars.ContextVar[bool] = contextvars.ContextVar("plain_http", default=False)


@patch(
    app,
    "pin_request_origin",
    serves="loopback counts as secure transport, unless the client says otherwise by "
    "X-Forwarded-Proto: nothing leaves this machine, so policies that ask for TLS have what they "
    "are for",
    auth=True,
)
def pin_request_origin(original: Function, source_ip: str, secure_transport: bool) -> None:
    """Let ``aws:SecureTransport`` be true on loopback."""
    original(source_ip, secure_transport or not plain_http.get())


def heeding_protocol(application: Any) -> Any:
    """The ASGI application, noting which requests say that they came by plain HTTP."""

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or [])
        plain_http.set(headers.get(b"x-forwarded-proto") == b"http")
        await application(scope, receive, send)

    return noting
