"""How a service becomes one more of MiniStack's."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from ministack import app
from ministack.core import router

from embedded_aws.aws.http import Response
from embedded_aws.aws.permissions import Need
from embedded_aws.aws.platform import Scope
from embedded_aws.ministack import authorization
from embedded_aws.ministack.patch import add

# Requests wait for S3; a pool of their own keeps them from starving the rest.
workers = ThreadPoolExecutor(max_workers=32, thread_name_prefix="requests")
# Invocations wait for models, and for serverless environments to start: as many at a time as
# several endpoints may have (200 each: API reference, "ProductionVariantServerlessConfig"), so
# that it is MaxConcurrency that refuses more.
MAX_INVOCATIONS = 1000
invocations = ThreadPoolExecutor(max_workers=MAX_INVOCATIONS, thread_name_prefix="invocations")

Respond = Callable[[Scope, str, str, Mapping[str, str], bytes], Response]
"""Answers a request: its scope, method, path, headers and body."""

Needs = Callable[[Scope, str, Mapping[str, str], bytes], list[Need]]
"""The permissions that a request needs: its scope, path, headers and body."""


def off_the_loop(name: str, respond: Respond, needs: Needs) -> Callable[..., Any]:
    """MiniStack's entry to a service that may wait, for S3 and for models.

    Requests are authorized before, in MiniStack's own context of the request.
    """

    async def handle_request(
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Mapping[str, list[str]],
    ) -> Response:
        scope = authorization.current_scope()
        is_invocation = path.startswith("/endpoints/")
        if authorization.is_on():
            wanted = needs(scope, path, headers, body)
            refused = authorization.own_refusal(name, headers, query_params, wanted, is_invocation)
            if refused:
                return refused
        pool = invocations if is_invocation else workers
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, respond, scope, method, path, headers, body)

    return handle_request


def register(
    name: str, respond: Respond, needs: Needs, state: Any, target_prefix: str, host: str
) -> None:
    """Add a service to MiniStack's tables: its handler, its state, how its requests are told.

    ``state`` has get_state, load_persisted_state and reset. Requests would find their way by their
    signature too, but only after MiniStack has loaded every service model of botocore to learn
    that there is such a service (2 s, all blocked).
    """
    handle_request = off_the_loop(name, respond, needs)
    module = SimpleNamespace(
        handle_request=handle_request,
        get_state=state.get_state,
        load_persisted_state=state.load_persisted_state,
        reset=state.reset,
    )
    patterns = {"target_prefixes": [target_prefix], "credential_scope": name}
    for table, entry in (
        (app.SERVICE_REGISTRY, {"module": name}),
        (app.SERVICE_HANDLERS, handle_request),
        (app._loaded_modules, module),
        (app._state_map, name),
        (router.SERVICE_PATTERNS, {**patterns, "host_patterns": [host]}),
    ):
        add(table, name, entry, serves=f"MiniStack has no {name}")
