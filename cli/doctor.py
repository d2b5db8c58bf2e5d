"""What the product needs, checked before anything fails of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cli import deploy, embedded
from cli.errors import Problem
from cli.settings import ROOT, Local, in_checkout, this_command
from cli.target import Target

INSTANCE = "ml.m5.large"
QUOTAS = (
    f"{INSTANCE} for training job usage",
    f"{INSTANCE} for endpoint usage",
    f"{INSTANCE} for transform job usage",
    "concurrency across all serverless endpoints",
)
"""What the names of the quotas contain that one instance, or one request at once, counts in."""

MARKS = {"fine": "✓", "warning": "!", "wrong": "✗"}


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do unless that is fine."""

    what: str
    state: Literal["fine", "warning", "wrong"]
    found: str
    remedy: str = ""

    @property
    def mark(self) -> str:
        """The state as a sign."""
        return MARKS[self.state]


def checks(target: Target) -> Iterator[Check]:
    """Yield what is checked, one after the other; what can't be looked at without another ends it.

    A stack that isn't there is no fault: this is asked before there is one.
    """
    yield from _program()
    if target.is_aws:
        yield from _aws(target)
    else:
        try:
            local = target.embedded()
        except Problem as problem:
            yield Check("Port", "wrong", problem.message)
            return
        yield from _here(local)


def _program() -> Iterator[Check]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 13):
        yield Check("Python", "fine", found)
    else:
        yield Check(
            "Python",
            "wrong",
            f"{found}, and the functions need 3.13",
            "Install Python 3.13, then in a checkout: make run PYTHON=/path/to/python3.13",
        )
    if in_checkout():
        yield Check("Checkout", "fine", str(ROOT))
    else:
        yield Check(
            "Checkout",
            "warning",
            "there is none, so you can't build or deploy",
            "That needs a checkout of the project. Everything else works.",
        )


def _here(local: Local) -> Iterator[Check]:
    pid = embedded.running(local)
    if pid is not None:
        yield Check("Embedded AWS", "fine", f"runs at {local.endpoint_url}, as process {pid}")
    elif embedded.is_taken(local.port):
        free = next(port for port in range(local.port + 1, 65536) if not embedded.is_taken(port))
        yield Check(
            "Port",
            "wrong",
            f"another program uses {local.port}",
            f"Stop it, or choose another port: PORT={free} make run",
        )
    else:
        yield Check("Embedded AWS", "fine", f"is stopped, and port {local.port} is free")
    parent = local.folder if local.folder.exists() else local.folder.parent
    if os.access(parent, os.W_OK):
        free_gb = shutil.disk_usage(parent).free / 1e9
        state: Literal["fine", "warning"] = "fine" if free_gb > 2 else "warning"
        remedy = "" if free_gb > 2 else "Make room, or choose another folder: KNN_LOCAL_DIR=/path"
        yield Check("Folder", state, f"{local.folder}, {free_gb:,.0f} GB free", remedy)
    else:
        yield Check(
            "Folder",
            "wrong",
            f"{parent} can't be written to",
            "Choose another: KNN_LOCAL_DIR=/path/to/a/folder make run",
        )
    if shutil.which("docker"):
        yield Check("Docker", "fine", "found; only make invoke and make api need it")
    else:
        yield Check("Docker", "fine", "not found; only make invoke and make api need it")
    if pid is not None:
        local.use()
        yield _stack(Target())


def _stack(target: Target) -> Check:
    name = target.stack_name
    state = deploy.stack_status(name)
    how = "make run" if not target.is_aws else "make deploy ADDRESS=you@example.com"
    if state is None:
        return Check("Stack", "warning", f"{name} is not deployed", f"Deploy it: {how}")
    if state in deploy.HEALTHY:
        return Check("Stack", "fine", f"{name} is {state}")
    if state.endswith("_IN_PROGRESS"):
        return Check("Stack", "warning", f"{name} is {state}", "Wait, then try again.")
    return Check("Stack", "wrong", f"{name} is {state}", f"Deploy it again: {how}")


def _aws(target: Target) -> Iterator[Check]:
    target.configure()
    profile = f" --profile {target.profile}" if target.profile else ""
    region = (boto3.DEFAULT_SESSION or boto3.Session()).region_name
    if region is None:
        yield Check(
            "Region",
            "wrong",
            "none is configured",
            f"Name one: {this_command()} doctor --region REGION, or aws configure{profile}",
        )
        return
    yield _offered(region)
    try:
        identity = boto3.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        yield Check(
            "Credentials",
            "wrong",
            str(error).rstrip("."),
            f"Configure them: aws configure{profile}, or log in: aws sso login{profile}",
        )
        return
    yield Check("Credentials", "fine", identity["Arn"])
    yield _stack(target)
    yield from _mail()
    yield from _quotas()


def _offered(region: str) -> Check:
    if not in_checkout():
        return Check("Region", "fine", region)
    from samcli.yamlhelper import yaml_parse

    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    regions = template["Mappings"]["Offered"]
    offered = regions.get(region)
    if offered is None:
        return Check(
            "Region",
            "wrong",
            f"SageMaker's k-NN is not offered in {region}, as far as we know",
            f"Choose another with --region: {', '.join(sorted(regions))}",
        )
    there = ", ".join(f"{service}: {has}" for service, has in offered.items())
    return Check("Region", "fine", f"{region} ({there})")


def _mail() -> Iterator[Check]:
    try:
        account = boto3.client("sesv2").get_account()
    except (BotoCoreError, ClientError) as error:
        yield Check("Email", "warning", f"SES could not be asked: {error}",
                    "Reports are in the runs bucket in any case.")  # fmt: skip
        return
    if not account["SendingEnabled"]:
        yield Check(
            "Email",
            "wrong",
            "SES is paused: no report will be mailed",
            "Ask AWS Support why, in the SES console, Account dashboard.",
        )
    elif not account["ProductionAccessEnabled"]:
        yield Check(
            "Email",
            "warning",
            "SES is in its sandbox: each address that gets reports must be confirmed",
            "Confirm each: aws sesv2 create-email-identity --email-identity you@example.com",
        )
    else:
        yield Check("Email", "fine", "SES may send to everybody")
    # Source: SES API v2 reference, IdentityInfo.
    identities = boto3.client("sesv2").list_email_identities()["EmailIdentities"]
    unconfirmed = [i["IdentityName"] for i in identities if not i["SendingEnabled"]]
    if unconfirmed:
        yield Check(
            "Addresses",
            "warning",
            f"not confirmed: {', '.join(unconfirmed)}",
            "Follow the link in the email that SES sent there.",
        )


def _quotas() -> Iterator[Check]:
    quotas = boto3.client("service-quotas")
    try:
        pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
        found = [
            quota
            for page in pages
            for quota in page["Quotas"]
            if any(name in quota["QuotaName"] for name in QUOTAS)
        ]
    except (ClientError, BotoCoreError) as error:
        yield Check("Quotas", "warning", f"they could not be read: {error}",
                    "Look at Service Quotas, Amazon SageMaker.")  # fmt: skip
        return
    for quota in found:
        if quota["Value"] >= 1:
            yield Check("Quota", "fine", f"{quota['QuotaName']}: {quota['Value']:.0f}")
        else:
            yield Check(
                "Quota",
                "warning",
                f"{quota['QuotaName']}: {quota['Value']:.0f}",
                "Raise it, if you use this kind: aws service-quotas request-service-quota-increase "
                f"--service-code sagemaker --quota-code {quota['QuotaCode']} --desired-value 2",
            )
