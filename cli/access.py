"""How calls to the API authenticate: with a key, a signature or a token (`ApiAuthorization`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.request import Request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from cli.errors import Problem

VARIABLE = "KNN_ID_TOKEN"
"""Names the environment variable that holds an ID token of the API's user pool."""

Authorize = Callable[[Request], None]
"""Authenticates a request, by adding headers to it."""


def by_key(key: str) -> Authorize:
    """Authenticate with an API key."""
    return lambda request: request.add_header("x-api-key", key)


def by_signature() -> Authorize:
    """Authenticate with a signature, made with the caller's own credentials.

    Raises
    ------
    Problem
        There are none.
    """
    # The default one, which has the profile and the region that were asked for.
    session = boto3._get_default_session()
    credentials = session.get_credentials()
    if credentials is None:
        raise Problem("The API takes signatures, and there are no AWS credentials to sign with.")

    def sign(request: Request) -> None:
        headers = {"content-type": request.get_header("Content-type")}
        signed = AWSRequest(request.get_method(), request.full_url, headers, request.data)
        # They may be renewed between two calls, and not between two parts of one.
        now = credentials.get_frozen_credentials()
        SigV4Auth(now, "execute-api", session.region_name).add_auth(signed)
        for name, value in signed.headers.items():
            request.add_header(name, value)

    return sign


def by_token() -> Authorize:
    """Authenticate with the token in the environment.

    Raises
    ------
    Problem
        It has none.
    """
    token = os.environ.get(VARIABLE)
    if not token:
        raise Problem(
            "The API takes ID tokens of its user pool. Sign in there, then put the token into the "
            f"environment: export {VARIABLE}=…"
        )
    return lambda request: request.add_header("Authorization", token)
