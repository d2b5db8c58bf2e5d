"""Promotions and refusals under a steady load: what clients and the operator see of them.

.venv/bin/python -m tools.benchmarks.soak --promotions 30 --refusals 30 --rate 50

For a stack on the embedded AWS (make run). A good file, and one whose labels are drawn at random,
are dropped together, again and again. Meanwhile a client asks at a steady rate for rows that every
good model tells apart. It prints which predictions failed or were wrong, what is left behind, what
was not reported, and the memory of the embedded AWS after it as a share of that before.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from cli import embedded
from cli.folder import read_facts
from cli.follow import all_runs
from cli.mails import sent_mails
from cli.settings import ROOT, STACK_NAME, Local, local_folder
from cli.stack import Stack, find_stack
from pipeline.deployments import find_deployments
from pipeline.registry import LIVE, Status
from tools.benchmarks.connections import Connections

DATASET = "soak"
HEADER, *ROWS = (ROOT / "data/iris.csv").read_text().splitlines()
# What cross-validation chooses takes seconds, and has nothing to do with it.
SETTINGS = {"k": "3", "standardisation": "none", "weights": "uniform", "metric": "L2"}
KNOWN = {"setosa": [5.1, 3.5, 1.4, 0.2], "virginica": [7.7, 3.0, 6.6, 2.2]}
"""A row of each of two classes, amid the others of its class."""

CLIENTS = 32
TRIES = 3
"""After an answer of 429, a second apart."""

SETTLE_SECONDS = 300
IDLE_SECONDS = 400


@dataclass
class Answers:
    """What a client was answered."""

    statuses: Counter[str] = field(default_factory=Counter)
    asked_again: int = 0
    wrong: int = 0
    runs: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Predictions that were not made."""
        return sum(count for status, count in self.statuses.items() if status != "200")


class Client:
    """Asks for predictions at a steady rate, from so many connections at most."""

    def __init__(self, stack: Stack, rate: float) -> None:
        self._api = Connections(stack.api_url, stack.api_key())
        self._pause = 1 / rate
        self._lock = threading.Lock()
        self.answers = Answers()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask until the end of the block; what was asked by then is still answered."""
        done = threading.Event()

        def ask_steadily() -> None:
            due = time.monotonic()
            with ThreadPoolExecutor(CLIENTS) as pool:
                under_way = threading.Semaphore(CLIENTS)
                while not done.is_set():
                    # A client that is answered late doesn't ask more at once in return.
                    due = max(due + self._pause, time.monotonic() - 1)
                    done.wait(max(0.0, due - time.monotonic()))
                    under_way.acquire()
                    asked = pool.submit(self._ask, *random.choice(list(KNOWN.items())))
                    asked.add_done_callback(lambda _: under_way.release())

        thread = threading.Thread(target=ask_steadily)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _ask(self, label: str, row: list[float]) -> None:
        began = time.monotonic()
        body = json.dumps({"instances": [row]})
        status, answer = self._post(body)
        for _ in range(TRIES):
            # As the answer asks for: the endpoint, or the API, is busy.
            if status == "429":
                time.sleep(1)
                status, answer = self._post(body)
                with self._lock:
                    self.answers.asked_again += 1
        seconds = time.monotonic() - began
        with self._lock:
            self.answers.statuses[status] += 1
            self.answers.seconds.append(seconds)
            if status == "200":
                self.answers.runs.add(answer["run"])
                self.answers.wrong += answer["predictions"][0]["label"] != label

    def _post(self, body: str) -> tuple[str, Any]:
        """Return the status and the answer, or what kept it from coming."""
        try:
            status, found = self._api.send("POST", f"/datasets/{DATASET}/predictions", body)
            return str(status), json.loads(found) if status == 200 else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            return type(error).__name__, None


def content(chance: random.Random, *, good: bool) -> bytes:
    """Return a file whose model is live in the end, or one whose labels tell nothing."""
    rows = [row.rpartition(",") for row in chance.sample(ROWS, len(ROWS))]
    labels = [label for _, _, label in rows]
    if not good:
        chance.shuffle(labels)
    lines = [f"{values},{label}" for (values, _, _), label in zip(rows, labels, strict=True)]
    return "\n".join([HEADER, *lines, ""]).encode()


def wait_for(what: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes about in time."""
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


@dataclass
class Soak:
    """Files that are dropped, and what becomes of them."""

    stack: Stack
    chance: random.Random
    versions: list[str] = field(default_factory=list)

    def drop(self, *, good: bool) -> None:
        """Drop a file; what is no good is not to be let through."""
        # A good model may be worse than the live one by chance, which is nothing to wait for.
        more = {"allow-changes": "true"} if good else {}
        put = boto3.client("s3").put_object(
            Bucket=self.stack.inbox,
            Key=f"{DATASET}/{'good' if good else 'bad'}.csv",
            Body=content(self.chance, good=good),
            Metadata=SETTINGS | more,
        )
        self.versions.append(put["VersionId"])

    def ended(self) -> list[dict[str, Any]]:
        """Return the runs of what was dropped that have ended."""
        return [
            run
            for run in all_runs(self.stack, DATASET)
            if run["source"].get("version") in self.versions and Status(run["status"]).has_ended
        ]

    def settle(self, seconds: float = SETTLE_SECONDS) -> bool:
        """Wait until all that was dropped has ended."""
        return wait_for(lambda: len(self.ended()) == len(self.versions), seconds)

    def live(self) -> str:
        """Return the live run."""
        key = {"dataset": DATASET, "sort": LIVE}
        item: Any = boto3.resource("dynamodb").Table(self.stack.registry).get_item(Key=key)["Item"]
        return str(item["run"])

    def orphans(self) -> list[str]:
        """Return the runs that have something in SageMaker, but for the live one."""
        table = boto3.resource("dynamodb").Table(self.stack.registry)
        deployed = find_deployments(boto3.client("sagemaker"), table).runs
        return [run for run in deployed if run.startswith(f"{DATASET}-") and run != self.live()]

    def unreported(self, local: Local) -> list[str]:
        """Return the runs without a report, or without an email if any is sent."""
        told = "\n".join(str(mail["BodyText"]) for mail in sent_mails(local))
        return [
            run["run"]
            for run in self.ended()
            if f"runs/{run['run']}/" not in told or not self._has_facts(str(run["run"]))
        ]

    def _has_facts(self, run: str) -> bool:
        try:
            return read_facts(self.stack, run).run == run
        except ClientError:
            return False


def megabytes(process: int) -> float:
    """Return the memory that a process has now, 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    status = dict(line.split(":", 1) for line in lines)
    return int(status.get("VmRSS", "0 kB").split()[0]) / 1024


def of_functions(process: int) -> float:
    """Return the memory of the processes that the embedded AWS has started: warm functions."""
    found = Path(f"/proc/{process}/task").glob("*/children")
    return sum(megabytes(int(child)) for path in found for child in path.read_text().split())


def main() -> None:
    """Print what a soak has shown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--promotions", type=int, default=30)
    parser.add_argument("--refusals", type=int, default=30)
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--minutes", type=float, default=30, help="then no more files are dropped")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    local = embedded.find(local_folder())
    process = embedded.running(local)
    if process is None:
        parser.error("the embedded AWS doesn't run: make run")
    local.use()
    stack = find_stack(STACK_NAME, local)
    soak, client = Soak(stack, random.Random(given.seed)), Client(stack, given.rate)
    # All functions are warm, and what they keep is kept, before memory is looked at.
    for good in (True, True, False):
        soak.drop(good=good)
        soak.settle()
    with client.asking():
        time.sleep(20)
    client.answers = Answers()
    soak.versions.clear()
    before, functions = megabytes(process), of_functions(process)
    began = time.monotonic()
    rounds = max(given.promotions, given.refusals)
    with client.asking():
        for number in range(rounds):
            if time.monotonic() - began > given.minutes * 60:
                break
            if number < given.refusals:
                soak.drop(good=False)
            if number < given.promotions:
                soak.drop(good=True)
            soak.settle()
    seconds = time.monotonic() - began
    ends = Counter(str(run["status"]) for run in soak.ended())
    promoted = ends[Status.LIVE] + ends[Status.RETIRED]
    wait_for(lambda: not soak.orphans() and not soak.unreported(local), SETTLE_SECONDS)
    # Those that nobody needs any more are ended when they have idled for five minutes.
    wait_for(lambda: of_functions(process) <= functions, IDLE_SECONDS)
    after, answers = megabytes(process), client.answers
    times = sorted(answers.seconds)
    print(f"{promoted} promotions, {ends[Status.REFUSED]} refusals, in {seconds:,.0f} s")
    if others := {k: n for k, n in ends.items() if k not in ("Live", "Retired", "Refused")}:
        print("  others:", ", ".join(f"{status} {number}" for status, number in others.items()))
    print(f"  not ended: {len(soak.versions) - len(soak.ended())}")
    count = answers.statuses.total()
    print(f"{count:,} predictions, {count / seconds:.1f} a second, by {len(answers.runs)} models")
    p50, p99 = (1000 * times[count * share // 100] for share in (50, 99))
    print(f"  p50 {p50:,.0f} ms, p99 {p99:,.0f} ms")
    print(f"  asked again, as too many came at once: {answers.asked_again}")
    print(f"  failed: {answers.failed}", dict(answers.statuses) if answers.failed else "")
    print(f"  wrong labels: {answers.wrong}")
    print(f"orphans: {len(soak.orphans())}, unreported: {len(soak.unreported(local))}")
    print(
        f"memory of the embedded AWS: {before:,.0f} MB before, {after:,.0f} MB after, "
        f"ratio {after / before:.2f}"
    )
    print(f"  of its functions: {functions:,.0f} MB before, {of_functions(process):,.0f} MB after")


if __name__ == "__main__":
    main()
