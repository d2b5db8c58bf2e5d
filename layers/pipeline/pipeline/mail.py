"""Emails, through SES."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from pipeline.handling import logger, metrics

if TYPE_CHECKING:
    from mypy_boto3_sesv2.type_defs import MessageTypeDef

REFUSED_FOR_GOOD = frozenset(
    {
        "AccessDeniedException",
        "AccountSuspendedException",
        "BadRequestException",
        "LimitExceededException",
        "MailFromDomainNotVerifiedException",
        "MessageRejected",
        "NotFoundException",
        "SendingPausedException",
    }
)
"""What SES answers to an email that it wouldn't take a minute later either: the address isn't
confirmed, say, the day's quota is used up, or the role may not send in the name of the identity
that SES takes for the address. Source: SES API v2 reference, SendEmail and "Common errors"."""


# In a network without a way to SES nothing answers. The function finds out well within its time,
# though each address of SES's name is tried, and still does the rest of its work.
ses = boto3.client(
    "sesv2",
    config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2}),
)


@dataclass(frozen=True)
class MailSettings:
    """From whom emails come, and who gets them. Without `report_addresses` nothing is mailed."""

    report_addresses: list[str]
    sender_address: str
    configuration_set: str


def send_email(settings: MailSettings, message: MessageTypeDef) -> dict[str, str]:
    """Send an email to the addresses of the reports; return its id."""
    answer = ses.send_email(
        FromEmailAddress=settings.sender_address,
        Destination={"ToAddresses": settings.report_addresses},
        ConfigurationSetName=settings.configuration_set,
        Content={"Simple": message},
    )
    logger.info("mailed")
    return {"message_id": answer["MessageId"]}


@contextmanager
def unless_refused() -> Iterator[None]:
    """Log and count an email that SES refuses for good, or that can't reach SES.

    What else may go wrong propagates, so that the caller tries again.
    """
    try:
        yield
    except (ClientError, HTTPClientError, NoConnection) as error:
        if (
            isinstance(error, ClientError)
            and error.response["Error"]["Code"] not in REFUSED_FOR_GOOD
        ):
            raise
        logger.exception("not mailed")
        metrics.add_metric("MailsNotSent", MetricUnit.Count, 1)
