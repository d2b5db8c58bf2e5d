"""Doing an event's work once, though the event may come twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

CLAIM_SECONDS = 30


class BriefClaim:
    """Stands in for the Lambda context, of which Powertools asks how long to claim work for.

    The function's remaining time, its usual answer, would be too long: a function that crashed
    must find its claim gone when Lambda tries again, for the first time after a minute. That two
    may then work at the same time does no harm, since both write the same.
    Source: Lambda developer guide, "How Lambda handles errors and retries with asynchronous
    invocation".
    """

    def get_remaining_time_in_millis(self) -> int:
        """Return how long work in progress is claimed, in milliseconds."""
        return CLAIM_SECONDS * 1000


ONCE = IdempotencyConfig(
    expires_after_seconds=24 * 3600, lambda_context=cast("LambdaContext", BriefClaim())
)
"""Work that is done is remembered for a day."""
