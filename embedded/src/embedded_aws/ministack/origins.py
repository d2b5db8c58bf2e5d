"""Which requests of a browser are answered: those of pages that may talk to this AWS.

Any page that is open in a developer's browser can send requests to this machine. So a request that
another origin's page has sent is refused, unless the CORS configuration of the bucket or API that
it is for allows that origin, as on AWS; and so is a request to a host name that isn't this
machine's, which is how a page gets around that by changing what its own name resolves to.
Source: Fetch standard, "CORS protocol"; W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from ministack import app as ministack_app
from ministack.core.router import detect_service
from ministack.services import s3

OWN_NAMES = ("localhost", "host.docker.internal")
"""This machine, and what containers call it. Buckets and APIs have names below these."""

Headers = dict[str, str]


def is_own_host(host: str) -> bool:
    """Whether a Host header names this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower().removesuffix(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return any(name == own or name.endswith(f".{own}") for own in OWN_NAMES)


def is_foreign(headers: Headers) -> bool:
    """Whether another origin's page has sent a request."""
    origin = headers.get("origin")
    if origin is not None:
        return origin != f"http://{headers.get('host', '')}"
    # Without an Origin: images, scripts and links. Clients that are no browsers say nothing.
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def guarded(application: Any) -> Any:
    """Return the ASGI application, closed to pages that may not talk to it."""

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await application(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope.get("headers", [])
        }
        host = headers.get("host", "")
        is_registered = ministack_app._resolve_custom_domain_request(host, scope["path"])
        if host and not is_own_host(host) and not is_registered:
            await _refuse(scope, send, f"{host} is not a name of this machine.")
        elif not is_foreign(headers):
            await application(scope, receive, _with_cors(send, {}))
        elif scope["type"] == "websocket":
            await _refuse(scope, send, "")
        else:
            await _answer_foreign(application, scope, receive, send, headers)

    return guard


async def _answer_foreign(
    application: Any, scope: Any, receive: Any, send: Any, headers: Headers
) -> None:
    method, path, host = scope["method"], scope["path"], headers.get("host", "")
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    origin = headers.get("origin", "")
    if ministack_app._parse_execute_api_url(host, path):
        # An API answers preflights itself, by its own OPTIONS method or CORS configuration.
        if method == "OPTIONS" or await _api_allows(application, scope, origin):
            await application(scope, receive, send)
            return
    elif detect_service(method, path, headers, query) == "s3":
        bucket = ministack_app._s3_cors_target(host, path)
        if bucket and method == "OPTIONS":
            await _respond(send, *s3.cors_preflight(*bucket, headers))
            return
        if bucket and (allowed := s3.cors_response_headers(bucket[0], method, headers)):
            await application(scope, receive, _with_cors(send, allowed))
            return
        # A link to a file, of a report for instance; the page that has it can't read the answer.
        is_link = headers.get("sec-fetch-mode") == "navigate" and "origin" not in headers
        is_signed = bool({"X-Amz-Signature", "Signature"} & set(query))
        if bucket and is_link and method == "GET" and is_signed:
            await application(scope, receive, _with_cors(send, {}))
            return
    await _refuse(
        scope,
        send,
        f"The page {origin or 'that sent this'} may not talk to the embedded AWS. Allow its origin "
        "in the CORS configuration of the bucket or the API.",
    )


async def _api_allows(application: Any, scope: Any, origin: str) -> bool:
    """Whether an API answers a preflight of the request with leave for its origin."""
    if not origin:
        return False
    asked = [
        (b"origin", origin.encode("latin-1")),
        (b"access-control-request-method", scope["method"].encode("ascii")),
    ]
    kept = [(n, v) for n, v in scope["headers"] if n.lower() in (b"host", b"authorization")]
    allowed: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        for name, value in message.get("headers", []):
            if name.lower() == b"access-control-allow-origin":
                allowed.append(value)

    await application({**scope, "method": "OPTIONS", "headers": kept + asked}, receive, send)
    return allowed in ([b"*"], [origin.encode("latin-1")])


def _with_cors(send: Any, allowed: Headers) -> Any:
    """Return a `send` whose answers have these CORS headers and no others."""

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, value)
                for name, value in message["headers"]
                if not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": [*headers, *_encoded(allowed.items())]}
        await send(message)

    return sending


async def _refuse(scope: Any, send: Any, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await _respond(send, 403, {"content-type": "text/plain; charset=utf-8"}, why.encode())


async def _respond(send: Any, status: int, headers: Headers, body: bytes) -> None:
    start = {"type": "http.response.start", "status": status, "headers": _encoded(headers.items())}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
