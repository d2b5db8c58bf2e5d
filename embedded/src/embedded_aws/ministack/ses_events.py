"""The events that SES publishes of an email that was sent with a configuration set.

Plain functions on the record that is kept of an email. Source: SES developer guide, "Contents of
event data that Amazon SES publishes to Amazon SNS", whose JSON the other destinations get too, and
"Using the mailbox simulator".
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any, NamedTuple

from ministack.services import ses

# What antivirus programs find for a test; in two pieces, so that none finds this file. SES rejects
# an email with it. Source: SES developer guide, "Using the mailbox simulator", rejects.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + rb"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class Name(NamedTuple):
    """What the kinds of destinations call an event."""

    record: str
    """The record's eventType."""
    metric: str
    detail_type: str
    """EventBridge's. Source: EventBridge reference, "Amazon Simple Email Service events"."""


NAMES = {
    "SEND": Name("Send", "Send", "Email Sent"),
    "DELIVERY": Name("Delivery", "Delivery", "Email Delivered"),
    "BOUNCE": Name("Bounce", "Bounce", "Email Bounced"),
    "COMPLAINT": Name("Complaint", "Complaint", "Email Complaint Received"),
    "REJECT": Name("Reject", "Reject", "Email Rejected"),
}
"""By event type, as event destinations match them."""


class Event(NamedTuple):
    """What became of an email, or of it for one recipient."""

    kind: str
    record: dict[str, Any]


def is_rejected(email: Mapping[str, Any]) -> bool:
    """Whether SES finds a virus in an attachment: it accepts the email, and doesn't deliver it."""
    contents = (base64.b64decode(part["RawContent"]) for part in email.get("Attachments", []))
    return any(EICAR in content for content in contents)


def events_of(
    email: Mapping[str, Any], account: str, identity_arn: str, tags: Mapping[str, list[str]]
) -> Iterator[Event]:
    """Yield the events of an email, in the order of their time.

    An address of the mailbox simulator has what it is there for; every other one has a delivery.
    """
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    recipients = [address for given in recipients_of(email) if (address := parseaddr(given)[1])]
    mail = mail_object(email, recipients, timestamp, account, identity_arn, tags)

    def event(kind: str, details: Mapping[str, Any]) -> Event:
        return Event(kind, {"eventType": NAMES[kind].record, "mail": mail, **details})

    if is_rejected(email):
        yield event("REJECT", {"reject": {"reason": "Bad content"}})
        return
    yield event("SEND", {"send": {}})
    for recipient in recipients:
        for kind, subtype in outcomes(recipient):
            details = ses._notification_detail(kind, recipient, timestamp, subtype)
            yield event(kind.upper(), details)


def recipients_of(email: Mapping[str, Any]) -> list[str]:
    """Return all recipients of an email, seen or unseen."""
    return [*email["To"], *email["CC"], *email["BCC"]]


def outcomes(recipient: str) -> Iterable[tuple[str, str | None]]:
    """Return what becomes of an email to a recipient, with the kind of bounce."""
    local, _, domain = recipient.lower().partition("@")
    delivered: tuple[tuple[str, str | None], ...] = (("Delivery", None),)
    if domain != ses._SIMULATOR_DOMAIN:
        return delivered
    # A label after a plus sign makes an address of one's own of each.
    found: tuple[tuple[str, str | None], ...] = ses._SIMULATOR_OUTCOMES.get(
        local.partition("+")[0], delivered
    )
    return found


def mail_object(
    email: Mapping[str, Any],
    recipients: list[str],
    timestamp: str,
    account: str,
    identity_arn: str,
    tags: Mapping[str, list[str]],
) -> dict[str, Any]:
    """Return what each event says of the email itself."""
    common = {"from": [email["Source"]], "to": email["To"]}
    if email["CC"]:
        common["cc"] = email["CC"]
    if email.get("ReplyTo"):
        common["replyTo"] = email["ReplyTo"]
    shown = [("From", email["Source"]), ("To", ", ".join(email["To"]))]
    shown += [("Cc", ", ".join(email["CC"]))] if email["CC"] else []
    shown += [("Subject", email["Subject"])]
    shown += [(header["Name"], header["Value"]) for header in email.get("Headers", [])]
    return {
        "timestamp": timestamp,
        "source": email["Source"],
        "sourceArn": identity_arn,
        "sendingAccountId": account,
        "messageId": email["MessageId"],
        "destination": recipients,
        "headersTruncated": False,
        "headers": [{"name": name, "value": value} for name, value in shown],
        "commonHeaders": {
            **common,
            "messageId": email["MessageId"],
            "subject": email["Subject"],
        },
        "tags": dict(tags),
    }


def dimensions_of(
    configurations: Iterable[Mapping[str, str]], record: Mapping[str, Any]
) -> dict[str, str]:
    """Return the dimensions of an event's metric, as a CloudWatch destination configures them.

    A tag of a link is one of clicks, of which there are none here, so its default is taken.
    """
    headers = {header["name"]: header["value"] for header in record["mail"]["headers"]}
    tags = {name: values[0] for name, values in record["mail"]["tags"].items()}
    found = {"MESSAGE_TAG": tags, "EMAIL_HEADER": headers, "LINK_TAG": {}}
    return {
        dimension["DimensionName"]: found[dimension["DimensionValueSource"]].get(
            dimension["DimensionName"], dimension["DefaultDimensionValue"]
        )
        for dimension in configurations
    }
