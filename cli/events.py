"""The events of events/, with a living stack's names in them."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from botocore.exceptions import ClientError

from cli.errors import Problem
from cli.follow import all_runs
from cli.logs import FUNCTIONS
from cli.settings import ROOT
from cli.stack import Stack, stack_resources
from pipeline.layout import LARGE, MANIFEST, SCORE, AsyncFolder, RunFolder, dataset_of_run
from pipeline.registry import LIVE

RECORDED = ROOT / "events"
DATASET = "iris"
"""What the recorded requests ask about."""

RECORDED_RUN = "iris-20261124T043410Z-2821de5e"
ENVIRONMENT = "local.env.json"
PARTS_TO_DO = ("parts-scan", "parts-survey", "parts-write")
"""Events of a large file that are about a part; the others ask what is next."""

ANSWERS = "teardown"
"""Where Teardown's answers go in the runs bucket; CloudFormation has a bucket of its own."""

ANSWER_SECONDS = 12 * 3600


def function_of(event: str) -> str | None:
    """Return the function that an event's name begins with, ``preprocess`` for Preprocess."""
    named = {re.sub(r"\B(?=[A-Z])", "-", name).lower(): name for name in FUNCTIONS}
    parts = event.split("-")
    # The longest name counts: what is "preprocess-parts" is no event of "preprocess".
    for length in range(len(parts), 0, -1):
        if found := named.get("-".join(parts[:length])):
            return found
    return None


def preferred(item: dict[str, Any]) -> tuple[bool, str]:
    """Sort items of the registry: those of the recorded dataset come last, and newer ones."""
    return item["dataset"] == DATASET, str(item.get("dropped", ""))


class Missing(Exception):
    """The stack has nothing that the event could be about; the message says how to get it."""


class DeployedStack:
    """A deployed stack, as far as events name it."""

    def __init__(self, stack: Stack, stack_name: str) -> None:
        self.stack = stack
        self.stack_name = stack_name
        self.ids = stack_resources(stack_name)
        self.runs = all_runs(stack, None)
        table = boto3.resource("dynamodb").Table(stack.registry)
        live: Any = table.query(IndexName="BySort", KeyConditionExpression=Key("sort").eq(LIVE))
        self._live: list[dict[str, Any]] = live["Items"]

    def names(self, run: str) -> dict[str, str]:
        """Return what takes the place of each recorded name."""
        _, partition, _, region, account, *_ = self.stack.state_machine_arn.split(":")
        return {
            "INBOX": self.stack.inbox,
            "RUNS": self.stack.runs,
            RECORDED_RUN: run,
            "abcdefghij": self.ids["PredictionsApi"],
            "UPLOAD-ROLE": self.ids["UploadRole"],
            "arn:aws:": f"arn:{partition}:",
            "000000000000": account,
            "us-east-1": region,
        }

    def live(self) -> str:
        """Return the live run of the dataset that requests ask about."""
        for item in self._live:
            if item["dataset"] == DATASET:
                return str(item["run"])
        raise Problem(f"{DATASET} has no live model. Make one: make run")

    def live_behind(self, kind: str) -> str:
        """Return the run that was dropped last, of those behind such an endpoint."""
        found = [item for item in self._live if item.get("endpoint_kind") == kind]
        if not found:
            raise Missing(f"no endpoint is {kind}: deploy with EndpointKind={kind}, drop a file")
        return str(max(found, key=preferred)["run"])

    def ended(self, status: str) -> dict[str, Any]:
        """Return the last run that stands so."""
        found = [item for item in self.runs if item["status"] == status]
        if not found:
            raise Missing(f"no run is {status}")
        return max(found, key=preferred)

    def dropped(self, suffix: str) -> dict[str, Any]:
        """Return the changes that make an event of the last such file that is there still."""
        for item in reversed(self.runs):
            # A run that was only reported may have none.
            source = item.get("source")
            if source and source["key"].endswith(suffix):
                try:
                    return self.created(source["bucket"], source["key"], source["version"])
                except ClientError as error:
                    if error.response["Error"]["Code"] != "404":
                        raise
        raise Missing(f"no {suffix} was dropped yet, or none is there still")

    def scored(self) -> tuple[str, str, dict[str, str]]:
        """Return the last batch that the live model scored, the model's run, and its file."""
        s3, live = boto3.client("s3"), self.live()
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.stack.runs, Prefix=f"batches/{DATASET}/"
        )
        found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        for key in sorted((k for k in found if k.endswith("/status.json")), reverse=True):
            told = json.load(s3.get_object(Bucket=self.stack.runs, Key=key)["Body"])
            if (told["status"], told.get("run")) == ("Scored", live):
                file = f"{SCORE}{DATASET}/{told['batch']}.csv"
                head = s3.head_object(Bucket=self.stack.inbox, Key=file)
                version = {"version_id": head["VersionId"], "etag": head["ETag"].strip('"')}
                return told["batch"], live, {"bucket": self.stack.inbox, "key": file, **version}
        raise Missing(f"no file was scored yet: knn score {DATASET} FILE")

    def in_parts(self) -> tuple[str, dict[str, Any]]:
        """Return the run of the last large file, and the version of the file that it is of."""
        arn = self.ids["PrepareLargeFile"]
        executions = boto3.client("stepfunctions").list_executions(
            stateMachineArn=arn, statusFilter="SUCCEEDED", maxResults=1
        )["executions"]
        if not executions:
            raise Missing("no file over LargeFileMegabytes was dropped yet")
        run = executions[0]["name"]
        file = RunFolder(run) / f"{LARGE}/file.json"
        found = boto3.client("s3").get_object(Bucket=self.stack.runs, Key=file)
        return run, json.loads(found["Body"].read())["version"]

    def created(self, bucket: str, key: str, version: str | None = None) -> dict[str, Any]:
        """Return the changes that make an event of an object that is there, created just now."""
        which = {"VersionId": version} if version else {}
        head = boto3.client("s3").head_object(Bucket=bucket, Key=key, **which)  # type: ignore[arg-type]
        described = {
            "key": key,
            "size": head["ContentLength"],
            "etag": head["ETag"].strip('"'),
            "version-id": head["VersionId"],
        }
        return merged(now(), {"detail": {"object": described}})


def fill(deployed: DeployedStack, into: Path, endpoint_url: str | None) -> dict[str, str | None]:
    """Write each event, with the stack's names, to ``<into>/<event>.json``.

    Parameters
    ----------
    endpoint_url
        Where functions in containers reach the AWS that the stack is on, unless that is AWS.

    Returns
    -------
    dict
        By event: why it could not be filled, or None if it was.
    """
    into.mkdir(parents=True, exist_ok=True)
    outcome: dict[str, str | None] = {}
    for recorded in sorted(RECORDED.glob("*.json")):
        target = into / recorded.name
        if recorded.name == ENVIRONMENT:
            continue
        try:
            run, changes = about(recorded.stem, deployed, endpoint_url)
        except Missing as missing:
            outcome[recorded.stem] = str(missing)
            target.unlink(missing_ok=True)
            continue
        text = recorded.read_text()
        for name, value in deployed.names(run).items():
            text = text.replace(name, value)
        target.write_text(json.dumps(merged(json.loads(text), changes), indent=2) + "\n")
        outcome[recorded.stem] = None
    return outcome


def about(
    name: str, deployed: DeployedStack, endpoint_url: str | None
) -> tuple[str, dict[str, Any]]:
    """Return the run that an event is about, and what differs from the recorded one but names.

    Raises
    ------
    Missing
        There is no such run, or no such file.
    """
    run = deployed.live()
    match function_of(name), name.partition("-")[2]:
        case "Preprocess", "iris" | "gzip" as file:
            return run, deployed.dropped(".csv.gz" if file == "gzip" else ".csv")
        case "Preprocess", _:
            return run, now()
        case "Split", _:
            return run, deployed.created(deployed.stack.runs, RunFolder(run) / MANIFEST)
        case "Failure", "preprocess":
            return run, {"requestPayload": deployed.dropped(".csv")}
        case "Failure", _:
            manifest = RunFolder(run) / MANIFEST
            return run, {"requestPayload": deployed.created(deployed.stack.runs, manifest)}
        case "PreprocessParts" | "SplitParts", task:
            run, version = deployed.in_parts()
            source = {name: version[name] for name in ("bucket", "key", "version_id", "etag")}
            facts = {"dataset": dataset_of_run(run), "source": source}
            return run, {} if task in PARTS_TO_DO else {"facts": facts}
        case "Validate", kind:
            return deployed.live_behind(kind), {}
        case "Report", outcome:
            item = deployed.ended(outcome.title())
            return item["run"], {"dataset": item["dataset"], "problem": item.get("error")}
        case "Predict", "later":
            run = deployed.live_behind("async")
            return run, prediction_asked(deployed, run)
        case "Predict", "batch-status":
            return run, batch_asked(deployed)
        case "Score", step:
            batch, run, pin = deployed.scored()
            return run, {"batch": batch} | ({} if step == "write" else {"file": pin})
        case "Teardown", request:
            return run, custom_resource(deployed, request, endpoint_url)
    return run, {}


def now() -> dict[str, Any]:
    """Return the changes that make an "Object Created" event one of this very moment."""
    sequencer = f"{time.time_ns():018X}"
    time_now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {"time": time_now, "detail": {"object": {"sequencer": sequencer}}}


def batch_asked(deployed: DeployedStack) -> dict[str, Any]:
    """Return the changes that make a request for the last batch of the dataset."""
    prefix = f"batches/{DATASET}/"
    found = boto3.client("s3").list_objects_v2(Bucket=deployed.stack.runs, Prefix=prefix)
    if not found["KeyCount"]:
        raise Missing("no file of rows was scored yet: predict-batch creates a batch")
    last = max(found["Contents"], key=lambda item: item["LastModified"])
    batch = last["Key"].split("/")[2]
    path = f"/datasets/{DATASET}/batches/{batch}"
    return {
        "path": path,
        "pathParameters": {"dataset": DATASET, "batch": batch},
        "requestContext": {"path": f"/v1{path}"},
    }


def prediction_asked(deployed: DeployedStack, run: str) -> dict[str, Any]:
    """Return the changes that make a request for the last prediction that a run was asked for."""
    prefix = AsyncFolder(run) / "ticket/"
    found = boto3.client("s3").list_objects_v2(Bucket=deployed.stack.runs, Prefix=prefix)
    if not found["KeyCount"]:
        raise Missing(f"nothing was asked of the asynchronous endpoint {run} yet")
    ticket = max(found["Contents"], key=lambda item: item["LastModified"])
    dataset, prediction = dataset_of_run(run), f"{run}.{Path(ticket['Key']).stem}"
    path = f"/datasets/{dataset}/predictions/{prediction}"
    return {
        "path": path,
        "pathParameters": {"dataset": dataset, "id": prediction},
        "requestContext": {"path": f"/v1{path}"},
    }


def custom_resource(
    deployed: DeployedStack, request: str, endpoint_url: str | None
) -> dict[str, Any]:
    """Return the changes that make a request of CloudFormation one that can be answered."""
    function = boto3.client("lambda").get_function_configuration(
        FunctionName=deployed.ids["TeardownFunction"]
    )["FunctionArn"]
    stack = boto3.client("cloudformation").describe_stacks(StackName=deployed.stack_name)["Stacks"][
        0
    ]
    # Signed for the address at which the function finds S3, which need not be the one from here.
    s3 = boto3.client("s3", endpoint_url=endpoint_url, config=Config(signature_version="s3v4"))
    place = {"Bucket": deployed.stack.runs, "Key": f"{ANSWERS}/{request}.json"}
    return {
        "ServiceToken": function,
        "StackId": stack["StackId"],
        "ResponseURL": s3.generate_presigned_url("put_object", place, ANSWER_SECONDS),
        "ResourceProperties": {"ServiceToken": function},
    }


def fill_environment(deployed: DeployedStack, into: Path, endpoint_url: str) -> Path:
    """Write what functions in containers find in their environment, for ``sam local --env-vars``.

    It is what the deployed functions find, and how to reach the embedded AWS.
    """
    environment = json.loads((RECORDED / ENVIRONMENT).read_text())
    environment["Parameters"]["AWS_ENDPOINT_URL"] = endpoint_url
    functions = boto3.client("lambda")
    for name, function in deployed.ids.items():
        if name.endswith("Function"):
            configuration = functions.get_function_configuration(FunctionName=function)
            environment[name] = configuration.get("Environment", {}).get("Variables", {})
    into.mkdir(parents=True, exist_ok=True)
    target = into / ENVIRONMENT
    target.write_text(json.dumps(environment, indent=2) + "\n")
    return target


def merged(recorded: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with changes in it, at whatever depth."""
    result = dict(recorded)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if both else value
    return result
