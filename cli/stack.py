"""The deployed stack: its outputs, and the API in front of its models."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import boto3
from botocore.exceptions import ClientError

from cli.access import Authorize, by_key, by_signature, by_token
from cli.errors import Problem, Unavailable
from cli.settings import Local, this_command
from predict.later import MAX_ANSWER_SECONDS, MAX_WAIT_SECONDS

TAKEN = {"iam": "signatures", "cognito": "ID tokens"}
"""What the API takes instead of keys, by `ApiAuthorization`."""

NO_ANSWER = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)
"""What urllib raises if no answer comes, or not all of it."""


@dataclass(frozen=True)
class Stack:
    """What the stack's outputs name.

    `api_url` is where the API answers from here, `named_api_url` what outputs and reports call it.
    """

    inbox: str
    runs: str
    state_machine_arn: str
    registry: str
    api_url: str
    named_api_url: str
    api_key_id: str
    authorization: str = "key"

    @property
    def page(self) -> str:
        """Where the page is, and what it asks for."""
        asks = f"asks for the API key: {this_command()} key"
        if self.authorization != "key":
            asks = f"says how to call the API, which takes {TAKEN[self.authorization]} and no keys"
        return f"{self.api_url}/ ({asks})"

    def access(self) -> Authorize:
        """Return what authenticates calls to the API.

        Raises
        ------
        Problem
            The caller has no such thing.
        """
        if self.authorization == "key":
            return by_key(self.api_key())
        return by_signature() if self.authorization == "iam" else by_token()

    def api_key(self) -> str:
        """Return the value of an API key: the stack's, or one of its plan that took its place.

        Raises
        ------
        Problem
            All of them are disabled, or the caller may not read them.
        """
        try:
            return self._enabled_key()
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            raise Problem(
                "You may not read the API key. Ask whoever deployed the stack for one, made for "
                f"you: {this_command()} keys add NAME"
            ) from error

    def _enabled_key(self) -> str:
        apigateway = boto3.client("apigateway")
        for key_id in self._key_ids():
            try:
                key = apigateway.get_api_key(apiKey=key_id, includeValue=True)
            except apigateway.exceptions.NotFoundException:
                # It has been deleted since it was listed.
                continue
            if key["enabled"]:
                return key["value"]
        raise Problem(f"All API keys are disabled. Make one: {this_command()} keys add NAME")

    def _key_ids(self) -> Iterator[str]:
        """Yield the stack's own key, and then, only if they are needed, those of its plan."""
        yield self.api_key_id
        apigateway = boto3.client("apigateway")
        for plan in apigateway.get_usage_plans(keyId=self.api_key_id)["items"]:
            pages = apigateway.get_paginator("get_usage_plan_keys")
            for page in pages.paginate(usagePlanId=plan["id"]):
                yield from (key["id"] for key in page["items"])


def stack_resources(name: str) -> dict[str, str]:
    """Return the physical ids of a stack's resources, by their logical ids."""
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources")
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages.paginate(StackName=name)
        for resource in page["StackResourceSummaries"]
        if "PhysicalResourceId" in resource
    }


def find_stack(name: str, local: Local | None) -> Stack:
    """Return the stack of that name, on the embedded AWS or, without `local`, on AWS.

    Raises
    ------
    Problem
        There is no such stack.
    """
    try:
        stacks = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        if local:
            raise Problem(
                f"There is no stack {name}. Deploy it: make run, or {this_command()} up"
            ) from error
        region = boto3.client("cloudformation").meta.region_name
        raise Problem(
            f"There is no stack {name} in {region}. Name another with --stack-name or --region, or "
            "deploy it from a checkout: make deploy ADDRESS=you@example.com"
        ) from error
    values = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
    if "InboxBucketName" not in values:
        how = "make run" if local else "make deploy ADDRESS=you@example.com"
        raise Problem(
            f"The stack {name} is {stacks[0]['StackStatus']} and has no outputs. Deploy it again: "
            f"{how}"
        )
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in stacks[0].get("Parameters", [])}
    return Stack(
        inbox=values["InboxBucketName"],
        runs=values["RunsBucketName"],
        state_machine_arn=values["StateMachineArn"],
        registry=values["RegistryTableName"],
        api_url=_local_api_url(values["ApiUrl"], local) if local else values["ApiUrl"],
        named_api_url=values["ApiUrl"],
        api_key_id=values["ApiKeyId"],
        # A stack that was deployed by an earlier release has no such parameter.
        authorization=parameters.get("ApiAuthorization", "key"),
    )


def _local_api_url(api_url: str, local: Local) -> str:
    """Return where the embedded AWS answers: it has no names in the DNS, so the path says it."""
    url = urlsplit(api_url)
    api_id = (url.hostname or "").partition(".")[0]
    return f"{local.endpoint_url}/_aws/execute-api/{api_id}{url.path}"


def predict(stack: Stack, dataset: str, instances: Sequence[Any]) -> tuple[int, dict[str, Any]]:
    """Ask the API for the classes of instances, each a list of values or an object by name.

    Returns
    -------
    tuple
        The HTTP status, and the answer.
    """
    body = json.dumps({"instances": instances})
    return ask(stack, stack.access(), dataset, body, "application/json")


def ask(
    stack: Stack,
    access: Authorize,
    dataset: str,
    body: str,
    content_type: str,
    *,
    neighbors: int = 0,
    tries: int = 1,
) -> tuple[int, dict[str, Any]]:
    """Call the API as any client would; wait for an asynchronous endpoint's answer.

    Parameters
    ----------
    neighbors
        How many of the nearest training rows to show with each prediction.
    tries
        How often to ask, while the endpoint isn't ready or has too much to do.

    Returns
    -------
    tuple
        The HTTP status, and the answer.
    """
    url = _url(stack, ("datasets", dataset, "predictions"))
    url += f"?neighbors={neighbors}" if neighbors else ""
    status, headers, answer = _call(url, access, body.encode(), content_type)
    while status in (429, 503) and (tries := tries - 1):
        time.sleep(float(headers.get("Retry-After") or 1))
        status, headers, answer = _call(url, access, body.encode(), content_type)
    deadline = time.monotonic() + MAX_WAIT_SECONDS + MAX_ANSWER_SECONDS
    while status == 202 and time.monotonic() < deadline:
        time.sleep(float(headers.get("Retry-After", 1)))
        url = urljoin(url, headers["Location"])
        status, headers, answer = _call(url, access, None)
    return status, answer


def get(stack: Stack, access: Authorize, path: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the answer of a resource of the API."""
    status, _, answer = _call(_url(stack, path), access, None)
    return status, answer


def post(
    stack: Stack, access: Authorize, path: Sequence[str], content: Any
) -> tuple[int, dict[str, Any]]:
    """Send JSON to a resource of the API; return the HTTP status and the answer."""
    status, _, answer = _call(_url(stack, path), access, json.dumps(content).encode())
    return status, answer


def _url(stack: Stack, path: Sequence[str]) -> str:
    """Return the URL of a resource, whatever characters the parts of its path have."""
    return "/".join([stack.api_url, *(quote(part, safe="") for part in path)])


def reason(error: Exception) -> str:
    """Return why no answer came, without the URL, which may be a secret."""
    return str(getattr(error, "reason", error)) or type(error).__name__


def _call(
    url: str, access: Authorize, body: bytes | None, content_type: str = "application/json"
) -> tuple[int, Any, dict[str, Any]]:
    request = urllib.request.Request(url, body, {"content-type": content_type})
    access(request)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        try:
            return error.code, error.headers, json.loads(text)
        except ValueError:
            return error.code, error.headers, {"error": {"code": str(error.code), "message": text}}
    except NO_ANSWER as error:
        raise Unavailable(
            f"The API at {url} does not answer: {reason(error)}. Is the stack there? "
            f"{this_command()} status"
        ) from error
