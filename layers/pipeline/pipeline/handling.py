"""What every handler starts with: its environment, Powertools, its deadline, and `once`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from aws_lambda_powertools import Logger, Metrics, Tracer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
tracer = Tracer()
metrics = Metrics()

_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    float: float,
    list: str.split,
    dict: json.loads,
}


def read_environment[T](kind: type[T]) -> T:
    """Return a dataclass, each field read from the variable of its name in capitals.

    A field is a ``str``, a ``float``, a ``list`` of words or a ``dict`` given as JSON. Raises a
    `KeyError` that names the variables that aren't set.
    """
    types = {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}
    if missing := [name.upper() for name in types if name.upper() not in os.environ]:
        raise KeyError(f"environment variables that are not set: {', '.join(missing)}")
    return kind(**{name: _PARSERS[of](os.environ[name.upper()]) for name, of in types.items()})


def deadline_of(context: LambdaContext, spare_seconds: float = 30) -> float:
    """Return until when a function may work, on the clock of `time.monotonic`.

    The spare seconds are left for writing the results, or for refusing a file.
    """
    return time.monotonic() + context.get_remaining_time_in_millis() / 1000 - spare_seconds


def once[F: Callable[..., Any]](function: F) -> F:
    """Do a run's work once, though its event may come twice; for a function that takes ``run``.

    Finished work is remembered for a day. Powertools would claim work in progress for all the time
    that the function has left, but after a crash the claim must be gone when Lambda first retries,
    a minute later. Two that work at the same time do no harm: both write the same. Source: Lambda
    developer guide, "How Lambda handles errors and retries with asynchronous invocation".
    """
    # Few functions need it, and it takes a tenth of a second to import.
    from aws_lambda_powertools.utilities.idempotency import (
        DynamoDBPersistenceLayer,
        IdempotencyConfig,
        idempotent_function,
    )

    claim_seconds = float(os.environ["CLAIM_SECONDS"])
    brief: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: claim_seconds * 1000)
    guard: Callable[[F], F] = idempotent_function(
        data_keyword_argument="run",
        persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"]),
        config=IdempotencyConfig(expires_after_seconds=24 * 3600, lambda_context=brief),
    )
    return guard(function)
