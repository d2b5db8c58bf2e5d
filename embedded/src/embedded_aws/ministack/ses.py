"""Amazon SES: emails are kept with all that they were sent with, and event destinations are told.

What of an email MiniStack leaves out is added to the record that it keeps, which
``/_ministack/ses/messages`` shows.
"""

import copy
import json
import logging
import mimetypes
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from typing import Any

from ministack import app
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import ses, ses_v2

from embedded_aws.aws.http import Response
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import cloudwatch, eventbridge, ses_events
from embedded_aws.ministack.patch import Function, patch
from embedded_aws.ministack.ses_events import Event

LOST_MAILS = "a restart loses the mails that SES has sent, though its other state is kept"
KEPT = ("Attachments", "Headers", "ReplyTo", "EmailTags", "ConfigurationSetName")
"""What is kept of an email besides what MiniStack keeps."""

MAX_MESSAGE_BYTES = 40 * 1024 * 1024
MAX_RECIPIENTS = 50
"""Source: SES developer guide, "Service quotas", message quotas: 40 MB with what is attached, after
its encoding; 50 recipients a message."""
MAX_LENGTHS = {"FileName": 255, "ContentDescription": 1000, "ContentId": 78, "ContentType": 78}
VALUES = {
    "ContentDisposition": ("ATTACHMENT", "INLINE"),
    "ContentTransferEncoding": ("BASE64", "QUOTED_PRINTABLE", "SEVEN_BIT"),
}
"""Source: SES API v2 reference, Attachment."""

logger = logging.getLogger(__name__)


@patch(ses, "get_state", serves=LOST_MAILS)
def get_state(original: Function) -> dict[str, Any]:
    """The state with the mails."""
    return {**original(), "_sent_emails": copy.deepcopy(ses._sent_emails)}


@patch(ses, "load_persisted_state", serves=LOST_MAILS)
def load_persisted_state(original: Function, data: dict[str, Any]) -> None:
    """Put the mails back, too."""
    original(data)
    ses._sent_emails.update(data.get("_sent_emails", {}))


@patch(
    ses_v2,
    "handle_request",
    fixes=(
        "SES drops the attachments, headers and reply addresses of an email",
        "SES sends emails with a configuration set that there isn't",
        "SES tells event destinations nothing",
        "CreateEmailIdentity ignores its configuration set",
    ),
    source="SES API v2 reference, SendEmail and CreateEmailIdentity; SES developer guide, "
    '"Monitor email sending using Amazon SES event publishing"',
)
async def handle_request(
    original: Function, method: str, path: str, headers: Any, body: bytes, query_params: Any
) -> Any:
    """Check and complete what concerns an email's configuration set and what is attached."""
    call = (method, path.rstrip("/").removeprefix("/v2/email"))
    if call not in (("POST", "/outbound-emails"), ("POST", "/identities")):
        return await original(method, path, headers, body, query_params)
    request = parsed(body)
    refused = refusal(request)
    if refused:
        return refused
    answer = await original(method, path, headers, body, query_params)
    if answer[0] != 200:
        return answer
    if call[1] == "/identities":
        identity = ses_v2._identities[request["EmailIdentity"]]
        identity["ConfigurationSetName"] = request.get("ConfigurationSetName", "")
    else:
        complete(request, json.loads(answer[2])["MessageId"])
    return answer


@patch(
    app,
    "_handle_ses_messages_request",
    serves="MiniStack shows of the emails that were sent only what it knows itself",
)
async def handle_messages_request(
    original: Function, method: str, path: str, headers: Any, query_params: Any
) -> Any:
    """Show what is kept of an email besides."""
    answer = await original(method, path, headers, query_params)
    if answer is None or answer[0] != 200:
        return answer
    shown = json.loads(answer[2])
    by_id = {
        email["MessageId"]: email
        for emails in ses._sent_emails.to_dict().values()
        for email in emails
    }
    for email in (email for emails in shown["messages"].values() for email in emails):
        record = by_id.get(email["MessageId"], {})
        email |= {member: record[member] for member in KEPT if member in record}
    return answer[0], answer[1], json.dumps(shown).encode()


def parsed(body: bytes) -> dict[str, Any]:
    """Return a request's members; none if it has no JSON, which MiniStack answers then."""
    try:
        request: Any = json.loads(body)
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}


def refusal(request: Mapping[str, Any]) -> Response | None:
    """Return why SES refuses a request to send, or to make an identity, or None."""
    name = configuration_set(request)
    if name:
        found = ses_v2._config_sets.get(name)
        if found is None:
            return error("NotFoundException", f"Configuration set <{name}> does not exist.", 404)
        if "Content" in request and not found["SendingOptions"]["SendingEnabled"]:
            return error(
                "SendingPausedException", f"Sending paused for configuration set <{name}>."
            )
    reason = next(objections(request), None) if "Content" in request else None
    return error("BadRequestException", reason) if reason else None


def error(code: str, message: str, status: int = 400) -> Response:
    """Return an error as MiniStack's SES answers it."""
    answer: Response = ses_v2._json_err(code, message, status)
    return answer


def objections(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what SES objects to in an email. The words are the API's for values that it limits."""
    destination = request.get("Destination") or {}
    recipients = [address for field in destination.values() for address in field]
    if len(recipients) > MAX_RECIPIENTS:
        yield f"Recipient count exceeds {MAX_RECIPIENTS}."
    simple = request["Content"].get("Simple") or {}
    for number, part in enumerate(simple.get("Attachments") or [], 1):
        place = f"content.simple.attachments.{number}.member"
        for member in ("FileName", "RawContent"):
            if not part.get(member):
                yield constraint("null", place, member, "Member must not be null")
        for member, length in MAX_LENGTHS.items():
            if len(part.get(member) or "") > length:
                wanted = f"Member must have length less than or equal to {length}"
                yield constraint(part[member], place, member, wanted)
        for member, values in VALUES.items():
            if part.get(member) and part[member] not in values:
                wanted = f"Member must satisfy enum value set: [{', '.join(values)}]"
                yield constraint(part[member], place, member, wanted)
    size = message_bytes(simple)
    if size > MAX_MESSAGE_BYTES:
        yield f"Message length is more than {MAX_MESSAGE_BYTES} bytes long: '{size}'."


def constraint(value: str, place: str, member: str, wanted: str) -> str:
    """Return the API's words for a value that isn't as it must be."""
    return (
        f"1 validation error detected: Value '{value}' at "
        f"'{place}.{member[0].lower()}{member[1:]}' failed to satisfy constraint: {wanted}"
    )


def message_bytes(simple: Mapping[str, Any]) -> int:
    """Return how long a message is about, with what is attached in base64."""
    texts = [part.get("Data") or "" for part in (simple.get("Body") or {}).values()]
    parts = [part.get("RawContent") or "" for part in simple.get("Attachments") or []]
    return sum(len(text.encode()) for text in texts) + sum(map(len, parts))


def configuration_set(request: Mapping[str, Any]) -> str:
    """Return the configuration set of a request to send: its own, or else the identity's.

    Source: SES developer guide, "Understanding default configuration sets".
    """
    named = request.get("ConfigurationSetName")
    if named or "Content" not in request:
        return named or ""
    identity = ses_v2._identities.get(sending_identity(request.get("FromEmailAddress", ""))) or {}
    return str(identity.get("ConfigurationSetName") or "")


def sending_identity(sender: str) -> str:
    """Return the identity that SES takes for a sender: the address, or the nearest domain.

    If none is verified, it is the domain of the address.
    """
    address = parseaddr(sender)[1]
    domain = address.rpartition("@")[2]
    known = {*ses_v2._identities, *ses._identities}
    candidates = (address, *ses._domain_and_parents(domain))
    return next((identity for identity in candidates if identity in known), domain)


def complete(request: Mapping[str, Any], message_id: str) -> None:
    """Add to an email's record what MiniStack leaves out, and publish its events."""
    kept = ses._sent_emails_list()
    email = next(email for email in reversed(kept) if email["MessageId"] == message_id)
    simple = request["Content"].get("Simple") or {}
    name = configuration_set(request)
    email |= {
        "Attachments": [attachment(part) for part in simple.get("Attachments") or []],
        "Headers": [dict(header) for header in simple.get("Headers") or []],
        "ReplyTo": list(request.get("ReplyToAddresses") or []),
        "EmailTags": [dict(tag) for tag in request.get("EmailTags") or []],
        "ConfigurationSetName": name,
    }
    if ses_events.is_rejected(email):
        # It is not delivered.
        kept.remove(email)
    if name:
        publish_events(email)


def attachment(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attachment with what SES takes for what isn't given.

    Source: SES developer guide, "Working with email attachments in SES".
    """
    guessed, _ = mimetypes.guess_type(part["FileName"])
    return {
        "ContentType": guessed or "application/octet-stream",
        "ContentDisposition": "ATTACHMENT",
        "ContentTransferEncoding": "SEVEN_BIT",
        **part,
    }


# --- events ----------------------------------------------------------------------------------


def publish_events(email: Mapping[str, Any]) -> None:
    """Publish an email's events to the event destinations of its configuration set."""
    scope = Scope(get_account_id(), get_region())
    name = email["ConfigurationSetName"]
    identity = sending_identity(email["Source"])
    tags = {tag["Name"]: [tag["Value"]] for tag in email["EmailTags"]} | {
        "ses:configuration-set": [name],
        "ses:from-domain": [parseaddr(email["Source"])[1].rpartition("@")[2]],
    }
    arn = scope.arn("ses", f"identity/{identity}")
    destinations = ses_v2._config_sets[name].get("EventDestinations") or {}
    for event in ses_events.events_of(email, scope.account, arn, tags):
        for destination in destinations.values():
            if destination["Enabled"] and event.kind in destination["MatchingEventTypes"]:
                deliver(scope, scope.arn("ses", f"configuration-set/{name}"), destination, event)


def deliver(scope: Scope, set_arn: str, destination: Mapping[str, Any], event: Event) -> None:
    """Put an event into CloudWatch, EventBridge or SNS. Nothing of it fails the email."""
    name = ses_events.NAMES[event.kind]
    if "CloudWatchDestination" in destination:
        configurations = destination["CloudWatchDestination"]["DimensionConfigurations"]
        dimensions = ses_events.dimensions_of(configurations, event.record)
        cloudwatch.publish_metric(scope, "AWS/SES", name.metric, 1, "Count", dimensions)
        cloudwatch.evaluate_alarms(scope)
    elif "EventBridgeDestination" in destination:
        eventbridge.publish_event(scope, "aws.ses", name.detail_type, set_arn, event.record)
    elif "SnsDestination" in destination:
        topic = destination["SnsDestination"]["TopicArn"]
        with request_scope(scope.account, scope.region):
            ses._publish_notification(topic, event.record)
    else:
        logger.warning("events of %s go to a kind of destination that isn't emulated", set_arn)
