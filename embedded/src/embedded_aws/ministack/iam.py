"""IAM's view of requests: condition keys, resources, and what counts as secure."""

import contextvars
import json
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from typing import Any

from ministack import app
from ministack.core import iam_actions
from ministack.services import ses as ministack_ses

from embedded_aws.ministack import authorization, ses
from embedded_aws.ministack.patch import Function, patch


@patch(
    iam_actions,
    "request_tag_context",
    fixes=(
        "PutMetricData is authorized without the condition key cloudwatch:namespace",
        "PutEvents is authorized without the condition keys events:source and events:detail-type",
    ),
    source='Service Authorization Reference, "Amazon CloudWatch" and "Amazon EventBridge"',
    auth=True,
)
def request_context(
    original: Function, service: str, iam_action: str, body: bytes, params: Any
) -> Any:
    """Add the namespace of metrics, and the sources and types of events."""
    context = original(service, iam_action, body, params)
    if iam_action == "cloudwatch:PutMetricData":
        context["cloudwatch:namespace"] = iam_actions._param(body, params, "Namespace")
    if iam_action == "events:PutEvents":
        entries = json.loads(body).get("Entries") or []
        context["events:source"] = [entry.get("Source", "") for entry in entries]
        context["events:detail-type"] = [entry.get("DetailType", "") for entry in entries]
    return context


@patch(
    iam_actions,
    "extract_resource_arn",
    fixes="DeleteAlarms is authorized on any resource instead of the alarm",
    source='Service Authorization Reference, "Amazon CloudWatch", DeleteAlarms',
)
def resource_arn(
    original: Function,
    service: str,
    method: str,
    path: str,
    headers: Any,
    body: bytes,
    query_params: Any,
    region: str,
    account_id: str,
) -> str:
    """Name the alarm that is deleted, if it is one; MiniStack authorizes on one resource only."""
    if service == "monitoring":
        names = iam_actions._param(body, query_params, "AlarmNames") or [
            value[0] if isinstance(value, list) else value
            for key, value in query_params.items()
            if key.startswith("AlarmNames.member.")
        ]
        if isinstance(names, list) and len(names) == 1:
            return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{names[0]}"
    return str(original(service, method, path, headers, body, query_params, region, account_id))


@patch(
    app,
    "_enforce_ses_v2",
    fixes=(
        "SES's SendEmail is authorized on any resource instead of the sending identity",
        "SES's SendEmail is authorized without asking about the configuration set",
        "SES's SendEmail is authorized without the condition key ses:FromAddress",
    ),
    source='Service Authorization Reference, "Amazon SES", SendEmail: resource types identity, '
    "configuration-set and template, and condition keys",
    auth=True,
)
def enforce_ses(
    original: Function,
    method: str,
    path: str,
    headers: Any,
    body: bytes,
    query_params: Any,
    request_id: str,
) -> Any:
    """Authorize sending an email on each resource that it takes."""
    if method != "POST" or not path.rstrip("/").endswith("/v2/email/outbound-emails"):
        return original(method, path, headers, body, query_params, request_id)
    email = ses.parsed(body)
    context = sending_context(email)
    for resource in sending_resources(email):
        denied = app._enforce_data_plane(
            "sesv2",
            "ses:SendEmail",
            headers,
            query_params,
            request_id,
            resource_arn=resource,
            service_context=context,
            named_resource=resource,
        )
        if denied:
            return denied
    return None


def sending_resources(email: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ARNs that sending an email is authorized on.

    In the sandbox the recipients' identities are among them, which must be verified there. Source:
    cloudposse/terraform-aws-ses issue 40, aws/aws-sdk-js issue 3641.
    """
    scope = authorization.current_scope()
    yield scope.arn("ses", f"identity/{ses.sending_identity(email.get('FromEmailAddress', ''))}")
    if configuration_set := ses.configuration_set(email):
        yield scope.arn("ses", f"configuration-set/{configuration_set}")
    template = (email.get("Content") or {}).get("Template") or {}
    if "TemplateName" in template:
        yield scope.arn("ses", f"template/{template['TemplateName']}")
    if not ministack_ses._production_access_enabled():
        for recipient in recipients(email):
            yield scope.arn("ses", f"identity/{ses.sending_identity(recipient)}")


def sending_context(email: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition keys of sending an email."""
    name, address = parseaddr(email.get("FromEmailAddress", ""))
    context: dict[str, Any] = {"ses:ApiVersion": "2", "ses:FromAddress": address}
    if name:
        context["ses:FromDisplayName"] = name
    if feedback := email.get("FeedbackForwardingEmailAddress"):
        context["ses:FeedbackAddress"] = feedback
    return {**context, "ses:Recipients": recipients(email)}


def recipients(email: Mapping[str, Any]) -> list[str]:
    """Return the addresses of all recipients of a request to send."""
    destination = email.get("Destination") or {}
    return [parseaddr(given)[1] for field in destination.values() for given in field]


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
