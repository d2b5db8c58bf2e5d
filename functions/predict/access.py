"""Who may call the API, as its document tells it, and from pages of which origins."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from aws_lambda_powertools.event_handler import CORSConfig

SCHEMES = {
    "iam": "A signature of AWS, version 4, for the service execute-api",
    "cognito": "An ID token of the API's Amazon Cognito user pool",
}
"""What the header Authorization carries, unless the API takes keys."""


@cache
def read_document(authorization: str) -> str:
    """Return the API's document, which is written for keys."""
    text = Path(__file__).with_name("openapi.json").read_text()
    if authorization not in SCHEMES:
        return text
    document = json.loads(text)
    scheme = {"type": "apiKey", "in": "header", "name": "Authorization"}
    document["components"]["securitySchemes"]["Caller"] = {
        **scheme,
        "description": SCHEMES[authorization],
    }
    return json.dumps(document)


def cors_of(origins: list[str]) -> CORSConfig | None:
    """Return what pages of these origins may do; without any nothing is said of it."""
    if not origins:
        return None
    return CORSConfig(
        allow_origin=origins[0],
        extra_origins=origins[1:],
        # What a page may read of an answer besides its body.
        expose_headers=["Location", "Retry-After"],
        max_age=600,
    )
