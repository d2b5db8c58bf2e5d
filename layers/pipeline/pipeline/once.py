"""Doing an event's work once, though the event may come twice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig

CLAIM_SECONDS = 30
"""Powertools would claim work for the function's remaining time. That is too long: a function that
crashed must find its claim gone when Lambda tries again, for the first time after a minute. That
two may then work at the same time does no harm, since both write the same. Source: Lambda developer
guide, "How Lambda handles errors and retries with asynchronous invocation"."""

_BRIEF: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: CLAIM_SECONDS * 1000)

ONCE = IdempotencyConfig(expires_after_seconds=24 * 3600, lambda_context=_BRIEF)
"""Work that is done is remembered for a day."""
