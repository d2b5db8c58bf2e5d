"""How to ask the API about a row, to paste into a shell or a program."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

_CURL = {
    "key": '-H "x-api-key: $API_KEY"',
    "iam": '--aws-sigv4 "aws:amz:$AWS_REGION:execute-api" '
    '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" '
    '-H "x-amz-security-token: $AWS_SESSION_TOKEN"',
    "cognito": '-H "Authorization: $ID_TOKEN"',
}
"""By `ApiAuthorization`. Source: curl's manual, ``--aws-sigv4``."""

_PYTHON = {
    "key": """import os, requests

answer = requests.post({url!r},
    headers={{"x-api-key": os.environ["API_KEY"]}},
    json={body!r})
""",
    "iam": """import boto3, json, requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

session = boto3.Session()
request = AWSRequest("POST", {url!r},
    {{"content-type": "application/json"}},
    json.dumps({body!r}))
SigV4Auth(session.get_credentials(), "execute-api", session.region_name).add_auth(request)
answer = requests.post(request.url, request.body, headers=dict(request.headers))
""",
    "cognito": """import os, requests

answer = requests.post({url!r},
    headers={{"Authorization": os.environ["ID_TOKEN"]}},
    json={body!r})
""",
}


def curl_call(url: str, row: Sequence[Any], authorization: str) -> str:
    """Return the call for a shell."""
    body = json.dumps({"instances": [row]}, ensure_ascii=False)
    return (
        f"curl {shlex.quote(url)} {_CURL[authorization]} \\\n"
        f"  -H 'content-type: application/json' -d {shlex.quote(body)}"
    )


def python_call(url: str, row: Sequence[Any], authorization: str) -> str:
    """Return the call for a program in Python."""
    call = _PYTHON[authorization].format(url=url, body={"instances": [row]})
    return call + 'print(answer.json()["predictions"])'
