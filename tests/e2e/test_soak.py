"""Many files at random, with random faults; afterwards nothing is lost, left behind or unreported.

``SOAK_UPLOADS=50 SOAK_SEED=1 pytest tests/e2e/test_soak.py`` takes another number of files, or
repeats what a failure has printed.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.registry import Status
from tests.deployed import ROOT, Deployed, wait_for

pytestmark = pytest.mark.e2e
UPLOADS = int(os.environ.get("SOAK_UPLOADS", "12"))
SEED = int(os.environ.get("SOAK_SEED", random.randrange(2**32)))
DATASETS = [f"soak-{number}" for number in range(max(2, UPLOADS // 5))]
# What cross-validation chooses takes seconds, and is tested elsewhere.
SETTINGS = {"k": 3, "standardisation": "none", "weights": "uniform", "metric": "L2"}
HEADER, *ROWS = (ROOT / "data/iris.csv").read_text().splitlines()


def content(chance: random.Random) -> bytes:
    """A file that becomes a model, or one that is refused."""
    rows = chance.sample(ROWS, len(ROWS))
    if chance.random() < 0.2:
        rows = [row.rpartition(",")[0] for row in rows]
    return "\n".join([HEADER, *rows, ""]).encode()


class Soak:
    """What is uploaded, and what goes wrong meanwhile."""

    def __init__(self, deployed: Deployed, chance: random.Random) -> None:
        self._deployed, self._chance = deployed, chance
        self._s3, self._states, self._sagemaker = (
            deployed.client(name) for name in ("s3", "stepfunctions", "sagemaker")
        )
        self._inbox, self._machine = deployed.output("InboxBucketName"), self._state_machine()
        self.versions: set[str] = set()

    def _state_machine(self) -> str:
        return self._deployed.output("StateMachineArn")

    def upload(self) -> None:
        dataset = self._chance.choice(DATASETS)
        put = self._s3.put_object(
            Bucket=self._inbox,
            Key=f"{dataset}/{self._chance.randrange(10)}.csv",
            Body=content(self._chance),
            Metadata={"allow-changes": "true"},
        )
        self.versions.add(put["VersionId"])

    def stop_a_run(self) -> None:
        running = self._states.list_executions(
            stateMachineArn=self._machine, statusFilter="RUNNING"
        )["executions"]
        ours = [each for each in running if each["name"].startswith("soak-")]
        if ours:
            # It may have ended since it was listed.
            with suppress(ClientError):
                self._states.stop_execution(executionArn=self._chance.choice(ours)["executionArn"])

    def delete_a_live_endpoint(self) -> None:
        for run in live_runs(self._deployed):
            # It may be replaced, and retired, at this very moment.
            try:
                self._sagemaker.delete_endpoint(EndpointName=run)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ValidationException"
            return


def runs(deployed: Deployed) -> list[dict[str, Any]]:
    return [run for dataset in DATASETS for run in deployed.runs(dataset)]


def live_runs(deployed: Deployed) -> Iterator[str]:
    table, database = deployed.output("RegistryTableName"), deployed.client("dynamodb")
    for dataset in DATASETS:
        key = {"dataset": {"S": dataset}, "sort": {"S": "live"}}
        if item := database.get_item(TableName=table, Key=key).get("Item"):
            yield item["run"]["S"]


def serving(deployed: Deployed) -> list[str]:
    pages = deployed.client("sagemaker").get_paginator("list_endpoints").paginate()
    return sorted(
        endpoint["EndpointName"]
        for page in pages
        for endpoint in page["Endpoints"]
        if endpoint["EndpointName"].startswith("soak-")
        and endpoint["EndpointStatus"] == "InService"
    )


def mailed(deployed: Deployed) -> Counter[str]:
    """How many emails there are about each run."""
    return Counter(
        run["run"]
        for mail in deployed.mails()
        for run in runs(deployed)
        if f"runs/{run['run']}/" in mail["BodyText"]
    )


def test_nothing_is_lost_left_behind_or_unreported_whatever_happens(deployed):
    chance = random.Random(SEED)
    print("SOAK_SEED", SEED)
    soak = Soak(deployed, chance)
    for dataset in DATASETS:
        deployed.client("s3").put_object(
            Bucket=deployed.output("InboxBucketName"),
            Key=f"{dataset}/schema.json",
            Body=json.dumps(SETTINGS),
        )
    for _ in range(UPLOADS):
        soak.upload()
        if chance.random() < 0.2:
            soak.stop_a_run()
        if chance.random() < 0.1:
            soak.delete_a_live_endpoint()

    def all_ended() -> bool:
        ended = [run for run in runs(deployed) if Status(run["status"]).has_ended]
        return {run["source"].get("version") for run in ended} >= soak.versions

    wait_for(all_ended, seconds=30 * UPLOADS)
    deployed.cli("sweep")
    # What was replaced is retired, what was missing is there again, and nothing else.
    wait_for(lambda: serving(deployed) == sorted(live_runs(deployed)) != [])
    of_version = Counter(
        run["source"]["version"] for run in runs(deployed) if "restores" not in run
    )
    assert of_version == Counter(soak.versions)
    # How a run ended is recorded before it is mailed.
    wait_for(lambda: mailed(deployed) == Counter(run["run"] for run in runs(deployed)))
    for run in live_runs(deployed):
        dataset = run.rsplit("-", 2)[0]
        body = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
        answer = deployed.call("POST", f"/datasets/{dataset}/predictions", body)
        assert (answer.status, answer.body["run"]) == (200, run)
        assert answer.body["predictions"][0]["label"] == "setosa"
    assert "dead-letter queues are empty" in deployed.cli("redrive", "--dry-run").stdout
