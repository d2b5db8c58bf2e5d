"""A deployed stack as its users see it, for the tests that need one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import boto3

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any
    """What its JSON holds, else the text: a page, or nothing."""

    @classmethod
    def of(cls, status: int, answer: Any) -> Self:
        """Read an answer of urllib's."""
        headers, body = dict(answer.headers), answer.read()
        is_json = answer.headers.get_content_type() == "application/json"
        return cls(status, headers, json.loads(body) if is_json and body else body.decode())


@dataclass(frozen=True)
class Deployed:
    """A deployed stack as its users see it: the command line, AWS clients, the API, the mails."""

    folder: Path
    port: int

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "cli", *arguments])

    def tool(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", f"tools.{name}", *arguments])

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._run(["make", *arguments], **environment)

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that others are run beside."""
        own = {"PORT": str(self.port), "KNN_LOCAL_DIR": str(self.folder)}
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"PORT": str(self.port), "KNN_LOCAL_DIR": str(self.folder)}
        # Roles are enforced, so that what the template doesn't allow fails a test.
        own["AUTH"] = os.environ.get("AUTH", "true")
        # The tests may have been started by make themselves.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(
            command,
            cwd=ROOT,
            env=inherited | own | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def output(self, name: str) -> str:
        stack = self.client("cloudformation").describe_stacks(StackName="knn-pipeline")["Stacks"][0]
        return next(o["OutputValue"] for o in stack["Outputs"] if o["OutputKey"] == name)

    @property
    def api_url(self) -> str:
        """The API's address on the embedded AWS."""
        api_id = self.output("ApiUrl").removeprefix("https://").partition(".")[0]
        return f"{self.endpoint_url}/_aws/execute-api/{api_id}/v1"

    @property
    def api_key(self) -> str:
        answer = self.client("apigateway").get_api_key(
            apiKey=self.output("ApiKeyId"), includeValue=True
        )
        return str(answer["value"])

    def call(
        self,
        method: str,
        path: str,
        body: str | None = None,
        *,
        content_type: str = "application/json",
        key: str | None = "",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """Call the API; with its key, unless another or none is given."""
        if key == "":
            key = self.api_key
        request = urllib.request.Request(
            f"{self.api_url}{path}",
            method=method,
            data=None if body is None else body.encode(),
            headers={
                "content-type": content_type,
                **({"x-api-key": key} if key else {}),
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer.of(answer.status, answer)
        except urllib.error.HTTPError as error:
            return Answer.of(error.code, error)

    def score(self, dataset: str, rows: str, name: str) -> dict[str, Any]:
        """Upload rows by the API, and return what it says of their batch in the end."""
        created = self.call("POST", f"/datasets/{dataset}/batches", json.dumps({"name": name}))
        assert created.status == 201, created.body
        upload = created.body["upload"]
        request = urllib.request.Request(
            upload["url"], rows.encode(), upload["headers"], method="PUT"
        )
        urllib.request.urlopen(request, timeout=60).close()
        location = f"/datasets/{dataset}/{created.headers['Location']}"

        def ended() -> dict[str, Any] | None:
            told: dict[str, Any] = self.call("GET", location).body
            return None if told["status"] in ("Waiting", "Scoring") else told

        return wait_for(ended)

    def mails(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.endpoint_url}/_ministack/ses/messages") as answer:
            return [m for mails in json.load(answer)["messages"].values() for m in mails]

    def runs(self, dataset: str) -> list[dict[str, Any]]:
        table = boto3.resource(
            "dynamodb",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        ).Table(self.output("RegistryTableName"))
        return [
            item
            for item in table.scan()["Items"]
            if item["dataset"] == dataset and item["sort"].startswith("run#")
        ]

    def read(self, run: str, name: str) -> str:
        return self.read_bytes(run, name).decode()

    def read_bytes(self, run: str, name: str) -> bytes:
        answer = self.client("s3").get_object(
            Bucket=self.output("RunsBucketName"), Key=f"runs/{run}/{name}"
        )
        return bytes(answer["Body"].read())


@dataclass(frozen=True)
class Build:
    """A folder of the command line's in which the application has been built."""

    folder: Path

    @property
    def artefacts(self) -> Path:
        """What is deployed."""
        return self.folder / "build"

    def give(self, stack: Deployed) -> None:
        """Let a stack be deployed from it."""
        artefacts = stack.folder / "build"
        shutil.copytree(self.artefacts, artefacts, copy_function=os.link)
        # What is not built is named by its way from the template, which is another from here.
        there, here = (os.path.relpath(ROOT, folder) for folder in (self.artefacts, artefacts))
        for template in artefacts.glob("template.*"):
            content = template.read_text()
            template.unlink()  # it is the same file
            for mark in ' "':
                content = content.replace(f"{mark}{there}/", f"{mark}{here}/")
            template.write_text(content)
        shutil.copy(self.folder / "built", stack.folder)
        self.give_cache(stack.folder / "build-cache")

    def give_cache(self, cache: Path) -> None:
        """Let a later `sam build` only copy; it doesn't write to what it has cached."""
        shutil.copytree(self.folder / "build-cache", cache, copy_function=os.link)
        shutil.copy(self.folder / "build.toml", cache.parent)


def wait_for[T](what: Callable[[], T], *, seconds: float = 300) -> T:
    """Return the first answer that is true; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
    return found


def run_of_iris(deployed: Deployed, kind: str) -> str:
    """Drop iris as a dataset that is named after its kind of endpoint, and return its run."""
    result = deployed.cli("settings", kind, "--set", f"endpoint_kind={kind}")
    assert result.returncode == 0, result.stderr
    result = deployed.cli("drop", str(ROOT / "data/iris.csv"), "--dataset", kind)
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = deployed.runs(kind)
    return str(run["run"])
