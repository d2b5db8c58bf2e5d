"""How many predictions a second the deployed API makes on the embedded AWS, and what limits them.

.venv/bin/python -m tools.benchmarks.load URL KEY [--rate 200] [--seconds 60] [--dataset iris]

Sends the dataset's example, one row a request, at a steady rate, or as fast as it goes if that is
less. Prints the rate, its ratio to what was asked, latencies, and what used the processors, which
tells what limits it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median, quantiles

from tools.benchmarks.connections import Connections

CONNECTIONS = 16
"""Requests under way at once, at most."""

SHOWN = 3
"""Processes, those that used most."""


class Load:
    """Requests that are sent by some threads, each over a connection of its own."""

    def __init__(self, url: str, key: str, dataset: str) -> None:
        self._api = Connections(url, key)
        self._path = f"/datasets/{dataset}"
        self.seconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        example = json.loads(self._api.send("GET", self._path)[1])["example"]
        self._body = json.dumps({"instances": [example]})

    def run(self, rate: int, seconds: int) -> float:
        """Send so many requests a second; return the seconds until all were answered."""
        self._due = itertools.count()
        self._last = rate * seconds
        self._rate = rate
        self._began = time.perf_counter()
        self._until = self._began + seconds
        threads = [threading.Thread(target=self._work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - self._began

    def _work(self) -> None:
        while (number := next(self._due)) < self._last and time.perf_counter() < self._until:
            # One that comes too late is sent at once.
            time.sleep(max(self._began + number / self._rate - time.perf_counter(), 0))
            began = time.perf_counter()
            status, _ = self._api.send("POST", f"{self._path}/predictions", self._body)
            self.seconds.append(time.perf_counter() - began)
            self.statuses[status] += 1


def cpu_seconds() -> dict[str, float]:
    """Return the seconds of CPU that the processes of this machine have used, by what they are."""
    found: defaultdict[str, float] = defaultdict(float)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = " ".join(folder.joinpath("cmdline").read_text().split("\0")[1:])
            fields = folder.joinpath("stat").read_text().rpartition(")")[2].split()
        except OSError:
            # It has ended.
            continue
        if int(folder.name) == os.getpid():
            command = "this load"
        elif "ministack-lambda-" in command:
            command = "the functions"
        ticks = int(fields[11]) + int(fields[12])
        found[command] += ticks / os.sysconf("SC_CLK_TCK")
    return found


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser("python -m tools.benchmarks.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--dataset", default="iris")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    load = Load(given.url, given.key, given.dataset)
    load.run(rate=CONNECTIONS, seconds=1)
    load.seconds.clear()
    load.statuses.clear()
    before = cpu_seconds()
    took = load.run(given.rate, given.seconds)
    after = cpu_seconds()
    answered = len(load.seconds)
    print(f"{answered / took:.0f} requests a second for {took:.0f} s, {given.rate} were asked:")
    print(f"  ratio {answered / took / given.rate:.2f}, statuses {dict(load.statuses)}")
    print(
        f"  median {median(load.seconds) * 1000:.0f} ms, of a hundred 95 within "
        f"{quantiles(load.seconds, n=20)[-1] * 1000:.0f} ms, {CONNECTIONS} at once at most"
    )
    used = {what: seconds - before.get(what, 0) for what, seconds in after.items()}
    print(f"  of {os.process_cpu_count()} processors used {sum(used.values()) / took:.2f}, most by")
    for what in sorted(used, key=used.__getitem__, reverse=True)[:SHOWN]:
        cost = used[what] / answered * 1000
        print(f"    {used[what] / took:.2f}  {cost:5.1f} ms a request  {what[:60]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
